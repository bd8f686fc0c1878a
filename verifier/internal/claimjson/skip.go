package claimjson

import "math/bits"

// skip validates the value that begins at i, which nothing watches. It is one
// loop: what would be the call stack is a bit for each open container, set for
// the objects, so that no input can make it grow.
//
// It is what large bodies cost, so it asks for what is likely first, and for
// spaces only where that is not there. Indexes are compared as unsigned, which
// is the compiler's own check, so that it makes no second one.
func (s *scanner) skip(i int) int {
	b := s.body
	base := s.depth
	depth, object := base, false
	k := uint8(0) // members since the last object began
	for {
		if object {
			if n := s.names[k&31].again(b, i); n != 0 {
				i += n
			} else if i = s.name(i, k); i < 0 {
				return s.fail(ErrSyntax)
			}
			k++
		}
		if uint(i) < uint(len(b)) && b[i] <= ' ' {
			i = endSpaces(b, i)
		}
		if uint(i) >= uint(len(b)) {
			return s.fail(ErrSyntax)
		}
		switch c := b[i]; {
		case c == '"':
			i++
			for range 3 {
				if uint(i) >= uint(len(b)) || len(b)-i < 8 {
					break
				}
				if m := special(word(b[i:i+8])) & highs; m != 0 {
					i += s.lengths.foretold(k, m)
					break
				}
				i += 8
			}
			if uint(i) < uint(len(b)) && b[i] == '"' {
				i++
			} else {
				i = endString(b, i)
			}
		case c-'1' < 9:
			start := i
			if i = endDigits(b, i+1); uint(i) < uint(len(b)) && (b[i] == '.' || b[i]|0x20 == 'e') {
				i = endNumber(b, start)
			}
		case c == '{' || c == '[':
			if depth == maxDepth {
				return s.fail(ErrDepth)
			}
			s.push(depth, object)
			depth++
			if object = c == '{'; object {
				k = 0
			}
			i++
			if uint(i) < uint(len(b)) && b[i] <= ' ' {
				i = endSpaces(b, i)
			}
			// '{' and '[' are two below their closing bracket.
			if uint(i) >= uint(len(b)) || b[i] != c+2 {
				continue
			}
		case c == 't':
			i = endLiteral(b, i, "true")
		case c == 'f':
			i = endLiteral(b, i, "false")
		case c == 'n':
			i = endLiteral(b, i, "null")
		case c == '-' || c == '0':
			i = endNumber(b, i)
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
			if uint(i) < uint(len(b)) && b[i] <= ' ' {
				i = endSpaces(b, i)
			}
			if uint(i) >= uint(len(b)) {
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

// name reads the k-th member of an object, which begins at i with its name or
// with spaces, as far as the colon.
func (s *scanner) name(i int, k uint8) int {
	b, start := s.body, i
	if i = endSpaces(b, i); i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = endString(b, i+1); i < 0 {
		return -1
	}
	if i = endSpaces(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	i++
	if i-start <= maxSeen && start < 1<<31 {
		s.names[k&31] = seen{uint32(start), uint32(i - start)}
	}
	return i
}

// seen is a piece of the body that was read already. The objects of an array are
// alike: the same bytes in the same place are not read again.
type seen struct{ at, length uint32 }

const maxSeen = 32

// again returns the piece's length if the same bytes stand at i, else 0.
func (p seen) again(b []byte, i int) int {
	at, n := int(p.at), int(p.length)
	if len(b)-i < maxSeen || p.differs(b, i) || n > 8 && string(b[at+8:at+n]) != string(b[i+8:i+n]) {
		return 0
	}
	return n
}

// differs compares up to eight bytes.
func (p seen) differs(b []byte, i int) bool {
	at := int(p.at)
	x := word(b[at:at+8]) ^ word(b[i:i+8])
	return x<<((64-8*min(p.length, 8))&63) != 0
}

// lengths foretells how long short strings are, or the last eight bytes of
// longer ones: as in the same place of the object before. Where a string ends
// decides where everything behind it begins. To compute that takes the processor
// a while, in which it can go on with what was foretold and checked only later.
type lengths [64]uint8

// foretold returns the index of the first byte that m marks, in the k-th member.
func (l *lengths) foretold(k uint8, m uint64) int {
	n := l[k&63]
	if m&-m != 0x80<<(n&63) {
		n = uint8(bits.TrailingZeros64(m)) &^ 7
		l[k&63] = n
	}
	return int(n >> 3)
}

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
	for uint(i) < uint(len(b)) && b[i]-'0' <= 9 {
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

// endSpaces returns the index of the first byte from i on that is no space of
// RFC 8259, section 2, or len(b).
func endSpaces(b []byte, i int) int {
	for uint(i) < uint(len(b)) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}
