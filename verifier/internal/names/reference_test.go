package names_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// The reference reads a text as readers do, one decoder after the other, each
// over the whole, and then looks for the names. It has nothing in common with
// the package but the definition, and takes thousands of times as long.

// A decoder returns what it makes of a text.
type decoder struct {
	name   string
	decode func(text []byte) []byte
}

var decoders = []decoder{
	{"JSON", func(text []byte) []byte { return jsonDecoded(text, true) }},
	{"JSON without hexadecimal and octal", func(text []byte) []byte { return jsonDecoded(text, false) }},
	{"percent", func(text []byte) []byte { return percentDecoded(text) }},
	{"quoted-printable", quotedPrintableDecoded},
	{"references", referencesDecoded},
}

// wide are those for UTF-16 and UTF-32, at every alignment.
var wide = func() (list []decoder) {
	for _, e := range encodings {
		for offset := range e.width {
			list = append(list, decoder{"UTF-" + strconv.Itoa(8*e.width), func(text []byte) []byte {
				return wideDecoded(text, min(offset, len(text)), e)
			}})
		}
	}
	return list
}()

// referenceStands reports whether a name stands in text, decoded up to so many
// times; how says by which decoders.
func referenceStands(text []byte, list []string, layers int) (how string, ok bool) {
	return referenceRead(text, list, layers, false)
}

func referenceRead(text []byte, list []string, layers int, isWide bool) (how string, ok bool) {
	runes := utf8Decoded(text)
	for _, name := range list {
		if standsAmong(runes, []rune(name)) {
			return name, true
		}
	}
	if layers == 0 {
		return "", false
	}
	try := func(d decoder, layers int, isWide bool) bool {
		decoded := d.decode(text)
		if bytes.Equal(decoded, text) {
			return false
		}
		how, ok = referenceRead(decoded, list, layers, isWide)
		how = d.name + ", " + how
		return ok
	}
	if !isWide {
		for _, d := range wide {
			if try(d, layers, true) {
				return how, true
			}
		}
	}
	for _, d := range decoders {
		if try(d, layers-1, isWide) {
			return how, true
		}
	}
	return "", false
}

// standsAmong looks for a name among the runes, folded as strings.EqualFold does
// and, for PHP, with one character for those that it replaces.
func standsAmong(runes, name []rune) bool {
	alike := func(a, b rune) bool {
		return strings.ContainsRune("_. [+", a) && strings.ContainsRune("_. [+", b) || strings.EqualFold(string(a), string(b))
	}
	bound := func(i int) bool {
		return i < 0 || i >= len(runes) || !unicode.IsLetter(runes[i]) && !unicode.IsDigit(runes[i])
	}
	for i := 0; i+len(name) <= len(runes); i++ {
		if slices.EqualFunc(runes[i:i+len(name)], name, alike) && bound(i-1) && bound(i+len(name)) {
			return true
		}
	}
	return false
}

// utf8Decoded reads UTF-8 with overlong forms and surrogates, and what is not
// so written as ISO-8859-1.
func utf8Decoded(text []byte) []rune {
	var runes []rune
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		for length, lead := range map[int]byte{2: 0xc0, 3: 0xe0, 4: 0xf0} {
			mask := byte(0xff) << (7 - length)
			if text[i]&mask != lead || i+length > len(text) {
				continue
			}
			decoded := rune(text[i] &^ mask)
			whole := true
			for _, c := range text[i+1 : i+length] {
				whole = whole && c&0xc0 == 0x80
				decoded = decoded<<6 | rune(c&0x3f)
			}
			if whole {
				r, size = decoded, length
			}
		}
		i += size
		if n := len(runes); n > 0 && utf16.IsSurrogate(runes[n-1]) {
			if joined := utf16.DecodeRune(runes[n-1], r); joined != unicode.ReplacementChar {
				runes[n-1] = joined
				continue
			}
		}
		runes = append(runes, r)
	}
	return runes
}

// appendRune appends r as UTF-8, and a surrogate as CESU-8 does.
func appendRune(text []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(text, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	}
	return utf8.AppendRune(text, r)
}

// wideDecoded keeps the bytes that are in no unit, but for NULs: they may be
// half of a letter beside the name.
func wideDecoded(text []byte, offset int, e encoding) []byte {
	decoded := bytes.ReplaceAll(text[:offset], []byte{0}, nil)
	for text = text[offset:]; len(text) >= e.width; text = text[e.width:] {
		var unit uint32
		for i := range e.width {
			at := i
			if !e.big {
				at = e.width - 1 - i
			}
			unit = unit<<8 | uint32(text[at])
		}
		decoded = appendRune(decoded, rune(min(unit, unicode.MaxRune+1)))
	}
	return append(decoded, bytes.ReplaceAll(text, []byte{0}, nil)...)
}

// digitsIn returns the value of up to most digits at the beginning of text.
func digitsIn(text []byte, base, least, most int) (value rune, length int) {
	for length < min(most, len(text)) {
		if _, err := strconv.ParseUint(string(text[:length+1]), base, 32); err != nil {
			break
		}
		length++
	}
	if length < least || length == 0 {
		return 0, 0
	}
	parsed, _ := strconv.ParseUint(string(text[:length]), base, 32)
	return rune(min(parsed, unicode.MaxRune+1)), length
}

func percentDecoded(text []byte) []byte {
	var decoded []byte
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		if len(rest) > 2 && rest[0] == '%' {
			if v, n := digitsIn(rest[1:], 16, 2, 2); n > 0 {
				decoded = append(decoded, byte(v))
				i += n
				continue
			}
			if v, n := digitsIn(rest[2:], 16, 4, 4); rest[1]|0x20 == 'u' && n > 0 {
				decoded = appendRune(decoded, v)
				i += 1 + n
				continue
			}
		}
		if rest[0] == '+' {
			rest = []byte(" ")
		}
		decoded = append(decoded, rest[0])
	}
	return decoded
}

func quotedPrintableDecoded(text []byte) []byte {
	var decoded []byte
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		if rest[0] == '=' {
			if v, n := digitsIn(rest[1:], 16, 2, 2); n > 0 {
				decoded = append(decoded, byte(v))
				i += n
				continue
			}
			line := bytes.TrimLeft(rest[1:], " \t")
			if end := len(line) - len(bytes.TrimPrefix(bytes.TrimPrefix(line, []byte("\r")), []byte("\n"))); end > 0 {
				i += len(rest) - len(line) + end - 1
				continue
			}
		}
		decoded = append(decoded, rest[0])
	}
	return decoded
}

func referencesDecoded(text []byte) []byte {
	var decoded []byte
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		if digits, ok := bytes.CutPrefix(rest, []byte("&#")); ok {
			v, n := digitsIn(digits, 10, 1, len(digits))
			length := 2 + n
			if len(digits) > 1 && digits[0]|0x20 == 'x' {
				v, n = digitsIn(digits[1:], 16, 1, len(digits))
				length = 3 + n
			}
			if n > 0 {
				decoded = appendRune(decoded, v)
				if length < len(rest) && rest[length] == ';' {
					length++
				}
				i += length - 1
				continue
			}
		}
		decoded = append(decoded, rest[0])
	}
	return decoded
}

// jsonDecoded decodes the escapes of JSON and, if lenient, those of JavaScript.
func jsonDecoded(text []byte, lenient bool) []byte {
	var decoded []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			decoded = append(decoded, text[i])
			continue
		}
		i++
		rest := text[i+1:]
		switch c := text[i]; {
		case c == 'u':
			us := len(rest) - len(bytes.TrimLeft(rest, "u"))
			rest = rest[us:]
			if v, n := digitsIn(rest, 16, 4, 4); n > 0 {
				decoded = appendRune(decoded, v)
				i += us + n
				continue
			}
			if digits, ok := bytes.CutPrefix(rest, []byte("{")); ok {
				if v, n := digitsIn(digits, 16, 1, len(digits)); n > 0 && n < len(digits) && digits[n] == '}' {
					decoded = appendRune(decoded, v)
					i += us + n + 2
					continue
				}
			}
			decoded = append(decoded, c)
		case c == 'x' && lenient:
			if v, n := digitsIn(rest, 16, 2, 2); n > 0 {
				decoded = appendRune(decoded, v)
				i += n
				continue
			}
			decoded = append(decoded, c)
		case c == '\r' && bytes.HasPrefix(rest, []byte("\n")):
			i++
		case c == '\r', c == '\n':
		case strings.IndexByte("bfnrtv", c) >= 0:
			decoded = append(decoded, '\n')
		case '0' <= c && c <= '7' && lenient:
			v, n := digitsIn(text[i:], 8, 1, 3)
			if v > 0xff {
				v, n = digitsIn(text[i:], 8, 1, 2)
			}
			decoded = appendRune(decoded, v)
			i += n - 1
		default:
			decoded = append(decoded, c)
		}
	}
	return decoded
}

// TestReference holds the reference against the table: what it does not find
// is only what it has no decoder for.
func TestReference(t *testing.T) {
	found := 0
	for _, c := range spelled {
		for _, text := range c.text {
			how, ok := referenceStands([]byte(text), watched, 2)
			if ok && c.name == "" {
				t.Errorf("%s: the reference finds a name in %q: %s", c.what, text, how)
			}
			if ok {
				found++
			} else if c.name != "" {
				t.Logf("%s: the reference finds nothing in %q", c.what, text)
			}
		}
	}
	if found < 110 {
		t.Errorf("the reference finds a name in %d texts of the table alone", found)
	}
}

// FuzzStand asserts that a name stands wherever the reference finds one.
func FuzzStand(f *testing.F) {
	set := names.Compile(watched)
	for _, c := range spelled {
		for _, text := range c.text {
			f.Add([]byte(text))
			for _, e := range encodings {
				f.Add(e.encode(text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 256 {
			return
		}
		how, ok := referenceStands(text, watched, 2)
		if _, stands := set.Stand(text); ok && !stands {
			t.Errorf("the reference finds a name in %q: %s", text, how)
		}
		if _, stands := set.StandInHeader(text, nil); ok && !stands {
			t.Errorf("the reference finds a name in the header %q: %s", text, how)
		}
	})
}
