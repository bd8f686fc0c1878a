package claimjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// Unquote appends to dst the decoded text of a string token, which stands in
// its quotes. An unpaired surrogate escape is ErrSurrogate: it stands for no
// text, and parsers differ in what they make of it. On an error dst is
// returned as it was.
func Unquote(dst, token []byte) ([]byte, error) {
	if len(token) < 2 || token[0] != '"' || endString(token, 1) != len(token) {
		if !utf8.Valid(token) {
			return dst, ErrUTF8
		}
		return dst, ErrSyntax
	}
	out, raw := dst, token[1:len(token)-1]
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(out, raw...), nil
		}
		r, size, lone := decodeRune(raw, i)
		if lone {
			return dst, ErrSurrogate
		}
		out = utf8.AppendRune(append(out, raw[:i]...), r)
		raw = raw[i+size:]
	}
}

// decodeRune decodes the rune at i of a valid string's inside. lone says that
// it was an escaped surrogate without its other half, for which r is U+FFFD.
func decodeRune(raw []byte, i int) (r rune, size int, lone bool) {
	if raw[i] != '\\' {
		r, size = utf8.DecodeRune(raw[i:])
		return r, size, false
	}
	switch c := raw[i+1]; c {
	case 'b':
		return '\b', 2, false
	case 'f':
		return '\f', 2, false
	case 'n':
		return '\n', 2, false
	case 'r':
		return '\r', 2, false
	case 't':
		return '\t', 2, false
	case 'u':
		r = hexRune(raw[i+2:])
		if !utf16.IsSurrogate(r) {
			return r, 6, false
		}
		if len(raw) >= i+12 && raw[i+6] == '\\' && raw[i+7] == 'u' {
			if r = utf16.DecodeRune(r, hexRune(raw[i+8:])); r != utf8.RuneError {
				return r, 12, false
			}
		}
		return utf8.RuneError, 6, true
	default:
		return rune(c), 2, false
	}
}

func hexRune(b []byte) (r rune) {
	for _, digit := range b[:4] {
		r = r<<4 | names.HexDigits[digit]
	}
	return r
}
