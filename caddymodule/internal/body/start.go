package body

import "io"

// Beginning is how a body begins, as far as that is known.
type Beginning uint8

// How a body begins.
const (
	// Unclear says that more of the body is needed, or that it cannot be determined.
	Unclear Beginning = iota
	// Opaque says that the body begins an object for no reader.
	Opaque
	// Object says that the body begins an object for some reader: its first character
	// after what lenient readers skip is a brace.
	Object
)

// start determines how a body begins while it arrives, in pieces of any size. Before the
// brace it skips what some reader skips: byte-order marks, NULs,
// spaces of all kinds and control characters, comments (//, /* and #) and )]}'.
// It reads the body as UTF-8 or ISO-8859-1, and as UTF-16 and UTF-32 of either
// byte order: an object in one of them is an object.
type start struct {
	framed bool // whether to skip a gRPC frame's header
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

// Write implements [io.Writer], and ends a copy when it is known how the body begins.
func (s *start) Write(piece []byte) (int, error) {
	if s.feed(piece) != Unclear {
		return 0, io.EOF
	}
	return len(piece), nil
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

// unframed reports whether the body does not begin with a frame, and then scans what was
// held back.
func (s *start) unframed(ended bool) bool {
	head := s.head[:s.held]
	frame, sure := isFrame(head, ended)
	switch {
	case frame:
		s.known = Opaque
		return false
	case !sure:
		return false
	}
	s.framed = false
	s.scan(head)
	return true
}

// isFrame reports whether a body begins with a frame: flags, a length of less than 16 MiB,
// and a message. A message does not begin with a NUL, as UTF-32 would; an empty one is
// followed by the next frame's flags.
func isFrame(head []byte, ended bool) (yes, sure bool) {
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

// isFrameFlag reports whether only flags in use are set: compressed, end of a Connect
// stream, trailers of gRPC-Web.
func isFrameFlag(c byte) bool { return c&^0x83 == 0 }

func (s *start) scan(piece []byte) Beginning {
	if s.scans[0].width == 0 {
		s.scans = [...]scan{
			{width: 1, state: between},
			{width: 2, state: between}, {width: 2, little: true, state: between},
			{width: 4, state: between}, {width: 4, little: true, state: between},
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
