package claimjson

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// array reads the array that begins at i where a pointer leads through an
// object. Some backends look into each element, some into the first: what would
// be found if an element stood in the array's place is a variant, and is cut
// from that element. One loop reads the arrays within it, too, so that no input
// can make the stack grow.
func (s *scanner) array(i int, at place) int {
	at.live, at.inArray, at.element = 0, true, true
	defer func(began bool) { s.began = began }(s.began)
	s.began = false
	b, base, more, whole := s.body, s.depth, s.found.More, false
	for {
		if i = endSpaces(b, i); i < len(b) && b[i] == '[' {
			if s.depth == maxDepth {
				return s.fail(ErrDepth)
			}
			s.depth++
			if i = endSpaces(b, i+1); i >= len(b) || b[i] != ']' {
				continue
			}
		} else if i = s.inside(i, at); i < 0 {
			return -1
		}
		if s.whole {
			whole, at.inCut, s.whole = true, true, false
		}
		for {
			if i = endSpaces(b, i); i >= len(b) || b[i] != ',' && b[i] != ']' {
				return s.fail(ErrSyntax)
			}
			i++
			if b[i-1] == ',' {
				break
			}
			if s.depth--; s.depth == base {
				if s.found.More && !more {
					s.found.More, whole = false, true
				}
				s.whole = whole
				return i
			}
		}
	}
}

// text reads the text that begins at i where a pointer leads through an object.
// Some backends decode such a text as JSON. So one that begins like an object or
// array and in which a watched name stands is a variant of everything that the
// pointers would lead to, and is cut with the member that holds it. In an array, of which
// JavaScript makes one text, an earlier one may be the beginning.
func (s *scanner) text(i int, at place) int {
	start := i + 1
	if i = endString(s.body, start); i < 0 {
		return s.fail(ErrSyntax)
	}
	below, cut := at.node.below, at.node.cutBelow && !at.inCut
	if s.variant&below == below && !cut {
		return i // nothing more can come of it
	}
	inside := s.body[start : i-1]
	begin := begins(inside)
	if at.element {
		begin = begin || s.began
		s.began = begin
	}
	if s.paths.stands(inside, begin) {
		s.variant |= below
		s.way |= below
		s.whole = cut
	}
	return i
}

// HoldsJSON reports whether an object or array begins in a text, as begins does.
func HoldsJSON(text []byte) bool {
	// In a form a text may be in UTF-16 or UTF-32, with a mark or without.
	for len(text) > 0 && (text[0] == 0 || text[0] >= 0xfe) {
		text = text[1:]
	}
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, nil)
	}
	text = bytes.ToValidUTF8(text, nil)
	if bytes.IndexByte(text, '\\') >= 0 {
		text = bytes.ReplaceAll(text, []byte(`\`), []byte(`\\`))
	}
	return begins(text)
}

// begins reports whether an object or array begins in the text of a valid
// string, given without its quotes: behind white space, control characters,
// byte-order marks, comments and the guard )]}' that lenient parsers pass over.
// At half a surrogate pair, which some replace and some drop, it cannot be told.
func begins(raw []byte) bool {
	for {
		r, rest := nextRune(raw)
		switch {
		case r == '{' || r == '[' || r == half:
			return true
		case r == ')':
			for _, want := range "]}'" {
				if r, rest = nextRune(rest); r != want {
					return false
				}
			}
		case r == '#':
			rest = afterLine(rest)
		case r == '/':
			switch r, rest = nextRune(rest); r {
			case '/':
				rest = afterLine(rest)
			case '*':
				rest = afterComment(rest)
			default:
				return false
			}
		case r == none || r > ' ' && r != '\ufeff' && r != '\u200b' && r != '\u180e' && !unicode.IsSpace(r):
			return false
		}
		raw = rest
	}
}

const (
	none = rune(-1)     // the end
	half = rune(0xd800) // half a surrogate pair
)

// nextRune returns the first rune, decoded, and what follows it.
func nextRune(raw []byte) (rune, []byte) {
	if len(raw) == 0 {
		return none, nil
	}
	if c := raw[0]; c < utf8.RuneSelf && c != '\\' {
		return rune(c), raw[1:]
	}
	r, size, lone := decodeRune(raw, 0)
	if lone {
		r = half
	}
	return r, raw[size:]
}

func afterLine(raw []byte) []byte {
	for {
		r, rest := nextRune(raw)
		switch r {
		case half:
			return raw
		case none, '\n', '\r', '\u2028', '\u2029':
			return rest
		}
		raw = rest
	}
}

func afterComment(raw []byte) []byte {
	star := false
	for {
		r, rest := nextRune(raw)
		switch {
		case r == half:
			return raw
		case r == none || star && r == '/':
			return rest
		}
		star, raw = r == '*', rest
	}
}
