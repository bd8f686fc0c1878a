package body

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

// beginningOf feeds a whole text at once.
func beginningOf(text string, framed bool) Beginning {
	s := start{framed: framed}
	s.feed([]byte(text))
	return s.end()
}

// encodings are what a reader may take a body for; the text must be of the
// basic plane.
var encodings = map[string]func(string) string{
	"UTF-8":     func(s string) string { return s },
	"UTF-16 BE": func(s string) string { return wide(s, 2, binary.BigEndian) },
	"UTF-16 LE": func(s string) string { return wide(s, 2, binary.LittleEndian) },
	"UTF-32 BE": func(s string) string { return wide(s, 4, binary.BigEndian) },
	"UTF-32 LE": func(s string) string { return wide(s, 4, binary.LittleEndian) },
}

func wide(s string, size int, order binary.AppendByteOrder) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		if size == 2 {
			out = order.AppendUint16(out, unit)
		} else {
			out = order.AppendUint32(out, uint32(unit))
		}
	}
	return string(out)
}

// What lenient readers skip before an object.
var skipped = []string{
	"", " ", "\t\r\n ", "\v\f", "\x1e", "\x00", "\x00\x00\x00", "\u00a0", "\u0085", "\u2028", "\u2029", "\u3000", "\u200b", "\u1680",
	"\ufeff", "\ufeff\ufeff", "\ufeff \ufeff", "\x01\x02\x1f",
	"//\n", "// a { b\n", "// a\r", "// a\u2028", "//a\r\n", "#\n", "# {\n#\n", "#!shebang\r\n", "/**/", "/***/", "/* { */", "/* * / ** */", "/*/ */", "/* // */", "// /*\n",
	")]}'", ")]}'\n", ")]}',\n", " )]}' ", "// a\r b\n", "/* a */ // b\n # c\r /* d */",
}

func TestObjectBegins(t *testing.T) {
	for name, encode := range encodings {
		for _, skip := range skipped {
			text := encode(skip + `{"user_id":1}`)
			if beginningOf(text, false) != Object {
				t.Errorf("%s, %q: no object", name, skip)
			}
			if skip = encode(skip); beginningOf(skip, false) == Object {
				t.Errorf("%s, %q alone: an object", name, skip)
			}
		}
	}
	for _, text := range []string{"\xef\xbb\xbf{", "\xfe\xff{", "\xff\xfe{", "\xff\xfe{\x00", "\xfe\xff\x00{", "\xff\xfe\x00\x00{\x00\x00\x00", "\xa0{", "\x85{", "\x00\x00\x00{", "\x00{", "{", "{{", "{\x00"} {
		if beginningOf(text, false) != Object {
			t.Errorf("%q: no object", text)
		}
	}
	// A comment that another encoding would end.
	for _, skip := range []string{"/*\u2f2a x*/", "/*\u2a2f x*/", "//\u0a00 x\n", "//\u000a"} {
		for _, name := range []string{"UTF-16 BE", "UTF-16 LE"} {
			if beginningOf(encodings[name](skip+"{"), false) != Object {
				t.Errorf("%s, %q: no object", name, skip)
			}
		}
	}
}

func TestNoObjectBegins(t *testing.T) {
	for name, encode := range encodings {
		for _, text := range []string{"[", "[{}]", `"{"`, "x{", "a={}", "42[{}]", "/{", "/ /\n{", "/* {", "// {", "# {", "/*/{", ")]}{", ")]}x{", ")]'{", ",{", "<!--{", "--x\r\n", "é{", "\u2030{", "", "}", "/* a */ b {", "// a\nb\n{"} {
			if beginningOf(encode(text), false) != Opaque {
				t.Errorf("%s, %q: an object", name, text)
			}
		}
	}
	for name, text := range map[string]string{
		"HEIC": "\x00\x00\x00\x20ftypheic", "ICO": "\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x04\x00\x28\x01", "wasm": "\x00asm\x01", "TTF": "\x00\x01\x00\x00\x00\x0f\x00\x80",
		"JPEG": "\xff\xd8\xff\xe0\x00\x10JFIF", "PNG": "\x89PNG\r\n\x1a\n", "WebM": "\x1aE\xdf\xa3", "gzip": "\x1f\x8b\x08", "MP3": "\xff\xfb\x90\x64",
		"engine.io": "\x00\x04\xff451-[", "NULs": "\x00\x00\x00\x00", "CSS": "/* x */ a{}", "ELF": "\x7fELF", "PDF": "%PDF-1.7",
		"invalid UTF-8": "\xe2\x80{", "half a blank": "\xc2{", "a thorn": "þ{", "a dagger": "  \u2020{",
	} {
		if beginningOf(text, false) != Opaque {
			t.Errorf("%s: an object", name)
		}
	}
}

// An opaque body can be told from its first bytes: more may not come before
// somebody has answered.
func TestOpaqueAtOnce(t *testing.T) {
	for _, text := range []string{"x", "[", "P", "\x89", "\x7f", "<", "-", "4", "(12", "_ab", "/a", "é", "\xff\xd8\xff", "\x0a//x\nx", "//x\nx"} {
		var s start
		if got := s.feed([]byte(text)); got != Opaque {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestFramesBeginNothing(t *testing.T) {
	frame := func(flags byte, message string) string {
		return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message)))) + message
	}
	for _, text := range []string{
		frame(0, `{"user_id":"victim"}`), frame(1, "\x1f\x8b\x08"), frame(0, strings.Repeat("x", ' ')), frame(0, strings.Repeat("x", '{')),
		frame(0, strings.Repeat("x", '{'<<8)), frame(0, strings.Repeat("x", '\n'<<8|'{')), frame(0, "{"), frame(0, ""), frame(0, "") + frame(2, "{}"),
		frame(0x80, "grpc-status:0\r\n"), frame(0, strings.Repeat("x", '{'))[:5],
	} {
		if beginningOf(text, true) != Opaque {
			t.Errorf("%.20q: an object", text)
		}
	}
	// What is no frame begins like anything else.
	for name, text := range map[string]string{
		"JSON": `{"user_id":1}`, "a blank": ` {"user_id":1}`, "a mark": "\ufeff{", "a comment": "/**/{", "one NUL": "\x00{", "four": "\x00\x00\x00\x00{{",
		"five": "\x00\x00\x00\x00\x00{", "UTF-16 BE": encodings["UTF-16 BE"](`{"user_id":1}`), "UTF-16 LE": encodings["UTF-16 LE"](`{"user_id":1}`),
		"UTF-32 BE": encodings["UTF-32 BE"](`{"user_id":1}`), "UTF-32 LE": encodings["UTF-32 LE"](`{"user_id":1}`),
		"four NULs of which nothing follows": "\x00\x00\x00{",
	} {
		want := Object
		if name == "four" { // a frame of 123 bytes, as far as one can see
			want = Opaque
		}
		if got := beginningOf(text, true); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
	for _, text := range []string{"", "\x00", "\x00\x00", "[1]", "AAAAAA"} {
		if beginningOf(text, true) != Opaque {
			t.Errorf("%q: an object", text)
		}
	}
}

// splitAlike reports whether the text begins alike however it arrives, and that
// the answer does not change once it is there.
func splitAlike(t *testing.T, text string, framed bool) {
	t.Helper()
	want := beginningOf(text, framed)
	for at := range len(text) + 1 {
		s := start{framed: framed}
		first := s.feed([]byte(text[:at]))
		second := s.feed([]byte(text[at:]))
		got := s.end()
		if got != want || first != Unclear && first != got || second != Unclear && second != got {
			t.Errorf("%q, split at %d: %d, %d, %d; not split %d", text, at, first, second, got, want)
		}
	}
	s := start{framed: framed}
	for i := range len(text) {
		s.feed([]byte{text[i]})
	}
	if got := s.end(); got != want {
		t.Errorf("%q, byte by byte: %d, not %d", text, got, want)
	}
}

func TestBeginningsSplit(t *testing.T) {
	for _, encode := range encodings {
		for _, skip := range skipped {
			for _, first := range []string{"{", "[", "é", "x"} {
				splitAlike(t, encode(skip+first), false)
				splitAlike(t, encode(skip+first), true)
			}
		}
	}
}

func FuzzBeginnings(f *testing.F) {
	for _, skip := range skipped {
		f.Add(skip+"{", false)
	}
	f.Add("\x00\x00\x00\x00\x01{", true)
	f.Fuzz(func(t *testing.T, text string, framed bool) {
		if len(text) > 100 {
			return
		}
		splitAlike(t, text, framed)
		if !framed && strings.HasPrefix(strings.TrimLeft(text, " \t\r\n\x00\ufeff"), "{") && beginningOf(text, framed) != Object {
			t.Errorf("%q: no object", text)
		}
	})
}
