package body

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Beginning is what is known of how a body begins.
type Beginning uint8

// How a body begins.
const (
	// Unclear says that more of the body is needed, or that nobody can tell.
	Unclear Beginning = iota
	// Opaque says that no object begins in the body, whoever reads it.
	Opaque
	// Object says that an object begins for some reader: its first character is
	// a brace, after what lenient readers skip.
	Object
)

// start finds out how a body begins while it arrives, in pieces of any size.
// Before the brace it skips what some reader skips: byte-order marks, NULs,
// spaces of all kinds and control characters, comments (//, /* and #) and )]}'.
// It reads the body as UTF-8 or ISO-8859-1, and as UTF-16 and UTF-32 of either
// byte order: an object in one of them is an object.
type start struct {
	framed bool // whether a gRPC frame's header is no beginning
	head   [frameHead]byte
	held   int // of head
	known  Beginning
	scans  [5]scan
}

// frameHead is a frame's header and the byte behind it.
const frameHead = 6

// feed takes the next piece.
func (s *start) feed(piece []byte) Beginning {
	if s.framed {
		n := copy(s.head[s.held:], piece)
		s.held, piece = s.held+n, piece[n:]
		if !s.unframed(false) {
			return s.known
		}
	}
	return s.scan(piece)
}

// end says that there is no more.
func (s *start) end() Beginning {
	if s.framed && !s.unframed(true) {
		return s.known
	}
	s.scan(nil)
	switch {
	case s.known != Unclear:
	case s.scans[0].narrow(true):
		s.known = Object
	default:
		s.known = Opaque
	}
	return s.known
}

// unframed reports whether the body begins with no frame, and scans what was
// held back of it.
func (s *start) unframed(ended bool) bool {
	head := s.head[:s.held]
	frame, clear := isFrame(head, ended)
	switch {
	case frame:
		s.known = Opaque
		return false
	case !clear:
		return false
	}
	s.framed = false
	s.scan(head)
	return true
}

// isFrame says whether a body that begins so begins with a frame: flags, a
// length of less than 16 MiB, and a message. None begins with a NUL, but UTF-32
// goes on with one; behind an empty one are the next frame's flags.
func isFrame(head []byte, ended bool) (yes, clear bool) {
	switch {
	case len(head) > 0 && !isFrameFlag(head[0]), len(head) > 1 && head[1] != 0:
		return false, true
	case len(head) == frameHead:
		if head[2]|head[3]|head[4] == 0 {
			return isFrameFlag(head[5]), true
		}
		return head[5] != 0, true
	}
	return ended && len(head) == frameHead-1, ended
}

// isFrameFlag holds for the flags in use: compressed, end of a Connect stream,
// trailers of gRPC-Web.
func isFrameFlag(c byte) bool { return c&^0x83 == 0 }

func (s *start) scan(piece []byte) Beginning {
	if s.scans[0].unit == 0 {
		for i, unit := range [...]int8{1, 2, -2, 4, -4} {
			s.scans[i] = scan{unit: unit, state: between}
		}
	}
	if s.known != Unclear {
		return s.known
	}
	var alive state
	for i := range s.scans {
		if s.scans[i].feed(piece) {
			s.known = Object
			return Object
		}
		alive |= s.scans[i].state
	}
	if alive == 0 {
		s.known = Opaque
	}
	return s.known
}

// state is a set of places in which a reader may be before the brace: readers
// differ in what ends a comment. The empty set: no reader finds an object.
type state uint16

const (
	between   state = 1 << iota
	slash           // behind the first character of a comment
	line            // in a comment that a newline ends
	comment         // in a comment that */ ends
	star            // in it, behind a star
	guard1          // in )]}'
	guard2          //
	guard3          //
	guardDone       // behind it, where Angular takes a comma
)

// next returns where readers are after one more character, and whether one of
// them finds a brace.
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
		case isBlank(c):
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
		after |= guardDone | between
	case s&guardDone != 0 && c == ',':
		after |= between
	}
	return after, false
}

// isBlank holds for what some reader skips: white space of Unicode and of
// JavaScript, and like Java's trim, every control character up to the space.
func isBlank(c rune) bool {
	return c <= ' ' || c == 0xFEFF || c == 0x180E || c == 0x200B || c >= 0x80 && unicode.IsSpace(c)
}

// scan reads the beginning in one encoding.
type scan struct {
	unit  int8 // bytes of a character, below 0: the low one first; 1: UTF-8
	held  int8
	part  [utf8.UTFMax]byte // of a character
	state state
}

// feed reports whether a brace is found.
func (s *scan) feed(piece []byte) bool {
	for len(piece) > 0 && s.state != 0 {
		if s.held == 0 {
			if n := s.run(piece); n > 0 {
				piece = piece[n:]
				continue
			}
		}
		c := piece[0]
		piece = piece[1:]
		var found bool
		switch {
		case s.unit != 1:
			found = s.wide(c)
		case c < utf8.RuneSelf && s.held == 0:
			found = s.take(rune(c))
		default:
			s.part[s.held] = c
			s.held++
			found = s.narrow(false)
		}
		if found {
			return true
		}
	}
	return false
}

// run returns how many bytes change nothing. It is for speed alone: what is
// skipped may be as long as a body.
func (s *scan) run(piece []byte) (n int) {
	switch {
	case s.unit != 1:
		for n < len(piece) && piece[n] == 0 {
			n++
		}
		return n - n%int(max(s.unit, -s.unit))
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

// take reads a character. NULs are nowhere: readers of other encodings see them
// between the characters, and a scan of UTF-8 is theirs, too.
func (s *scan) take(c rune) (brace bool) {
	if c != 0 {
		s.state, brace = s.state.next(c)
	}
	return brace
}

func (s *scan) wide(c byte) bool {
	s.part[s.held] = c
	s.held++
	if s.held != max(s.unit, -s.unit) {
		if s.state == between && !s.promising(c) {
			s.state = 0
		}
		return false
	}
	var r uint32
	for i := range s.held {
		if s.unit > 0 {
			r = r<<8 | uint32(s.part[i])
		} else {
			r |= uint32(s.part[i]) << (8 * i)
		}
	}
	s.held = 0
	return s.take(rune(min(r, unicode.MaxRune+1)))
}

// promising reports whether c, the last byte of a character that is not complete,
// may be one of a character that is skipped or a brace. If not, there is no need
// to wait for the rest: the client may not send it before somebody has answered.
func (s *scan) promising(c byte) bool {
	switch {
	case s.unit == 2, s.unit == 4 && s.held == 3, s.unit == -4 && s.held == 2:
		return highBytes[c]
	case s.unit == 4, s.held == 3:
		return c == 0
	}
	return lowBytes[c]
}

// highBytes and lowBytes are those of the characters with which a beginning goes
// on. All are in the basic plane.
var highBytes, lowBytes = func() (high, low [256]bool) {
	for c := range rune(1 << 16) {
		if after, brace := between.next(c); after != 0 || brace {
			high[c>>8], low[c&0xff] = true, true
		}
	}
	return high, low
}()

// narrow reads what is held as UTF-8, and what is none as ISO-8859-1.
func (s *scan) narrow(ended bool) bool {
	for s.held > 0 && (ended || utf8.FullRune(s.part[:s.held])) {
		c, size := utf8.DecodeRune(s.part[:s.held])
		if c == utf8.RuneError && size == 1 {
			if c = rune(s.part[0]); c >= 0xFE {
				c = 0xFEFF // a byte-order mark's bytes
			}
		}
		copy(s.part[:], s.part[size:s.held])
		s.held -= int8(size)
		if s.take(c) {
			return true
		}
	}
	return false
}
