package verifier

import (
	"bytes"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// maxLine is how long a line may be that is looked at as a part's header may be
// written. Parsers have limits of that order.
const maxLine = 16 << 10

// Search looks for a watched name in a body that does not read in one way and
// comes in pieces, in constant memory and bounded time. It finds a name however it
// is written, and in a multipart body also one that is encoded as in a part's header (RFC 2047, RFC 2231, folded lines), on any line: where the
// headers are, parsers differ over.
type Search struct {
	watched *names.Set
	raw     *names.Search
	parts   bool // it is a multipart body
	ways    bool // a text on the way may be encoded

	line   []byte // a line and those that continue it
	begins bool   // of the last line nothing is there yet
	folded bool
	name   string
	found  bool
	work   names.Work // what is left
}

// Search begins a search. parts says that the body may be a multipart one.
func (r *Reader) Search(parts bool) *Search {
	s := &Search{watched: r.watched, parts: parts, ways: r.form.ways, begins: true, work: names.FirstWork}
	s.raw = r.watched.Search(&s.work)
	return s
}

// Write implements [io.Writer]. Its error is always nil.
func (s *Search) Write(p []byte) (int, error) {
	s.work.Add(len(p))
	for rest := p; s.parts && !s.found && len(rest) > 0; {
		end := bytes.IndexAny(rest, "\r\n")
		switch {
		case end == 0:
			s.line, s.begins, rest = append(s.line, rest[0]), true, rest[1:]
		case end < 0:
			s.text(rest)
			rest = nil
		default:
			s.text(rest[:end])
			rest = rest[end:]
		}
		if len(s.line) >= maxLine {
			s.look(true)
		}
	}
	return s.raw.Write(p)
}

// text takes a piece of a line.
func (s *Search) text(piece []byte) {
	if s.begins {
		if piece[0] != ' ' && piece[0] != '\t' {
			s.look(false)
		} else if len(s.line) > 0 {
			s.folded = true
		}
		s.begins = false
	}
	for len(piece) > 0 && !s.found {
		n := min(len(piece), maxLine-len(s.line))
		s.line, piece = append(s.line, piece[:n]...), piece[n:]
		if len(s.line) == maxLine {
			s.look(true)
		}
	}
}

// look looks into the line that is there, or into the first part of one that is
// too long: of what is encoded in such a line it cannot be told.
func (s *Search) look(long bool) {
	line := s.line
	encoded := hasStar(line) || hasWord(line)
	coded := s.ways && (containsFold(line, "content-transfer-encoding") && (containsFold(line, "base64") || containsFold(line, "quoted")) ||
		containsFold(line, "charset") && !containsFold(line, "utf-8") && !containsFold(line, "utf8"))
	if encoded || s.folded && (containsFold(line, "name") || containsFold(line, "content-")) {
		s.name, s.found = s.watched.StandInHeader(line, &s.work)
	}
	if !s.found && (coded || long && encoded) {
		s.name, s.found = s.watched.Any()
	}
	kept := 0
	if long { // a mark may go on in what follows
		kept = copy(line, line[len(line)-maxWord:])
	}
	s.line, s.folded = line[:kept], s.folded && long
}

// hasStar reports whether a parameter is written as in RFC 2231: name* or filename*.
func hasStar(line []byte) bool {
	for rest := line; ; {
		i := bytes.IndexByte(rest, '*')
		if i < 0 {
			return false
		}
		before := bytes.TrimRight(rest[:i], " \t\r\n")
		if len(before) >= 4 && bytes.EqualFold(before[len(before)-4:], []byte("name")) {
			return true
		}
		rest = rest[i+1:]
	}
}

// maxWord is longer than the beginning of an encoded word is.
const maxWord = 64

// hasWord reports whether an encoded word (RFC 2047) begins: =?charset?b? or q.
func hasWord(line []byte) bool {
	for rest := line; ; {
		_, after, found := bytes.Cut(rest, []byte("=?"))
		if !found {
			return false
		}
		rest = after
		charset, after, found := bytes.Cut(after, []byte("?"))
		if found && 0 < len(charset) && len(charset) < maxWord-8 && len(after) >= 2 && after[1] == '?' && bytes.IndexByte([]byte("bBqQ"), after[0]) >= 0 {
			return true
		}
	}
}

func containsFold(text []byte, lower string) bool {
	first := lower[0]
	for i := 0; i+len(lower) <= len(text); i++ {
		if text[i]|0x20 == first && bytes.EqualFold(text[i:i+len(lower)], []byte(lower)) {
			return true
		}
	}
	return false
}

// End ends the text, and returns the name that can stand in it.
func (s *Search) End() (name string, yes bool) {
	if s.parts && !s.found {
		s.look(false)
	}
	if _ = s.raw.Close(); s.found {
		return s.name, true
	}
	return s.raw.Found()
}
