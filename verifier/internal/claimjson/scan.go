// Package claimjson reads a JSON body once, strictly, and says where watched
// members stand, to the byte.
//
// A gateway that verifies an id in a body must never read another id than the
// backend's parser will. Parsers differ over what RFC 8259 leaves open or what
// they tolerate, so whatever could be read in two ways is refused or reported
// here: input that is not exactly one JSON text in UTF-8, names that stand
// twice, and names in another letter case, which encoding/json takes for the
// same name. Removing members by the offsets found leaves every other byte as
// it was, so that a removal cannot change the reading of the rest.
package claimjson

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

var (
	// ErrSyntax says that the body is not exactly one JSON text (RFC 8259).
	ErrSyntax = errors.New("claimjson: not valid JSON")
	// ErrUTF8 says that the body is not UTF-8.
	ErrUTF8 = errors.New("claimjson: not valid UTF-8")
	// ErrDepth says that objects and arrays are nested more than 1000 deep.
	ErrDepth = errors.New("claimjson: nested too deep")
	// ErrNotObject says that something other than an object stands where
	// Compile was told that only an object will do, or on the way there. Only
	// the exact names count; that they stand twice does not excuse it.
	ErrNotObject = errors.New("claimjson: not an object")
	// ErrSurrogate says that a string escapes half a surrogate pair.
	ErrSurrogate = errors.New("claimjson: unpaired surrogate")
)

const maxDepth = 1000

// Scan reads body and fills found. All of the body is validated before
// anything is reported: on an error found is empty, each Value of kind None.
//
// Names are compared after their escapes are decoded. Pointers lead through
// objects only. A body that is an array or scalar is valid and holds nothing.
// Unpaired surrogate escapes are tolerated: only Unquote refuses them, and a
// name that has one is at best a variant.
func Scan(body []byte, p *Paths, found *Found) error {
	found.reset(len(p.bits))
	if !utf8.Valid(body) {
		return ErrUTF8
	}
	s := scanner{body: body, paths: p, found: found}
	if err := s.scan(); err != nil {
		found.reset(len(p.bits))
		return err
	}
	for i, bit := range p.bits {
		found.Values[i].Twice = s.twice&bit != 0
		found.Values[i].Variant = s.variant&bit != 0
	}
	return nil
}

// A scanner's methods return the index after what they read, or -1 with err set.
type scanner struct {
	body      []byte
	paths     *Paths
	found     *Found
	err       error
	depth     int    // of open containers
	twice     uint64 // pointers
	variant   uint64 // pointers
	notObject bool
	opened    [maxDepth/64 + 1]uint64 // see skip
	names     [32]seen
	lengths   lengths
}

func (s *scanner) fail(err error) int {
	s.err = err
	return -1
}

func (s *scanner) scan() error {
	i := endBlanks(s.body, 0)
	if i == len(s.body) {
		return ErrSyntax
	}
	if s.body[i] == '{' {
		i = s.object(i, place{node: &s.paths.root, live: ^uint64(0), way: s.paths.object})
	} else {
		i = s.skip(i)
	}
	switch {
	case i < 0:
		return s.err
	case endBlanks(s.body, i) != len(s.body):
		return ErrSyntax
	case s.notObject:
		return ErrNotObject
	}
	return nil
}

// A place is where a watched value stands.
type place struct {
	node  *node
	live  uint64 // pointers that led here by the first occurrence of each exact name
	way   uint64 // the bit of Paths.object, if it led here by exact names
	inCut bool   // within a member that is cut as a whole
}

// object reads the object that begins at i. It calls itself for watched names
// only, so never deeper than the longest pointer.
func (s *scanner) object(i int, at place) int {
	if s.depth == maxDepth {
		return s.fail(ErrDepth)
	}
	s.depth++
	b := s.body
	var exact, variant uint64 // pointers whose name has stood in this object
	trim := trimmer{run: -1, comma: -1}
	if i = endBlanks(b, i+1); i < len(b) && b[i] == '}' {
		s.depth--
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return s.fail(ErrSyntax)
		}
		start := i
		if i = endString(b, i+1); i < 0 {
			return s.fail(ErrSyntax)
		}
		c, spelled := at.node.find(b[start+1 : i-1])
		if i = endBlanks(b, i); i >= len(b) || b[i] != ':' {
			return s.fail(ErrSyntax)
		}
		i = endBlanks(b, i+1)
		cut := false
		if c == nil {
			i = s.skip(i)
		} else {
			next := s.enter(c, spelled, at, &exact, &variant)
			cut = c.node.cut && !at.inCut
			i = s.value(i, next)
		}
		if i < 0 {
			return -1
		}
		end := i
		if i = endBlanks(b, i); i >= len(b) {
			return s.fail(ErrSyntax)
		}
		switch b[i] {
		case ',':
			if cut {
				trim.remove(s.found, start, i+1)
			} else {
				trim.keep(i)
			}
			i = endBlanks(b, i+1)
		case '}':
			if cut {
				trim.remove(s.found, start, end)
				trim.close(s.found)
			}
			s.depth--
			return i + 1
		default:
			return s.fail(ErrSyntax)
		}
	}
}

// enter notes that a name has led to c, by the given spelling or in another
// letter case, and returns the place of its value. exact and variant say
// which pointers' names have stood in the object before.
func (s *scanner) enter(c *child, spelled int, at place, exact, variant *uint64) place {
	next := place{node: c.node, inCut: at.inCut || c.node.cut}
	for k := range c.spellings {
		bits := c.spellings[k].bits
		if k == spelled {
			if *exact&bits == 0 {
				next.live = at.live & bits
			} else {
				s.twice |= bits
			}
			*exact |= bits
			next.way = at.way & bits
			continue
		}
		s.variant |= bits
		s.twice |= bits & *variant
		*variant |= bits
	}
	return next
}

// value reads the value that begins at i in a watched place.
func (s *scanner) value(i int, at place) int {
	start := i
	object := i < len(s.body) && s.body[i] == '{'
	if object && len(at.node.children) > 0 {
		i = s.object(i, at)
	} else {
		i = s.skip(i)
	}
	if i < 0 {
		return -1
	}
	if at.way != 0 && !object {
		s.notObject = true
	}
	if found := at.node.own & at.live; found != 0 {
		v := Value{Kind: kindOf(s.body[start]), Start: start, End: i}
		v.Escaped = v.Kind == String && bytes.IndexByte(s.body[start:i], '\\') >= 0
		for t, bit := range s.paths.bits {
			if found&bit != 0 {
				s.found.Values[t] = v
			}
		}
	}
	return i
}
