package body

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

var opaque = Declaration{} // what is declared to be nothing that we know

func TestReadAll(t *testing.T) {
	const limit = 5000
	for _, n := range []int{0, 1, 100, 1535, 1536, 1537, limit - 1, limit, limit + 1, 10 * limit} {
		text := strings.Repeat("abcdefg", n/7+1)[:n]
		for _, declared := range []int64{-1, int64(n)} {
			for name, from := range map[string]io.Reader{
				"at once": strings.NewReader(text), "one by one": iotest.OneByteReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text)),
			} {
				b, _ := received(from, declared)
				if b.Present() != (n > 0) {
					t.Errorf("%d bytes, %s, declared %d: present %v", n, name, declared, n == 0)
				}
				err := b.ReadAll(limit)
				if n > limit {
					if !errors.Is(err, ErrTooLarge) || len(b.text) > limit+1 {
						t.Errorf("%d bytes, %s, declared %d: %v, and %d were read", n, name, declared, err, len(b.text))
					}
					continue
				}
				if err != nil || string(b.Text()) != text || b.Len() != int64(n) || !b.Whole() {
					t.Errorf("%d bytes, %s, declared %d: %d bytes, %v", n, name, declared, len(b.Text()), err)
				}
				if err := b.ReadAll(limit); err != nil {
					t.Errorf("read again: %v", err)
				}
				if n > 0 && !errors.Is(b.ReadAll(int64(n)-1), ErrTooLarge) {
					t.Error("a smaller limit of another handler does not hold")
				}
			}
		}
	}
}

// A length that a client only claims must not cost the gateway as much.
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	b, _ := received(strings.NewReader("{"), 8<<20)
	if err := b.ReadAll(8 << 20); !errors.Is(err, ErrBroken) || cap(b.text) > 64<<10 {
		t.Errorf("%v with %d bytes reserved", err, cap(b.text))
	}
	b, _ = received(io.MultiReader(bytes.NewReader(make([]byte, 20<<10)), iotest.ErrReader(io.ErrUnexpectedEOF)), 1<<30)
	if err := b.ReadAll(1 << 30); !errors.Is(err, ErrBroken) || cap(b.text) > 16*20<<10 {
		t.Errorf("%v with %d bytes reserved", err, cap(b.text))
	}
}

func TestErrorsOfReading(t *testing.T) {
	ours := errors.New("a limit of another kind")
	for _, c := range []struct {
		err, want error
	}{
		{io.ErrUnexpectedEOF, ErrBroken}, {http.ErrBodyReadAfterClose, ErrBroken}, {&http.MaxBytesError{Limit: 5}, ErrTooLarge}, {ours, ErrTooLarge},
	} {
		for _, first := range []string{"", "{", "  "} {
			from := func() *Body {
				r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(first), iotest.ErrReader(c.err)))
				r.ContentLength = -1
				return Open(r, new(Body), func(err error) bool { return err == ours })
			}
			b := from()
			if !b.Present() {
				t.Errorf("%q, then %v: no body", first, c.err)
			}
			if err := b.ReadAll(100); err != c.want {
				t.Errorf("%q, then %v: %v", first, c.err, err)
			}
			if err := from().Spool(t.Context(), new(Spool), Upload{Limit: 100}); err != c.want {
				t.Errorf("%q, then %v: %v", first, c.err, err)
			}
			b = from()
			if begins, err := b.Begins(&opaque, 100); first == "{" && (begins != Object || err != nil) || first != "{" && err != c.want {
				t.Errorf("%q, then %v: %d, %v", first, c.err, begins, err)
			}
			r := httptest.NewRequest("POST", "/", nil)
			s := b.Pass(r)
			if text, err := io.ReadAll(r.Body); string(text) != first || err != c.err || s.Stopped() != (c.want == ErrBroken) {
				t.Errorf("%q, then %v: passes as %q, %v, stopped %v", first, c.err, text, err, s.Stopped())
			}
		}
	}
	b, _ := received(strings.NewReader("abc"), 4)
	if err := b.ReadAll(100); err != ErrBroken || b.Whole() {
		t.Errorf("3 bytes of 4: %v", err)
	}
}

func TestRequestsWithoutBody(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"none":       httptest.NewRequest("GET", "/", nil),
		"NoBody":     httptest.NewRequest("POST", "/", http.NoBody),
		"no length":  httptest.NewRequest("POST", "/", strings.NewReader("")),
		"a CONNECT":  httptest.NewRequest("CONNECT", "/", strings.NewReader("a tunnel")),
		"nil":        {Method: "POST"},
		"HTTP/3 GET": httptest.NewRequest("GET", "/", struct{ io.Reader }{strings.NewReader("")}),
	} {
		if name == "HTTP/3 GET" {
			r.ProtoMajor = 3
		}
		before := r.Body
		b := Open(r, new(Body), nil)
		if b.Present() || b.Announced() {
			t.Errorf("%s: present %v, announced %v", name, b.Present(), b.Announced())
		}
		if b.Pass(r); name == "HTTP/3 GET" && (r.Body != http.NoBody || r.ContentLength != 0) || name != "HTTP/3 GET" && r.Body != before {
			t.Errorf("%s: passes on %T of length %d", name, r.Body, r.ContentLength)
		}
		b.End()
	}
	// Over HTTP/1 an empty chunked body stays what it is.
	b, r := received(struct{ io.Reader }{strings.NewReader("")}, -1)
	if !b.Announced() || b.Present() {
		t.Error("an empty chunked body")
	}
	if b.Pass(r); r.ContentLength != -1 {
		t.Errorf("an empty chunked body of length %d", r.ContentLength)
	}
	if text, err := io.ReadAll(r.Body); len(text) > 0 || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	b, _ = received(strings.NewReader("x"), -1)
	if b.major = 3; b.Announced() || !b.Present() || b.Announced() {
		t.Error("a body of unknown length over HTTP/3")
	}
}

func TestBeginsReadsNoFurther(t *testing.T) {
	for _, c := range []struct {
		first string
		want  Beginning
	}{{"{", Object}, {"x", Opaque}, {"[1,", Opaque}, {" \n{", Object}, {"\x7fEL", Opaque}, {"/* a */ {", Object}} {
		b, r := received(io.MultiReader(strings.NewReader(c.first), iotest.ErrReader(errors.New("read on"))), -1)
		if got, err := b.Begins(&opaque, 100); got != c.want || err != nil {
			t.Errorf("%q: %d, %v", c.first, got, err)
		}
		if got, err := b.Begins(&opaque, 100); got != c.want || err != nil {
			t.Errorf("%q, asked again: %d, %v", c.first, got, err)
		}
		b.Pass(r)
		if text, _ := io.ReadAll(r.Body); string(text) != c.first {
			t.Errorf("%q passes as %q", c.first, text)
		}
	}
}

// TestLongBeginnings: what is skipped may be long, and a run of one byte is
// looked through to its end, as of a file full of NULs.
func TestLongBeginnings(t *testing.T) {
	const limit = 4000
	nuls, spaces := strings.Repeat("\x00", 50_000), strings.Repeat(" ", 2*copySize)
	for _, c := range []struct {
		name, text string
		want       Beginning
		err        error
	}{
		{"NULs", nuls, Opaque, nil},
		{"NULs and text", nuls + "x" + nuls, Opaque, nil},
		{"NULs and an object", nuls + "{", Unclear, ErrTooLarge},
		{"NULs, a space and text", nuls + " x", Opaque, nil},
		{"NULs and spaces", nuls + spaces, Unclear, ErrTooLarge},
		{"a line that does not end", "#" + strings.Repeat("-", 50_000), Opaque, nil},
		{"a line of words that does not end", "#" + strings.Repeat("word ", copySize), Unclear, ErrTooLarge},
		{"spaces and text", spaces + "x{", Opaque, nil},
		{"spaces and an object", spaces + "{}", Unclear, ErrTooLarge},
		{"as much as is looked at, and text", spaces[:limit] + "x", Opaque, nil},
		{"as much as is looked at, and an object", spaces[:limit] + "{", Unclear, ErrTooLarge},
		{"an object at the limit", spaces[:limit-1] + "{", Object, nil},
		{"as much as is looked at", spaces[:limit], Opaque, nil},
		{"a character in two halves", spaces[:limit] + "\xe2", Opaque, nil},
	} {
		for name, from := range map[string]io.Reader{"at once": strings.NewReader(c.text), "in halves": iotest.HalfReader(strings.NewReader(c.text)), "one by one": iotest.OneByteReader(strings.NewReader(c.text))} {
			b, r := received(from, -1)
			got, err := b.Begins(&opaque, limit)
			if got != c.want || err != c.err || cap(b.text) > 4*limit {
				t.Errorf("%s, %s: %d, %v with %d bytes of memory", c.name, name, got, err, cap(b.text))
			}
			if err != nil {
				continue
			}
			if got == Object {
				if err := b.ReadAll(limit); err != nil {
					t.Errorf("%s, %s: %v", c.name, name, err)
				}
			} else if got, err := b.Begins(&opaque, limit); got != Opaque || err != nil {
				t.Errorf("%s, %s, asked again: %d, %v", c.name, name, got, err)
			}
			b.Pass(r)
			if text, err := io.ReadAll(r.Body); string(text) != c.text || err != nil {
				t.Errorf("%s, %s: passes as %d bytes of %d, %v", c.name, name, len(text), len(c.text), err)
			}
		}
	}
	// What cannot be told is not read whole either.
	b, _ := received(strings.NewReader(nuls+"{"), -1)
	if _, err := b.Begins(&opaque, limit); err != ErrTooLarge {
		t.Error(err)
	}
	if err := b.ReadAll(1 << 20); err != ErrTooLarge {
		t.Error(err)
	}
	if err := b.Spool(t.Context(), new(Spool), Upload{Limit: 1 << 20}); err != ErrTooLarge {
		t.Error(err)
	}
}

// What an earlier handler has read is not read again, nor kept a second time.
func TestBodyOfAnEarlierHandler(t *testing.T) {
	b, r := received(strings.NewReader(`{"a":1}`), -1)
	if err := b.ReadAll(100); err != nil {
		t.Fatal(err)
	}
	b.Pass(r)
	again := Open(r, new(Body), nil)
	if again != b || !again.Present() || string(again.Text()) != `{"a":1}` {
		t.Errorf("%p is read as %p: %q", b, again, again.Text())
	}
	if begins, err := again.Begins(&opaque, 100); begins != Object || err != nil {
		t.Error(begins, err)
	}
	var seen bytes.Buffer
	if err := again.Spool(t.Context(), new(Spool), Upload{Limit: 100, Sink: &seen}); err != nil || seen.String() != `{"a":1}` {
		t.Errorf("%q, %v", &seen, err)
	}
	if err := again.Spool(t.Context(), new(Spool), Upload{Limit: 3}); err != ErrTooLarge {
		t.Error(err)
	}
	// One that was begun is another.
	_, _ = r.Body.Read(make([]byte, 1))
	other := Open(r, new(Body), nil)
	if other == b || other.ReadAll(100) != ErrBroken {
		t.Errorf("the rest of a body passes for it: %q", other.Text())
	}
}
