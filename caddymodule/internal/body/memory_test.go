package body

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Bodies get the memory that they need, and none gets a piece of another's.
func TestBlocks(t *testing.T) {
	for _, size := range []int{0, 1, 1024, 1536, 1537, 64 << 10, 64<<10 + 1, 1 << 20, 1<<20 + 512, 1<<20 + 513, 3 << 20} {
		a, b := newBlock(size), newBlock(size)
		if len(a.buf) != 0 || cap(a.buf) < size || cap(a.buf) > max(2*size, 4<<10) {
			t.Errorf("%d bytes: a block of %d", size, cap(a.buf))
		}
		if size > 0 && &a.buf[:1][0] == &b.buf[:1][0] {
			t.Errorf("%d bytes: one block for two", size)
		}
		a.free()
		b.free()
	}
}

// TestBodiesDoNotMix: memory that bodies are read into is used again, while
// readers on goroutines of their own read on after the end, or stop, or begin a
// second time. None of them ever gets a byte of another's body.
func TestBodiesDoNotMix(t *testing.T) {
	s := new(Spool)
	s.Configure(t.TempDir(), 0)
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := range 60 {
				size := []int{10, 300, 5000, 70_000, MemoryLimit + 100_000}[rand.IntN(5)]
				serveOnce(t, s, bytes.Repeat([]byte{byte(40*c + i%40)}, size))
			}
		})
	}
	clients.Wait()
	if s.Used() != 0 {
		t.Errorf("%d bytes are still taken", s.Used())
	}
}

// serveOnce has a request of its own served, whose body is one byte again and
// again: it is read, cut, and read by some who do not wait for the end of the
// request, nor it for them.
func serveOnce(t *testing.T, s *Spool, text []byte) {
	r := httptest.NewRequest("POST", "/", bytes.NewReader(text))
	b := Open(r, new(Body), nil)
	if err := b.Spool(r.Context(), s, Upload{Limit: 2 * MemoryLimit}); err != nil {
		t.Error(err)
		return
	}
	Cut(b, []Span{{1, 3}})
	b.Pass(r)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var seen bytes.Buffer
			switch rand.IntN(3) {
			case 0:
				_, _ = io.Copy(&seen, r.Body)
			case 1:
				_, _ = io.CopyN(&seen, onlyReader{r.Body}, rand.Int64N(int64(len(text))+1))
				_ = r.Body.Close()
			case 2:
				_, _ = io.Copy(&seen, onlyReader{r.Body})
			}
			if others := seen.Len() - bytes.Count(seen.Bytes(), text[:1]); others > 0 {
				t.Errorf("the body of %#x has %d bytes of others", text[0], others)
			}
		})
	}
	if rand.IntN(2) == 0 {
		readers.Wait()
	}
	b.End()
	readers.Wait()
	if b.file != nil {
		t.Error("a file is left open")
	}
}

// A handler as it is meant to be, over a real connection.
func TestServedTwice(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := Declare(r.Header)
		b := Open(r, new(Body), nil)
		begins, err := b.Begins(&d, 1<<20)
		if err == nil && begins == Object {
			err = b.ReadAll(1 << 20)
		}
		if err != nil {
			b.Discard(r)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b.Pass(r)
		_, _ = io.Copy(w, r.Body)
		b.End()
	}))
	defer server.Close()
	for _, text := range []string{`{"a":1}`, "opaque", strings.Repeat(" ", 3000) + "{}", strings.Repeat("\x00", 2<<20), ""} {
		answer, err := http.Post(server.URL, "text/plain", struct{ io.Reader }{strings.NewReader(text)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(answer.Body); string(got) != text || err != nil {
			t.Errorf("%.20q: %.20q, %v", text, got, err)
		}
		_ = answer.Body.Close()
	}
}
