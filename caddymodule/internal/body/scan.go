package body

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// state is the set of positions in which readers may be before the brace, since they differ
// in what ends a comment. If it is empty, no reader finds an object.
type state uint16

const (
	between state = 1 << iota
	slash         // after the first character of a comment
	line          // in a comment that a newline ends
	comment       // in a comment that */ ends
	star          // in such a one, after a star
	guard1        // after the first character of )]}'
	guard2        // after the second
	guard3        // after the third
	guarded       // after the last, where Angular takes a comma, too
)

// next returns the positions after one more character, and whether a reader finds a brace.
func (s state) next(c rune) (after state, brace bool) {
	if s&between != 0 {
		switch {
		case c == '{':
			return 0, true
		case c == '/':
			after |= slash
		case c == '#':
			after |= line
		case c == ')':
			after |= guard1
		case isSkipped(c):
			after |= between
		}
	}
	if s&line != 0 {
		switch c {
		case '\n':
			after |= between
		case '\r', '\v', '\f', 0x85, 0x2028, 0x2029: // for some
			after |= line | between
		default:
			after |= line
		}
	}
	switch {
	case s&slash != 0 && c == '/':
		after |= line
	case s&slash != 0 && c == '*':
		after |= comment
	}
	switch {
	case s&star != 0 && c == '/':
		after |= between
	case s&(comment|star) != 0 && c == '*':
		after |= star
	case s&(comment|star) != 0:
		after |= comment
	}
	switch {
	case s&guard1 != 0 && c == ']':
		after |= guard2
	case s&guard2 != 0 && c == '}':
		after |= guard3
	case s&guard3 != 0 && c == '\'':
		after |= guarded | between
	case s&guarded != 0 && c == ',':
		after |= between
	}
	return after, false
}

// isSkipped reports whether some reader skips the character: white space of Unicode or
// JavaScript or, as Java's trim does, any control character.
func isSkipped(c rune) bool {
	return c <= ' ' || c == 0xFEFF || c == 0x180E || c == 0x200B || c >= 0x80 && unicode.IsSpace(c)
}

// scan reads the beginning in one encoding.
type scan struct {
	width  int               // bytes of a character; 1: UTF-8
	little bool              // whether the low byte comes first
	part   [utf8.UTFMax]byte // of a character that has not arrived completely
	held   int               // of part
	state  state
}

// feed takes the next piece, and reports whether there is a brace.
func (s *scan) feed(piece []byte) bool {
	for len(piece) > 0 && s.state != 0 {
		n, found := s.run(piece), false
		switch c := piece[0]; {
		case n > 0:
		case s.width == 1 && s.held == 0 && c < utf8.RuneSelf:
			n, found = 1, s.take(rune(c))
		case s.width > 1 && s.held == 0 && len(piece) >= s.width:
			n, found = s.width, s.take(s.wide(piece[:s.width]))
		default:
			s.part[s.held] = c
			s.held++
			n, found = 1, s.piecemeal()
		}
		if found {
			return true
		}
		piece = piece[n:]
	}
	return false
}

// run returns how many bytes do not change the state. It only serves speed, since what is
// skipped may be as long as a body.
func (s *scan) run(piece []byte) (n int) {
	switch {
	case s.held > 0:
	case s.width > 1:
		for n < len(piece) && piece[n] == 0 {
			n++
		}
		n -= n % s.width
	case s.state == between:
		for n < len(piece) && piece[n] <= ' ' {
			n++
		}
	case s.state == line:
		for n < len(piece) && ' ' <= piece[n] && piece[n] < utf8.RuneSelf {
			n++
		}
	case s.state == comment:
		if n = bytes.IndexByte(piece, '*'); n < 0 {
			n = len(piece)
		}
	}
	return n
}

// take reads a character. It ignores NULs, since a scan of UTF-8 also serves readers of
// other encodings.
func (s *scan) take(c rune) (brace bool) {
	if c != 0 {
		s.state, brace = s.state.next(c)
	}
	return brace
}

// wide returns a character of UTF-16 or UTF-32.
func (s *scan) wide(char []byte) rune {
	var c uint32
	for i := range char {
		if s.little {
			c |= uint32(char[i]) << (8 * i)
		} else {
			c = c<<8 | uint32(char[i])
		}
	}
	return rune(min(c, unicode.MaxRune+1))
}

// piecemeal handles one more byte of an incomplete character.
func (s *scan) piecemeal() bool {
	switch {
	case s.width == 1:
		return s.narrow(false)
	case s.held == s.width:
		s.held = 0
		return s.take(s.wide(s.part[:s.width]))
	case s.state == between && !s.promising():
		s.state = 0
	}
	return false
}

// promising reports whether the last byte may belong to a brace or a skipped character. If
// not, the scan must not wait for the rest, which the client may send only after an answer.
func (s *scan) promising() bool {
	c := s.part[s.held-1]
	at := s.held // counted from the low byte
	if !s.little {
		at = s.width + 1 - s.held
	}
	switch at {
	case 1:
		return lowBytes[c]
	case 2:
		return highBytes[c]
	}
	return c == 0
}

// highBytes and lowBytes are the bytes of the characters that may begin an object, all of
// which are in the basic plane.
var highBytes, lowBytes = func() (high, low [256]bool) {
	for c := range rune(1 << 16) {
		if after, brace := between.next(c); after != 0 || brace {
			high[c>>8], low[c&0xff] = true, true
		}
	}
	return high, low
}()

// narrow reads what is held as UTF-8, or as ISO-8859-1 if it is not.
func (s *scan) narrow(ended bool) bool {
	for s.held > 0 && (ended || utf8.FullRune(s.part[:s.held])) {
		c, size := utf8.DecodeRune(s.part[:s.held])
		if c == utf8.RuneError && size == 1 {
			if c = rune(s.part[0]); c >= 0xFE {
				c = 0xFEFF // a byte-order mark's bytes
			}
		}
		copy(s.part[:], s.part[size:s.held])
		s.held -= size
		if s.take(c) {
			return true
		}
	}
	return false
}
