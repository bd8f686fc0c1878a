// Package claimjson reads a JSON body once, strictly, and says where watched
// members stand, to the byte.
//
// A gateway that verifies an id in a body must never read another id than the
// backend's parser will. Parsers differ over what RFC 8259 leaves open or what
// they tolerate, so whatever could be read in two ways is refused or reported
// here: input that is not exactly one JSON text in UTF-8, duplicate names, names
// in another letter case, which encoding/json takes for the same name, and
// arrays and texts where a pointer leads through objects. Removing members by the
// offsets found leaves every other byte as it was, so that a removal cannot
// change the reading of the rest.
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
	// ErrSurrogate says that a string escapes half a surrogate pair.
	ErrSurrogate = errors.New("claimjson: unpaired surrogate")
	// ErrDuplicate says that an object has a name twice, in whatever letter case.
	ErrDuplicate = errors.New("claimjson: duplicate name")
)

const maxDepth = 1000

// Scan reads body and fills found. All of the body is validated before
// anything is reported: on an error found is empty, each Value of kind None.
//
// Names are compared after their escapes are decoded. Pointers lead through
// objects. Anything else on the way to a field, or at the top, holds nothing; but
// an array whose elements hold the field, and a text in which an object or array
// begins and a watched name stands, are variants of it.
// Unpaired surrogate escapes are tolerated: only Unquote refuses them, and a
// name that has one is at best a variant.
func Scan(body []byte, p *Paths, found *Found) error {
	found.reset(len(p.bits))
	s := scanner{body: body, paths: p, found: found}
	if err := s.scan(); err != nil {
		found.reset(len(p.bits))
		if !utf8.Valid(body) {
			return ErrUTF8
		}
		return err
	}
	for i, bit := range p.bits {
		found.Values[i].Duplicate = s.duplicate&bit != 0
		found.Values[i].Variant = s.variant&bit != 0
		found.Values[i].Way = s.way&bit != 0
	}
	return nil
}

// A scanner's methods return the index after what they read, or -1 with err set.
type scanner struct {
	body      []byte
	paths     *Paths
	found     *Found
	err       error
	depth     int                     // of open containers
	duplicate uint64                  // pointers
	variant   uint64                  // pointers
	way       uint64                  // pointers, variants for what is on the way
	whole     bool                    // the value just read is to be cut with the member that holds it
	began     bool                    // an object or array begins in a text of the array that is read
	opened    [maxDepth/64 + 1]uint64 // see skip
	names     [32]seen
	lengths   lengths
}

func (s *scanner) fail(err error) int {
	s.err = err
	return -1
}

func (s *scanner) scan() error {
	i := endSpaces(s.body, 0)
	if i = s.inside(i, place{node: &s.paths.root, live: ^uint64(0)}); i < 0 {
		return s.err
	}
	if endSpaces(s.body, i) != len(s.body) {
		return ErrSyntax
	}
	if s.whole {
		s.found.Cuts = append(s.found.Cuts[:0], Span{0, len(s.body)})
	}
	return nil
}

// A place is where a watched value stands.
type place struct {
	node    *node
	live    uint64 // pointers that led here by the first occurrence of each exact name
	inArray bool   // within an array, where nothing is a field
	element bool   // an element of one
	inCut   bool   // within a member that is cut as a whole
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
	if i = endSpaces(b, i+1); i < len(b) && b[i] == '}' {
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
		if i = endSpaces(b, i); i >= len(b) || b[i] != ':' {
			return s.fail(ErrSyntax)
		}
		i = endSpaces(b, i+1)
		cut, cuts := false, len(s.found.Cuts)
		if c == nil {
			i = s.skip(i)
		} else {
			next := s.enter(c, spelled, at, &exact, &variant)
			i = s.value(i, next)
			if cut = c.node.cut && !at.inCut; s.whole {
				cut, s.whole = true, false
				s.found.Cuts = s.found.Cuts[:cuts]
			}
		}
		if i < 0 {
			return -1
		}
		end := i
		if i = endSpaces(b, i); i >= len(b) {
			return s.fail(ErrSyntax)
		}
		switch b[i] {
		case ',':
			if cut {
				trim.remove(s.found, start, i+1)
			} else {
				trim.keep(i)
			}
			i = endSpaces(b, i+1)
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
	next := place{node: c.node, inArray: at.inArray, inCut: at.inCut || c.node.cut}
	for k := range c.spellings {
		bits := c.spellings[k].bits
		if k == spelled {
			if *exact&bits == 0 {
				next.live = at.live & bits
			} else {
				s.duplicate |= bits
			}
			*exact |= bits
			continue
		}
		s.variant |= bits
		s.duplicate |= bits & *variant
		*variant |= bits
	}
	return next
}

// value reads the value of a member in a watched place, which begins at i.
func (s *scanner) value(i int, at place) int {
	start := i
	if at.node.below == 0 {
		i = s.skip(i)
	} else {
		i = s.inside(i, at)
	}
	if i < 0 {
		return -1
	}
	if at.inArray {
		s.variant |= at.node.own
		s.way |= at.node.own
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

// inside reads a value for what it holds of the place's children.
func (s *scanner) inside(i int, at place) int {
	if i < len(s.body) && at.node.below != 0 {
		switch s.body[i] {
		case '{':
			return s.object(i, at)
		case '[':
			return s.array(i, at)
		case '"':
			return s.text(i, at)
		}
	}
	return s.skip(i)
}
