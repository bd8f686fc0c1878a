package claimform

import (
	"bytes"
	"unicode/utf8"
)

// badEscape says whether a percent sign is not followed by two hexadecimal digits.
func badEscape(s []byte) bool {
	for {
		i := bytes.IndexByte(s, '%')
		if i < 0 {
			return false
		}
		if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
			return true
		}
		s = s[i+3:]
	}
}

// decode returns s decoded, and buf, to which it was appended unless there was
// nothing to decode. A bad escape stays as it is, as in the WHATWG URL
// standard, but %uXXXX, which JavaScript's escape writes and ASP reads.
func decode(buf, s []byte, plus bool) (grown, decoded []byte) {
	escaped := bytes.IndexByte(s, '%') >= 0
	if !escaped && !(plus && bytes.IndexByte(s, '+') >= 0) {
		return buf, s
	}
	from := len(buf)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c != '%':
		case i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		case i+5 < len(s) && s[i+1]|0x20 == 'u':
			if r := unhex4(s[i+2 : i+6]); r >= 0 {
				buf = utf8.AppendRune(buf, r)
				i += 5
				continue
			}
		}
		buf = append(buf, c)
	}
	return buf, buf[from:]
}

func unhex4(s []byte) rune {
	var r rune
	for _, c := range s {
		d := unhex(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | d
	}
	return r
}

func unhex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return -1
}
