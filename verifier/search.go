package verifier

import (
	"bytes"
	"io"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// maxBlock is how much is looked at at a time as a part's header may be written,
// keptBlock how much of that once more with what follows. Parsers have limits of
// that order for a line.
const (
	maxBlock  = 16 << 10
	keptBlock = 8 << 10
)

// Search looks for the name of a claim's field in a body that does not read in one
// way, in constant memory and bounded time. write writes the body to what it is
// given, and reports whether all of it was taken: otherwise it cannot be told, and
// the answer is yes. It finds a name however it is written, and in a multipart body also
// one that is encoded as in a part's header (RFC 2047, RFC 2231, lines that some
// parser joins), wherever it is: where the headers are, parsers differ over.
func (r *reader) Search(multipart bool, write func(io.Writer) bool) (name string, stands bool) {
	s := r.newSearch(multipart)
	if !write(s) {
		return "", true
	}
	return s.end()
}

type search struct {
	watched *names.Set
	raw     *names.Search
	parts   bool // it is a multipart body
	ways    bool // a text on the way may be encoded

	block  []byte // lines up to an empty one
	breaks int    // newlines behind the last line
	lines  bool   // there is more than one
	named  bool   // something of a header was seen in them
	name   string
	found  bool
	work   names.Work // what is left
}

func (r *reader) newSearch(parts bool) *search {
	s := &search{watched: r.watched, parts: parts, ways: r.form.ways, work: names.FirstWork}
	s.raw = r.watched.Search(&s.work)
	return s
}

// Write implements [io.Writer]. Its error is always nil.
func (s *search) Write(p []byte) (int, error) {
	s.work.Add(len(p))
	for rest := p; s.parts && !s.found && len(rest) > 0; {
		end := bytes.IndexAny(rest, "\r\n")
		if end == 0 {
			s.newline(rest[0])
			rest = rest[1:]
			continue
		}
		if end < 0 {
			end = len(rest)
		}
		if s.breaks > 0 {
			s.breaks, s.lines = 0, true
		}
		n := min(end, maxBlock-len(s.block))
		s.block, rest = append(s.block, rest[:n]...), rest[n:]
		if len(s.block) == maxBlock {
			s.look(true)
		}
	}
	return s.raw.Write(p)
}

// newline takes a CR or an LF. Behind an empty line a block has ended for everyone.
func (s *search) newline(c byte) {
	last := byte(0)
	if len(s.block) > 0 {
		last = s.block[len(s.block)-1]
	}
	if s.breaks++; last == '\r' && c == '\n' {
		s.breaks-- // one newline
	}
	if s.block = append(s.block, c); s.breaks > 1 || len(s.block) >= maxBlock {
		s.look(s.breaks <= 1)
	}
}

// look looks into the block that is there, or into the first part of one that is
// too long: of what is encoded in pieces there it cannot be told.
func (s *search) look(long bool) {
	block := s.block
	encoded := names.IsEncoded(block)
	s.named = s.named || claimform.ContainsFold(block, "name") || claimform.ContainsFold(block, "content-")
	coded := s.ways && (claimform.ContainsFold(block, "content-transfer-encoding") && (claimform.ContainsFold(block, "base64") || claimform.ContainsFold(block, "quoted")) ||
		claimform.ContainsFold(block, "charset") && !claimform.ContainsFold(block, "utf-8") && !claimform.ContainsFold(block, "utf8"))
	if encoded || s.named && (s.lines || bytes.IndexByte(block, 0) >= 0) {
		s.name, s.found = s.watched.StandInHeader(block, &s.work)
	}
	if !s.found && (coded || long && encoded) {
		s.name, s.found = s.watched.Any()
	}
	if !long {
		s.block, s.lines, s.named, s.breaks = block[:0], false, false, 0
		return
	}
	s.block = block[:copy(block, block[len(block)-keptBlock:])]
}

// end ends the text, and returns the name that can stand in it.
func (s *search) end() (name string, yes bool) {
	if s.parts && !s.found {
		s.look(false)
	}
	if _ = s.raw.Close(); s.found {
		return s.name, true
	}
	return s.raw.Found()
}
