package hop

import (
	"net/http"
	"strings"
)

// Header is a header's name as [Fold] returns it.
type Header string

// Ours are the prefixes of this module's headers.
var Ours = [...]Header{"x-verified-", "x-identity-"}

// IsOurs reports whether a header's name has one of our prefixes, in any spelling.
func IsOurs(name string) bool { return Ours[0].Begins(name) || Ours[1].Begins(name) }

// NewHeader returns the header of that name.
func NewHeader(name string) Header { return Header(Fold(name)) }

// Is reports whether a name is the header's, in any spelling.
func (h Header) Is(name string) bool { return len(name) == len(h) && h.Begins(name) }

// Begins reports whether a name begins with the header's, in any spelling.
func (h Header) Begins(name string) bool {
	if len(name) < len(h) {
		return false
	}
	for i := range len(h) {
		if foldByte(name[i]) != h[i] {
			return false
		}
	}
	return true
}

// Respelled reports whether the header is present in a spelling that some backend finds
// but Caddy's placeholder does not: with _ or . for -.
func (h Header) Respelled(header http.Header) bool {
	for name := range header {
		if h.Is(name) && !strings.EqualFold(name, string(h)) {
			return true
		}
	}
	return false
}

// Find returns a value of the header, in any spelling, and whether there are more. One for
// which is returns true; a nil is takes any.
func (h Header) Find(header http.Header, is func(value string) bool) (value string, found, more bool) {
	count := 0
	for name, values := range header {
		if !h.Is(name) {
			continue
		}
		for _, v := range values {
			if count++; !found && (is == nil || is(v)) {
				value, found = v, true
			}
		}
	}
	return value, found, found && count > 1
}

// Cut removes the header, in any spelling.
func (h Header) Cut(header http.Header) {
	for name := range header {
		if h.Is(name) {
			delete(header, name)
		}
	}
}

// foldByte maps to one character all that CGI-like backends put into one variable: some
// map only _ and . to -, some every character that is neither a letter nor a digit.
func foldByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// Fold returns a header's name, or a text with such names, in the spelling in which they
// are compared.
func Fold(name string) string {
	folded := []byte(name)
	for i := range folded {
		folded[i] = foldByte(folded[i])
	}
	return string(folded)
}
