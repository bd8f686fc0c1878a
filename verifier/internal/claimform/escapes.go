package claimform

import (
	"bytes"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// badEscape reports whether a percent sign is not followed by two hexadecimal digits.
func badEscape(s []byte) bool {
	for i := 0; i < len(s); i += 3 {
		if s[i] != '%' {
			next := bytes.IndexByte(s[i:], '%')
			if next < 0 {
				return false
			}
			i += next
		}
		if i+2 >= len(s) || names.HexDigits[s[i+1]]|names.HexDigits[s[i+2]] < 0 {
			return true
		}
	}
	return false
}

// A coding is how a name or value is written.
type coding uint8

const (
	plain   coding = iota
	percent        // with %XX and %uXXXX, which JavaScript's escape writes and ASP reads
	query          // as percent, and with '+' for a space
)

// decode appends s to buf, decoded. A bad escape stays as it is, as in the
// WHATWG URL standard.
func decode(buf, s []byte, c coding) []byte {
	for i := 0; i < len(s); {
		if s[i] == '%' && c != plain {
			var r rune
			if r, i = c.unicodeEscape(s, i); r >= 0 {
				buf = utf8.AppendRune(buf, r)
				continue
			}
		}
		var b byte
		b, i = c.byte(s, i)
		buf = append(buf, b)
	}
	return buf
}

// Unescape returns a value as the parser of a query reads it.
func Unescape(value []byte) []byte { return decode(nil, value, query) }

// escaped reports whether decode changes s.
func (c coding) escaped(s []byte) bool {
	return c != plain && bytes.IndexByte(s, '%') >= 0 || c == query && bytes.IndexByte(s, '+') >= 0
}

// byte returns the byte that stands at i, and the index after it.
func (c coding) byte(s []byte, i int) (byte, int) {
	b := s[i]
	if b == '+' && c == query {
		return ' ', i + 1
	}
	if b == '%' && c != plain && i+2 < len(s) {
		if d := names.HexDigits[s[i+1]]<<4 | names.HexDigits[s[i+2]]; d >= 0 {
			return byte(d), i + 3
		}
	}
	return b, i + 1
}

// unicodeEscape returns the rune of the %uXXXX that stands at i, and the index
// after it; -1 and i where none does.
func (c coding) unicodeEscape(s []byte, i int) (rune, int) {
	if i+5 >= len(s) || s[i] != '%' || s[i+1]|0x20 != 'u' {
		return -1, i
	}
	var r rune
	for _, digit := range s[i+2 : i+6] {
		if r = r<<4 | names.HexDigits[digit]; r < 0 {
			return -1, i
		}
	}
	if !utf8.ValidRune(r) {
		r = utf8.RuneError
	}
	return r, i + 6
}

// rune returns the rune that stands at i, and the index after it. What is not
// UTF-8 is U+FFFD for each byte, and not valid.
func (c coding) rune(s []byte, i int) (r rune, end int, valid bool) {
	b, end := c.byte(s, i)
	switch {
	case b >= utf8.RuneSelf:
		return c.longRune(s, i)
	case b == '%' && c != plain:
		if r, end := c.unicodeEscape(s, i); r >= 0 {
			return r, end, true
		}
	}
	return rune(b), end, true
}

// longRune is rune where that is not ASCII.
func (c coding) longRune(s []byte, i int) (r rune, end int, valid bool) {
	if r, size := utf8.DecodeRune(s[i:]); size > 1 {
		return r, i + size, true
	}
	var text [utf8.UTFMax]byte
	var ends [utf8.UTFMax + 1]int
	text[0], ends[1] = c.byte(s, i)
	n := 1
	for n < len(text) && ends[n] < len(s) {
		b, end := c.byte(s, ends[n])
		if utf8.RuneStart(b) {
			break
		}
		text[n], ends[n+1] = b, end
		n++
	}
	r, size := utf8.DecodeRune(text[:n])
	return r, ends[size], r != utf8.RuneError || size > 1
}

// Overlong reports whether a byte of an overlong encoding of an ASCII character
// (RFC 3629 section 10) stands escaped in a query: readers that do not check
// UTF-8 take it for that character, and no honest client sends one.
func Overlong(raw []byte) bool {
	var lead byte
	for at := 0; ; {
		i := bytes.IndexByte(raw[at:], '%')
		if i < 0 {
			return false
		}
		if i > 0 {
			lead = 0
		}
		var b byte
		b, at = percent.byte(raw, at+i)
		if b == 0xc0 || b == 0xc1 || 0x80 <= b && (lead == 0xe0 && b < 0xa0 || lead == 0xf0 && b < 0x90) {
			return true
		}
		lead = b
	}
}
