package claimform

import "strings"

// maxBoundary is RFC 2046's.
const maxBoundary = 70

// ValidBoundary reports whether s is a boundary that all parsers read alike: 1 to
// 70 of the characters of RFC 2046 section 5.1.1, but neither a space nor a
// comma, at which Rack, PHP and Ruby's CGI end it, or of those of a token (RFC
// 9110 section 5.6.2), which nobody's Content-Type ends at: "*****" is Android's.
func ValidBoundary(s string) bool {
	if len(s) < 1 || len(s) > maxBoundary {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlphanumeric(c) && strings.IndexByte("'()+_-./:=?!#$%&*^`|~", c) < 0 {
			return false
		}
	}
	return true
}

// An InHeader reports whether a watched name can stand in a part's header that
// does not read in one way, and which. The header is given with its last empty
// line, and shares memory with what was written.
type InHeader func(header []byte) (name string, stands bool)

// Multipart reads a multipart/form-data body (RFC 7578) as it arrives, in
// constant memory but for the values of watched fields.
//
// Only one shape is read: before the first delimiter there is nothing, or one
// CRLF, behind the last there are only CRLFs, and wherever "--" and the boundary
// stand is a delimiter (RFC 2046 section 5.1.1) that ends its line without
// padding. Parts within a part, a part that begins with an empty line, and one
// whose header is too long are not of it.
type Multipart struct {
	names    *Names
	matches  *Matches
	inHeader InHeader

	buf       [2 + maxBoundary]byte
	delimiter []byte // "--" and the boundary, in buf
	step      step
	matched   int // how much of what step expects has been read
	read      int // bytes before those that are being read
	allowed   int64

	head []byte // of a header that has not ended yet
	part part
	// tail is the end of the content before what is being read: all but the last
	// byte of a delimiter may stand there, with the CRLF before it. The array has
	// room for the rest of a delimiter.
	tail []byte
	ends [2 * (2 + maxBoundary)]byte

	tooLong, charset bool
	refused          error
}

// step is what a body is expected to go on with.
type step uint8

const (
	opening   step = iota // the first delimiter
	delimited             // what follows a delimiter
	heading
	content
	closing // CRLFs
	broken
)

// NewMultipart returns what reads a body with that boundary, of whose fields, with
// their headers, maxFields bytes are allowed. A part is a field if it has no file
// name and no type but text/plain, or is one that n watches. What is found goes into
// h. A nil inHeader answers that a name can always stand there.
func NewMultipart(boundary string, n *Names, inHeader InHeader, maxFields int64, h *Matches) *Multipart {
	h.begin(len(n.list))
	m := &Multipart{names: n, matches: h, inHeader: inHeader, allowed: maxFields}
	if !ValidBoundary(boundary) {
		m.step = broken
		return m
	}
	m.delimiter = append(append(m.buf[:0], "--"...), boundary...)
	return m
}

// Write reads on. It fails with ErrFields, as soon as that is certain, and then
// again; whatever else is wrong, Close says.
func (m *Multipart) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && m.step != broken; {
		var n int
		switch m.step {
		case opening:
			n = m.open(rest)
		case delimited:
			n = m.follow(rest)
		case heading:
			n = m.header(rest)
		case content:
			n = m.content(rest)
		case closing:
			n = m.epilogue(rest)
		}
		rest = rest[n:]
		m.read += n
	}
	if m.tooLong {
		return 0, ErrFields
	}
	return len(p), nil
}

// Close says how the body reads: nil if in one way, so that the matches are all
// there is, or ErrFields, ErrCharset, an ErrHeader or ErrMultipart, which leave
// no matches.
func (m *Multipart) Close() error {
	err := m.refused
	switch {
	case m.tooLong:
		err = ErrFields
	case m.charset:
		err = ErrCharset
	case err == nil && (m.step != closing || m.matched != 0):
		err = ErrMultipart
	}
	if err != nil {
		m.matches.forget()
	}
	return err
}

func (m *Multipart) fail() int {
	m.step = broken
	return 0
}

// open reads the first delimiter, which a CRLF may precede. m.matched counts
// from that on.
func (m *Multipart) open(p []byte) (n int) {
	if m.read == 0 && p[0] == '-' {
		m.matched = 2
	}
	for ; n < len(p) && m.matched < 2+len(m.delimiter); n++ {
		if want := m.matched - 2; want < 0 && p[n] != "\r\n"[m.matched] || want >= 0 && p[n] != m.delimiter[want] {
			return m.fail()
		}
		m.matched++
	}
	if m.matched == 2+len(m.delimiter) {
		m.delimit(m.read + n - len(m.delimiter))
	}
	return n
}

// delimit takes note of a delimiter that begins at that offset.
func (m *Multipart) delimit(at int) {
	m.part = part{start: at}
	m.step, m.matched, m.tail = delimited, 0, m.ends[:0]
}

// follow reads what follows a delimiter.
func (m *Multipart) follow(p []byte) int {
	switch {
	case m.matched == 0 && (p[0] == '\r' || p[0] == '-'):
		m.matched = int(p[0])
		return 1
	case m.matched == '\r' && p[0] == '\n':
		m.step = heading
	case m.matched == '-' && p[0] == '-':
		m.step = closing
	default:
		return m.fail()
	}
	m.matched = 0
	return 1
}

// epilogue reads what follows the last delimiter.
func (m *Multipart) epilogue(p []byte) (n int) {
	for ; n < len(p); n++ {
		if p[n] != "\r\n"[m.matched] {
			return m.fail()
		}
		m.matched ^= 1
	}
	return n
}
