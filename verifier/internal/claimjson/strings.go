package claimjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// special marks, in the high bit of its byte, the first quote, backslash or
// control character among eight bytes; marks above the first may be false
// (borrows run upwards). A quote with bit 1 flipped is 0x20 and the blank
// 0x22, so one comparison with 0x21 finds quotes and controls together.
func special(x uint64) uint64 {
	return (((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones)) &^ x & highs
}

// endString returns the index after the closing quote of the string whose
// inside goes on at i, or -1. That the bytes are UTF-8 is known already.
func endString(b []byte, i int) int {
	if len(b)-i >= 8 { // most names are short
		if m := special(binary.LittleEndian.Uint64(b[i : i+8])); m != 0 {
			if i += bits.TrailingZeros64(m) >> 3; b[i] == '"' {
				return i + 1
			}
		}
	}
	for {
		// Escapes come in rows: text kept in ASCII has nothing else.
		for i < len(b) && b[i] == '\\' {
			if i = endEscape(b, i); i < 0 {
				return -1
			}
		}
		if i < len(b) && b[i] != '"' {
			i = findSpecial(b, i)
		}
		switch {
		case i >= len(b) || b[i] < ' ':
			return -1
		case b[i] == '"':
			return i + 1
		}
	}
}

// findSpecial returns the index of the first quote, backslash or control
// character from i on, or len(b).
func findSpecial(b []byte, i int) int {
	s := b[i:]
	for len(s) >= 32 {
		m0 := special(binary.LittleEndian.Uint64(s))
		m1 := special(binary.LittleEndian.Uint64(s[8:]))
		m2 := special(binary.LittleEndian.Uint64(s[16:]))
		m3 := special(binary.LittleEndian.Uint64(s[24:]))
		if m0|m1|m2|m3 != 0 {
			at := len(b) - len(s)
			switch {
			case m0 != 0:
				return at + bits.TrailingZeros64(m0)>>3
			case m1 != 0:
				return at + 8 + bits.TrailingZeros64(m1)>>3
			case m2 != 0:
				return at + 16 + bits.TrailingZeros64(m2)>>3
			}
			return at + 24 + bits.TrailingZeros64(m3)>>3
		}
		s = s[32:]
	}
	for len(s) >= 8 {
		if m := special(binary.LittleEndian.Uint64(s)); m != 0 {
			return len(b) - len(s) + bits.TrailingZeros64(m)>>3
		}
		s = s[8:]
	}
	for k, c := range s {
		if c == '"' || c == '\\' || c < 0x20 {
			return len(b) - len(s) + k
		}
	}
	return len(b)
}

// endEscape returns the index after the escape that begins at i, or -1.
func endEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 > len(b) {
			return -1
		}
		for _, c := range b[i+2 : i+6] {
			if hexDigits[c] < 0 {
				return -1
			}
		}
		return i + 6
	}
	return -1
}

// hexDigits holds each hexadecimal digit's value, and -1 for every other byte.
var hexDigits = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range "0123456789abcdef" {
		t[c] = int8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = int8(10 + i)
	}
	return t
}()

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

func hexRune(b []byte) rune {
	_ = b[3]
	return rune(hexDigits[b[0]])<<12 | rune(hexDigits[b[1]])<<8 | rune(hexDigits[b[2]])<<4 | rune(hexDigits[b[3]])
}

// Unquote appends to dst the decoded text of a string token, which stands in
// its quotes. An unpaired surrogate escape is ErrSurrogate: it stands for no
// text, and parsers differ in what they make of it. On an error dst is
// returned as it was.
func Unquote(dst, token []byte) ([]byte, error) {
	if len(token) < 2 || token[0] != '"' || endString(token, 1) != len(token) {
		return dst, ErrSyntax
	}
	if !utf8.Valid(token) {
		return dst, ErrUTF8
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
