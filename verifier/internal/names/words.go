package names

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// decodeWords returns text with its encoded words (RFC 2047) decoded, wherever
// they stand, and without the spaces between two of them. What quoted-printable
// says is left as it is, for Stand to read. known is false where a word has a
// charset of which it cannot be told what it says, and decoded nil where there
// are no words.
func decodeWords(text []byte) (decoded []byte, known bool) {
	known = true
	rest := text
	for {
		before, word, after, ok := cutWord(rest)
		if !ok {
			break
		}
		if decoded == nil || len(bytes.Trim(before, " \t\r\n")) > 0 {
			decoded = append(decoded, before...)
		}
		charset, _, _ := bytes.Cut(word.charset, []byte("*")) // RFC 2231 section 5: a language
		known = known && KnownCharset(string(charset))
		if word.base64 {
			decoded = appendBase64(decoded, word.content)
		} else {
			decoded = append(decoded, word.content...)
		}
		rest = after
	}
	if decoded == nil && len(rest) == len(text) {
		return nil, known
	}
	return append(decoded, rest...), known
}

type word struct {
	charset, content []byte
	base64           bool
}

// cutWord returns the first encoded word of a text and what is around it. The
// word may lack its end, as it may for readers that decode as they go.
func cutWord(text []byte) (before []byte, w word, after []byte, ok bool) {
	for at := 0; ; at += 2 {
		i := bytes.Index(text[at:], []byte("=?"))
		if i < 0 {
			return nil, word{}, nil, false
		}
		at += i
		charset, rest, ok := bytes.Cut(text[at+2:], []byte("?"))
		if !ok || bytes.ContainsAny(charset, " \t\r\n\"") || len(rest) < 2 || rest[1] != '?' {
			continue
		}
		switch rest[0] {
		case 'b', 'B':
			w.base64 = true
		case 'q', 'Q':
		default:
			continue
		}
		w.charset = charset
		w.content, after = cutContent(rest[2:])
		return text[:at], w, after, true
	}
}

// cutContent cuts a word's content at its end, or else at the line's.
func cutContent(text []byte) (content, after []byte) {
	for i, c := range text {
		switch {
		case c == '\r' || c == '\n':
			return text[:i], text[i:]
		case c == '?' && bytes.HasPrefix(text[i:], []byte("?=")):
			return text[:i], text[i+2:]
		}
	}
	return text, nil
}

// appendBase64 decodes as the most generous reader does: either alphabet of RFC
// 4648, whatever else is between, padding where it is and where it is not.
func appendBase64(decoded, text []byte) []byte {
	digits := bytes.Map(func(c rune) rune {
		switch {
		case c == '-':
			return '+'
		case c == '_':
			return '/'
		case c < utf8.RuneSelf && (isAlphanumeric(byte(c)) || c == '+' || c == '/' || c == '='):
			return c
		}
		return -1
	}, text)
	for part := range bytes.SplitSeq(digits, []byte("=")) {
		decoded, _ = base64.RawStdEncoding.AppendDecode(decoded, part) // as far as there are whole bytes
	}
	return decoded
}
