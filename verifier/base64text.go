package verifier

import (
	"bytes"
	"encoding/base64"
	"iter"
	"slices"
	"strings"
)

// decodeBase64 decodes a text, if all decoders that decode it read the same: of one
// alphabet, with all of its padding or none, without white space, and unused bits zero (RFC 4648
// section 3). Many decoders pass over what is not in their alphabet. So what they find
// instead of a text with characters that only one alphabet has must be no JSON, nor what is
// left where a plus sign was read as a space, as in a cookie by Rack.
func (r *Reading) decodeBase64(value []byte) (text []byte, ok bool) {
	if bytes.ContainsAny(value, "\r\n") { // which Go passes over
		return nil, false
	}
	from := len(r.copied)
	decoded, err := base64Of(value).Strict().AppendDecode(r.copied, value)
	if err != nil {
		return nil, false
	}
	r.copied = decoded
	for _, dropped := range []string{"+/-_", "+-_", "+"} {
		if bytes.ContainsAny(value, dropped) && mayBeJSON(decodeLenient(value, dropped+" ", false)) {
			return nil, false
		}
	}
	return decoded[from:len(decoded):len(decoded)], true
}

// base64Of returns the encoding that a text is written in, if it is written in one.
func base64Of(value []byte) *base64.Encoding {
	encoding := base64.StdEncoding
	if bytes.ContainsAny(value, "-_") {
		encoding = base64.URLEncoding
	}
	if !bytes.HasSuffix(value, []byte("=")) {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	return encoding
}

// recodeBase64 returns a text in base64 without the spans of what it decodes to. They
// become spaces, so that length, padding and alphabet stay as they are.
func recodeBase64(value, json []byte, cuts []Span) []byte {
	json = slices.Clone(json)
	for _, c := range cuts {
		for i := c.Start; i < c.End; i++ {
			json[i] = ' '
		}
	}
	return base64Of(value).AppendEncode(nil, json)
}

// escapeBase64 writes base64 for a query, where a plus sign is a space to most.
func escapeBase64(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("+"), []byte("%2B")), []byte("="), []byte("%3D"))
}

// lenientBase64 yields what lenient decoders make of a text. They pass over what is not in
// their alphabet, which is either or both, may have a space for the plus sign of which a
// form's parser made it, and pass over padding or begin anew behind it.
func lenientBase64(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, dropped := range []string{" ", " +", " +-_", " +/", " -_", "+/", "-_", ""} {
			for _, anew := range []bool{false, true} {
				if !yield(decodeLenient(value, dropped, anew)) {
					return
				}
			}
		}
	}
}

func decodeLenient(value []byte, dropped string, anew bool) (text []byte) {
	bits, n := uint(0), 0
	for _, c := range value {
		if c == '=' && anew {
			n = 0
		}
		sextet := sextets[c]
		if sextet < 0 || strings.IndexByte(dropped, c) >= 0 {
			continue
		}
		bits = bits<<6 | uint(sextet)
		if n += 6; n >= 8 {
			n -= 8
			text = append(text, byte(bits>>n))
		}
	}
	return text
}

// sextets are the values of the characters of both alphabets, and of a space.
var sextets = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = int8(i)
	}
	t[' '], t['-'], t['_'] = t['+'], t['+'], t['/']
	return t
}()

// mayBeJSON reports whether some parser may read a text that begins with an object, and
// with what lenient ones take: comments, single quotes, names without quotes, anything in
// strings and behind the object.
func mayBeJSON(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		c, end := text[i], ""
		switch {
		case c == '{' || c == '[':
			depth++
			continue
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return true
			}
			continue
		case c == '"' || c == '\'':
			end = string(c)
		case c == '#' || bytes.HasPrefix(text[i:], []byte("//")):
			end = "\n"
		case bytes.HasPrefix(text[i:], []byte("/*")):
			i, end = i+1, "*/"
		case c <= ' ' || strings.IndexByte(",:+-._$", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z':
			continue
		default:
			return false
		}
		for i++; !bytes.HasPrefix(text[min(i, len(text)):], []byte(end)); i++ {
			if i >= len(text) {
				return false
			}
			if text[i] == '\\' && len(end) == 1 && end != "\n" {
				i++
			}
		}
		i += len(end) - 1
	}
	return false
}
