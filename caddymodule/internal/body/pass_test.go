package body

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func whole(t testing.TB, text string) (*Body, *http.Request) {
	t.Helper()
	b, r := received(struct{ io.Reader }{strings.NewReader(text)}, -1)
	if err := b.ReadAll(1 << 20); err != nil {
		t.Fatal(err)
	}
	return b, r
}

func TestPassWhole(t *testing.T) {
	b, r := whole(t, "user_id=x&a=1")
	r.TransferEncoding = []string{"chunked"}
	for _, name := range digests {
		r.Header.Set(name, "true")
	}
	if s := b.Pass(r); s != nil {
		t.Error("a whole body streams")
	}
	if r.ContentLength != 13 || r.TransferEncoding != nil || r.Header.Get("Content-Length") != "13" || r.Header.Get("Content-Digest") == "" {
		t.Errorf("length %d, %v, %v", r.ContentLength, r.TransferEncoding, r.Header)
	}
	Cut(b, []struct{ Start, End int }{{0, 10}})
	b.Pass(r)
	if text, err := io.ReadAll(r.Body); string(text) != "a=1" || err != nil || r.ContentLength != 3 || r.Header.Get("Content-Length") != "3" {
		t.Errorf("%q, %v, length %d, %v", text, err, r.ContentLength, r.Header)
	}
	for _, name := range digests {
		if r.Header.Get(name) != "" {
			t.Errorf("%s is true no more", name)
		}
	}

	// Everything cut is a body of no length, not of an unknown one.
	b, r = whole(t, "user_id=x")
	Cut(b, []Span{{0, 9}})
	b.Pass(r)
	if text, err := io.ReadAll(r.Body); len(text) > 0 || err != nil || r.ContentLength != 0 || r.Header.Get("Content-Length") != "0" {
		t.Errorf("%q, %v, length %d", text, err, r.ContentLength)
	}
}

// Span is what a caller's spans look like.
type Span struct{ Start, End int }

func TestDiscard(t *testing.T) {
	for _, read := range []bool{true, false} {
		b, r := received(strings.NewReader("x=1"), -1)
		r.Header = http.Header{"Content-Type": {"x"}, "Content-Length": {"3"}, "Content-Encoding": {"gzip"}, "Digest": {"x"}, "X-Other": {"y"}}
		if read {
			if err := b.ReadAll(100); err != nil {
				t.Fatal(err)
			}
			b.Pass(r)
		}
		b.Discard(r)
		if text, err := io.ReadAll(r.Body); len(text) > 0 || err != nil || r.ContentLength != 0 || len(r.Header) != 1 {
			t.Errorf("%q, %v, length %d, %v", text, err, r.ContentLength, r.Header)
		}
		if b.block != nil || b.text != nil {
			t.Error("the memory of a body that nobody wants is kept")
		}
	}
}

// Whoever reads a body after its request has ended gets an error.
func TestBodyEnds(t *testing.T) {
	p := make([]byte, 4)
	b, _ := whole(t, "a body")
	if _, err := b.Read(p); err != nil || string(p) != "a bo" {
		t.Fatalf("%q, %v", p, err)
	}
	if b.End(); b.block == nil {
		t.Error("a body that somebody is still reading has lost its memory")
	}
	if n, err := b.Read(p); string(p[:n]) != "dy" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	if b.block != nil {
		t.Error("the memory of a body that was read after its end is kept")
	}
	if n, err := b.Read(p); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, b); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
	b.End()
	_ = b.Close()

	b, _ = whole(t, "one that is read before its end")
	if text, err := io.ReadAll(b); len(text) != 31 || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if b.End(); b.block != nil {
		t.Error("the memory of a body that was read is kept")
	}

	b, _ = whole(t, "one that is closed in the middle")
	if _, err := b.Read(p); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if n, err := b.Read(p); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("the rest of a closed body is read: %d, %v", n, err)
	}
	if b.End(); b.block != nil {
		t.Error("the memory of a closed body is kept")
	}

	b, _ = whole(t, "another")
	_ = b.Close()
	all := make([]byte, 10)
	if n, err := b.Read(all); string(all[:n]) != "another" || err != nil {
		t.Errorf("an attempt that read nothing and closed left %q to the next, %v", all[:n], err)
	}

	b, _ = whole(t, "a fourth")
	_ = b.Close()
	b.mu.Lock() // as somebody who reads does
	if b.End(); b.block == nil {
		t.Error("the memory was taken from somebody who is reading it")
	}
	if b.release(); b.block != nil {
		t.Error("whoever reads to the end of a request keeps the memory")
	}
}

// A writer that is slow is not disturbed.
func TestWriteToKeepsItsMemory(t *testing.T) {
	const text = "what the writer has in hands"
	b, _ := whole(t, text)
	n, err := b.WriteTo(writer(func(p []byte) (int, error) {
		done := make(chan bool)
		go func() { b.End(); close(done) }()
		<-done
		if string(p) != text || b.block == nil {
			t.Errorf("%q", p)
		}
		return len(p), nil
	}))
	if n != int64(len(text)) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if b.block != nil {
		t.Error("the memory is kept")
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestStreamed(t *testing.T) {
	rest := strings.Repeat("rest", 50_000)
	for name, read := range map[string]func(io.Reader) (string, error){
		"Read": func(r io.Reader) (string, error) { text, err := io.ReadAll(r); return string(text), err },
		"one": func(r io.Reader) (string, error) {
			text, err := io.ReadAll(iotest.OneByteReader(r))
			return string(text), err
		},
		"WriteTo": func(r io.Reader) (string, error) {
			var b strings.Builder
			_, err := io.Copy(&b, r)
			return b.String(), err
		},
	} {
		b, r := received(io.MultiReader(strings.NewReader("x first"), strings.NewReader(rest)), -1)
		if begins, err := b.Begins(&opaque, 100); begins != Opaque || err != nil {
			t.Fatal(begins, err)
		}
		s := b.Pass(r)
		if r.Body != s || r.ContentLength != -1 {
			t.Errorf("%T of length %d", r.Body, r.ContentLength)
		}
		if text, err := read(r.Body); text != "x first"+rest || err != nil || s.Stopped() {
			t.Errorf("%s: %d bytes, %v, stopped %v", name, len(text), err, s.Stopped())
		}
		if n, err := r.Body.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	// One that nobody looked at is none of our memory.
	b, r := received(strings.NewReader("abc"), 3)
	s := b.Pass(r)
	if s == nil || s.head != nil {
		t.Error("not streamed")
	}
	_ = r.Body.Close()
	b.End()
}

// A reader that the proxy itself has stopped is no client that did.
func TestStoppedIsTheClients(t *testing.T) {
	for _, closed := range []bool{false, true} {
		b, r := received(iotest.ErrReader(io.ErrUnexpectedEOF), -1)
		s := b.Pass(r)
		if closed {
			_ = r.Body.Close()
		}
		if _, err := r.Body.Read(make([]byte, 1)); err != io.ErrUnexpectedEOF || s.Stopped() == closed {
			t.Errorf("closed %v: %v, stopped %v", closed, err, s.Stopped())
		}
	}
}
