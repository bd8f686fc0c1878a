package claimform

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const (
	maxHeader      = 8 << 10 // bytes of one part's header
	maxHeaderLine  = 4 << 10 // PHP breaks a longer line than 5119 bytes in two
	maxHeaderLines = 16
)

// ValidBoundary says whether s is a boundary that all parsers read alike: 1 to
// 70 of the characters of RFC 2046 section 5.1.1, but neither a blank nor a
// comma, at which Rack, PHP and Ruby's CGI end it.
func ValidBoundary(s string) bool {
	if len(s) < 1 || len(s) > 70 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlphanumeric(c) && strings.IndexByte("'()+_-./:=?", c) < 0 {
			return false
		}
	}
	return true
}

// Multipart reads a multipart/form-data body (RFC 7578) with that boundary. On
// an error h is empty.
//
// Only one shape is read: the first delimiter begins the body, nothing but one
// CRLF follows the last, and wherever "--" and the boundary stand is a delimiter
// (RFC 2046 section 5.1.1) that ends its line without padding.
func Multipart(raw []byte, boundary string, n *Names, h *Hits) error {
	h.Reset()
	m := multipart{raw: raw, boundary: boundary, names: n, hits: h}
	if err := m.read(); err != nil {
		h.Reset()
		return err
	}
	return nil
}

type multipart struct {
	raw      []byte
	boundary string
	names    *Names
	hits     *Hits
}

func (m *multipart) read() error {
	if !ValidBoundary(m.boundary) {
		return ErrMultipart
	}
	var buf [72]byte
	delimiter := append(append(buf[:0], "--"...), m.boundary...)
	if !bytes.HasPrefix(m.raw, delimiter) {
		return ErrMultipart
	}
	for start := 0; ; {
		head := start + len(delimiter)
		rest := m.raw[head:]
		if bytes.HasPrefix(rest, []byte("--")) {
			if end := string(rest[2:]); end != "" && end != "\r\n" {
				return ErrMultipart
			}
			return nil
		}
		if !bytes.HasPrefix(rest, []byte("\r\n")) {
			return ErrMultipart
		}
		head += 2
		i := bytes.Index(m.raw[head:], delimiter)
		// A delimiter's CRLF is its own: not that of the delimiter before.
		if i < 2 || m.raw[head+i-2] != '\r' || m.raw[head+i-1] != '\n' {
			return ErrMultipart
		}
		if err := m.part(head, head+i-2, Span{start, head + i}); err != nil {
			return err
		}
		start = head + i
	}
}

// part reads a part that stands in raw from start to end.
func (m *multipart) part(start, end int, span Span) error {
	var head header
	value, ok := head.parse(m.raw[start:end])
	if !ok {
		return ErrMultipart
	}
	name := head.disposition.name
	if string(name) == "_charset_" && (head.disposition.file || !bytes.EqualFold(value, []byte("utf-8"))) {
		return ErrMultipart // RFC 7578 section 4.6: the charset of all other parts
	}
	h := m.hits
	from := len(h.List)
	if h.More {
		return nil
	}
	h.matched = h.matched[:0]
	m.names.match(name, plain, h)
	if bytes.IndexByte(name, '%') >= 0 {
		// Browsers escape quotes and line breaks so, and some parsers undo it.
		m.names.match(name, percent, h)
	}
	for _, i := range h.matched {
		h.add(Hit{Name: i, Variant: string(name) != m.names.list[i], Span: span})
	}
	for k := from; k < len(h.List); k++ {
		hit := &h.List[k]
		if !head.plain() {
			return &FieldError{hit.Name, ErrPart}
		}
		// undici drops a byte-order mark.
		if !utf8.Valid(value) || bytes.HasPrefix(value, []byte("\ufeff")) {
			return &FieldError{hit.Name, ErrUTF8}
		}
		if k > from {
			hit.Span.Start = span.End
		}
		if !hit.Variant {
			hit.Value = value[:len(value):len(value)]
		}
	}
	return nil
}
