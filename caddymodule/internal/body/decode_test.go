package body

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// coders are what clients code bodies with.
var coders = map[string]func(string) string{
	"gzip": func(s string) string {
		return coded(s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	},
	"deflate": func(s string) string {
		return coded(s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	},
	"bare deflate": func(s string) string {
		return coded(s, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f })
	},
	"zstd": func(s string) string {
		return coded(s, func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	},
	"identity": func(s string) string { return s },
}

func coded(s string, coder func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := coder(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

// begins asks how a body begins that arrives in such pieces.
func begins(t testing.TB, header http.Header, from io.Reader, limit int64) Beginning {
	t.Helper()
	d := Declare(header)
	b, _ := received(from, -1)
	begins, err := b.Begins(&d, limit)
	if err != nil {
		t.Errorf("%v: %v", header, err)
	}
	return begins
}

// received is the body of a request of which nothing was read yet.
func received(from io.Reader, length int64) (*Body, *http.Request) {
	r := httptest.NewRequest("POST", "/", from)
	r.ContentLength = length
	return Open(r, new(Body), nil), r
}

func TestCodedBeginnings(t *testing.T) {
	for _, c := range []struct {
		text string
		want Beginning
	}{
		{`{"user_id":"victim"}`, Object}, {" \n\ufeff/* x */{", Object}, {"text", Opaque}, {"[{}]", Opaque}, {"", Opaque}, {"  ", Opaque},
		{strings.Repeat(" ", 20_000) + "{", Object}, {strings.Repeat(" ", 20_000) + "x", Opaque},
		{encodings["UTF-16 LE"]("// x\n{"), Object}, {"x" + strings.Repeat("{", 20_000), Opaque},
	} {
		for one, code := range coders {
			for other, recode := range coders {
				header := http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {
					strings.TrimPrefix(one, "bare ") + ", " + strings.TrimPrefix(other, "bare ")}}
				text := recode(code(c.text))
				if got := begins(t, header, strings.NewReader(text), 1<<20); got != c.want {
					t.Errorf("%s in %s, %.20q: %d, want %d", one, other, c.text, got, c.want)
				}
				if len(text) < 10_000 {
					if got := begins(t, header, iotest.OneByteReader(strings.NewReader(text)), 1<<20); got != c.want {
						t.Errorf("%s in %s, %.20q, byte by byte: %d, want %d", one, other, c.text, got, c.want)
					}
				}
			}
		}
	}
}

func TestWhatIsNotDecoded(t *testing.T) {
	object, text := coders["gzip"](`{"user_id":1}`), coders["gzip"]("text")
	for _, c := range []struct {
		name, contentType, coding, body string
		want                            Beginning
	}{
		{"media", "image/png", "gzip", object, Opaque},
		{"media that is none", "image/png", "gzip", `{"user_id":1}`, Object},
		{"media of a coding that is not known", "image/svg+xml", "aws-chunked", object, Opaque},
		{"a coding that is not known", "text/plain", "br", object, Opaque},
		{"one that says nothing", "text/plain", "UTF-8", `{"user_id":1}`, Object},
		{"no coding in it", "text/plain", "gzip", `{"user_id":1}`, Object},
		{"no coding in it, deflate", "text/plain", "deflate", `{"user_id":1}`, Object},
		{"no coding in it, zstd", "text/plain", "zstd", `{"user_id":1}`, Object},
		{"no coding in an opaque body", "text/plain", "gzip", "text", Opaque},
		{"another coding", "text/plain", "gzip", coders["zstd"](`{"user_id":1}`), Opaque},
		{"broken off in the header", "text/plain", "gzip", object[:5], Opaque},
		{"broken off behind the brace", "text/plain", "gzip", object[:len(object)-9], Object},
		{"a wrong checksum", "text/plain", "gzip", object[:len(object)-8] + "wrongsum", Object},
		{"text of a wrong checksum", "text/plain", "gzip", text[:len(text)-8] + "wrongsum", Opaque},
		{"two members", "text/plain", "gzip", coders["gzip"](" ") + object, Object},
		{"an empty member first", "text/plain", "gzip", coders["gzip"]("") + object, Object},
		{"two frames", "text/plain", "zstd", coders["zstd"]("\n") + coders["zstd"]("{"), Object},
		{"a frame to skip", "text/plain", "zstd", "\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + coders["zstd"]("{"), Object},
		{"a header with all that it can have", "text/plain", "gzip", "\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\xff\x03\x00abcname\x00comment\x00??" + object[10:], Object},
		{"a dictionary that is not ours", "text/plain", "zstd", "\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00{", Unclear},
		{"a window of 1 GiB", "text/plain", "zstd", "\x28\xb5\x2f\xfd\x00\xa0\x09\x00\x00{", Unclear},
	} {
		header := http.Header{"Content-Type": {c.contentType}, "Content-Encoding": {c.coding}}
		if got := begins(t, header, strings.NewReader(c.body), 1<<20); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		d := Declare(header)
		if got, want := d.Unsupported(c.want), c.want != Opaque || c.coding == "br" || c.coding == "UTF-8"; got != want {
			t.Errorf("%s: unsupported %v", c.name, got)
		}
		if d = declare(c.contentType); d.Unsupported(c.want) {
			t.Errorf("%s: unsupported without a coding", c.name)
		}
	}
}

// What is read and decoded to see the first character is bounded.
func TestDecodingIsBounded(t *testing.T) {
	const limit = 64 << 10
	for name, code := range coders {
		if name == "identity" {
			continue
		}
		header := http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {strings.TrimPrefix(name, "bare ")}}
		if got := begins(t, header, strings.NewReader(code(strings.Repeat(" ", 2<<20)+"{")), limit); got != Unclear {
			t.Errorf("%s of 2 MiB of spaces: %d", name, got)
		}
	}
	endless := io.MultiReader(strings.NewReader("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff"), zeroless{})
	b, _ := received(endless, -1)
	d := Declare(http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"gzip"}})
	if got, err := b.Begins(&d, limit); got != Unclear || err != nil || len(b.text) > limit {
		t.Errorf("an endless header: %d, %v, %d bytes read", got, err, len(b.text))
	}
}

// zeroless never ends, and has no NUL.
type zeroless struct{}

func (zeroless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'z'
	}
	return len(p), nil
}

// FuzzDecoding decodes what is no coding at all, and what is one in random
// pieces.
func FuzzDecoding(f *testing.F) {
	for name, code := range coders {
		f.Add(name, []byte(code(" {")), uint64(1))
	}
	f.Fuzz(func(t *testing.T, coding string, text []byte, seed uint64) {
		header := http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {strings.TrimPrefix(coding, "bare ")}}
		want := begins(t, header, bytes.NewReader(text), 1<<16)
		random := rand.New(rand.NewPCG(seed, 1))
		if got := begins(t, header, pieces{bytes.NewReader(text), random}, 1<<16); got != want {
			t.Errorf("%s, %q: %d, in pieces %d", coding, text, want, got)
		}
		if code, ok := coders[coding]; ok && !bytes.ContainsRune(text, '{') {
			want := beginningOf(string(text), false)
			if got := begins(t, header, pieces{strings.NewReader(code(string(text))), random}, 1<<16); got != want && got != Object && len(text) < 1<<16 {
				t.Errorf("%s of %q: %d, want %d", coding, text, got, want)
			}
		}
	})
}

// pieces reads some bytes at a time.
type pieces struct {
	io.Reader
	random *rand.Rand
}

func (p pieces) Read(b []byte) (int, error) {
	return p.Reader.Read(b[:min(len(b), 1+p.random.IntN(40))])
}

func ExampleBody_Begins() {
	r := httptest.NewRequest("POST", "/", strings.NewReader(coders["gzip"](`/* hello */ {"a":1}`)))
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Content-Encoding", "gzip")
	d := Declare(r.Header)
	begins, err := Open(r, new(Body), nil).Begins(&d, 1<<20)
	fmt.Println(begins == Object, err)
	// Output: true <nil>
}
