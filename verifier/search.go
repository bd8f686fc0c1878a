package verifier

import "github.com/chatidentity/caddy-chat-identity/verifier/internal/names"

// maxPartHeader is how much of what may be the header of a multipart part is
// looked at as one. Parsers have limits of that order.
const maxPartHeader = 8 << 10

// Search looks for a watched name in a body that comes in pieces, in constant
// memory. It finds a name however it is written, and in whatever some parser may take
// for the header of a multipart part (what follows a line that begins with two
// hyphens) also names that are encoded as headers are: RFC 2047, RFC 2231.
type Search struct {
	watched *names.Set
	search  *names.Search
	line    [2]byte // how the line begins
	length  int     // of the line
	header  []byte  // of a part, where one may be under way
	within  bool
	name    string
	found   bool
}

// Search begins a search.
func (r *Reader) Search() *Search { return &Search{watched: r.watched, search: r.watched.Search()} }

// Write implements [io.Writer]. Its error is always nil.
func (s *Search) Write(p []byte) (int, error) {
	for _, c := range p {
		if s.within {
			s.header = append(s.header, c)
		}
		if c != '\n' && c != '\r' {
			if s.length < len(s.line) {
				s.line[s.length] = c
			}
			s.length++
		}
		switch {
		case s.within && len(s.header) == maxPartHeader:
			s.endHeader()
		case c != '\n':
		case s.length == 0 && s.within:
			s.endHeader()
		case s.length >= len(s.line) && s.line == [2]byte{'-', '-'}:
			if s.within {
				s.endHeader()
			}
			s.within = true
		}
		if c == '\n' {
			s.length = 0
		}
	}
	return s.search.Write(p)
}

// endHeader looks into what may have been a header.
func (s *Search) endHeader() {
	if !s.found {
		s.name, s.found = s.watched.StandInHeader(s.header)
	}
	s.header, s.within = s.header[:0], false
}

// End ends the text, and returns the name that can stand in it.
func (s *Search) End() (name string, yes bool) {
	if s.within {
		s.endHeader()
	}
	if _ = s.search.Close(); s.found {
		return s.name, true
	}
	return s.search.Found()
}
