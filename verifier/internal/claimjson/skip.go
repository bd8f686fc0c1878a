package claimjson

import (
	"encoding/binary"
	"math/bits"
)

// skip validates the value that begins at i, which nothing watches. It is one
// loop: what would be the call stack is a bit for each open container, set for
// the objects, so that no input can make it grow.
func (s *scanner) skip(i int) int {
	b := s.body
	base := s.depth
	depth, object := base, false
	for {
		if object {
			if i >= len(b) || b[i] != '"' {
				return s.fail(ErrSyntax)
			}
			if i = endPlain(b, i+1); i < len(b) && b[i] == '"' {
				i++
			} else if i = endString(b, i); i < 0 {
				return s.fail(ErrSyntax)
			}
			if i < len(b) && b[i] <= ' ' {
				i = endBlanks(b, i)
			}
			if i >= len(b) || b[i] != ':' {
				return s.fail(ErrSyntax)
			}
			i++
			if i < len(b) && b[i] <= ' ' {
				i = endBlanks(b, i)
			}
		}
		if i >= len(b) {
			return s.fail(ErrSyntax)
		}
		switch c := b[i]; c {
		case '"':
			if end := endShortString(b, i+1); end != 0 {
				i = end
			} else {
				i = endString(b, i+1)
			}
		case '1', '2', '3', '4', '5', '6', '7', '8', '9':
			start := i
			if i = endDigits(b, i+1); i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
				i = endNumber(b, start)
			}
		case '-', '0':
			i = endNumber(b, i)
		case 't':
			i = endLiteral(b, i, "true")
		case 'f':
			i = endLiteral(b, i, "false")
		case 'n':
			i = endLiteral(b, i, "null")
		case '{', '[':
			if depth == maxDepth {
				return s.fail(ErrDepth)
			}
			s.push(depth, object)
			depth++
			object = c == '{'
			i++
			if i < len(b) && b[i] <= ' ' {
				i = endBlanks(b, i)
			}
			// '{' and '[' are two below their closing bracket.
			if i >= len(b) || b[i] != c+2 {
				continue
			}
		default:
			i = -1
		}
		if i < 0 {
			return s.fail(ErrSyntax)
		}
		for {
			if depth == base {
				return i
			}
			if i < len(b) && b[i] <= ' ' {
				i = endBlanks(b, i)
			}
			if i >= len(b) {
				return s.fail(ErrSyntax)
			}
			c := b[i]
			i++
			if c == ',' {
				break
			}
			if object && c != '}' || !object && c != ']' {
				return s.fail(ErrSyntax)
			}
			depth--
			object = s.opened[depth>>6]>>(depth&63)&1 != 0
		}
		if i < len(b) && b[i] <= ' ' {
			i = endBlanks(b, i)
		}
	}
}

// push keeps, while a container is open, whether the one around it is an object.
func (s *scanner) push(depth int, object bool) {
	bit := uint64(1) << (depth & 63)
	if object {
		s.opened[depth>>6] |= bit
	} else {
		s.opened[depth>>6] &^= bit
	}
}

// endShortString is endString where the string ends within eight bytes, and
// else 0. It is small enough to be inlined.
func endShortString(b []byte, i int) int {
	if i+8 > len(b) {
		return 0
	}
	m := special(binary.LittleEndian.Uint64(b[i:]))
	if i += bits.TrailingZeros64(m) >> 3; m == 0 || b[i] != '"' {
		return 0
	}
	return i + 1
}

// endPlain returns the index of the first byte from i on that does not stand
// for itself in a string, or len(b). It serves names: they repeat, so that the
// processor foretells where this loop ends and reads on, whereas the index
// that comes from special must be waited for. On many small objects it is a
// fifth faster in all.
func endPlain(b []byte, i int) int {
	for i < len(b) && plain[b[i]] {
		i++
	}
	return i
}

var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// endNumber returns the index after the number that begins at i, or -1.
func endNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	digits := i
	if i = endDigits(b, i); i == digits || b[digits] == '0' && i > digits+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		digits = i + 1
		if i = endDigits(b, digits); i == digits {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		digits = i
		if i = endDigits(b, digits); i == digits {
			return -1
		}
	}
	return i
}

func endDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func endLiteral(b []byte, i int, literal string) int {
	if len(b)-i < len(literal) || string(b[i:i+len(literal)]) != literal {
		return -1
	}
	return i + len(literal)
}

// endBlanks returns the index of the first byte from i on that is no blank of
// RFC 8259, section 2, or len(b).
func endBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}
