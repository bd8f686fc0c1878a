package body

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var testClient = netip.MustParseAddr("192.0.2.7")

func testSpool(t testing.TB) *Spool {
	s := new(Spool)
	s.Configure(t.TempDir(), 0)
	t.Cleanup(func() {
		if s.Used() != 0 || len(s.clients) > 0 {
			t.Errorf("%d bytes of the spool are not given back: %v", s.Used(), s.clients)
		}
	})
	return s
}

// randomText is the same each time.
func randomText(n int) []byte {
	text := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(text)
	return text
}

func TestSpool(t *testing.T) {
	s := testSpool(t)
	for _, n := range []int{0, 1, 5000, MemoryLimit, MemoryLimit + 1, MemoryLimit + copySize + 17} {
		text := randomText(n)
		for name, as := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		} {
			for _, length := range []int64{-1, int64(n)} {
				b, r := received(as(bytes.NewReader(text)), length)
				if length < 0 && name == "in halves" {
					_, _ = b.Begins(&opaque, 1<<20) // what was looked at before is part of it
				}
				var seen bytes.Buffer
				ctx, cancel := context.WithCancel(t.Context())
				if err := b.Spool(ctx, s, Upload{Limit: 4 * MemoryLimit, Client: testClient, Sink: &seen}); err != nil {
					t.Errorf("%d bytes, %s: %v", n, name, err)
					cancel()
					continue
				}
				if !bytes.Equal(seen.Bytes(), text) || b.inFile != (n > MemoryLimit) || b.Len() != int64(n) || !b.Whole() {
					t.Errorf("%d bytes, %s: the sink has %d, in a file %v", n, name, seen.Len(), b.inFile)
				}
				if used := s.Used(); used != int64(n) && n > MemoryLimit || n <= MemoryLimit && used != 0 {
					t.Errorf("%d bytes, %s: %d are taken", n, name, used)
				}
				if n > MemoryLimit && b.block != nil {
					t.Errorf("%d bytes, %s: memory is kept for what is in a file", n, name)
				}
				for how, got := range reads(t, b) {
					if !bytes.Equal(got, text) {
						t.Errorf("%d bytes, %s: %s finds %d others", n, name, how, len(got))
					}
				}
				b.Pass(r)
				if got, err := io.ReadAll(r.Body); !bytes.Equal(got, text) || err != nil || n > 0 && r.ContentLength != int64(n) {
					t.Errorf("%d bytes, %s: passes %d, %v", n, name, len(got), err)
				}
				b.End()
				if n > MemoryLimit {
					if got, err := r.Body.Read(make([]byte, 1)); got != 0 || err != http.ErrBodyReadAfterClose {
						t.Errorf("read after the end: %d, %v", got, err)
					}
					if got, err := b.ReadAt(make([]byte, 1), 0); got != 0 || err != http.ErrBodyReadAfterClose {
						t.Errorf("read after the end: %d, %v", got, err)
					}
					if err := b.CopyTo(io.Discard); err != http.ErrBodyReadAfterClose {
						t.Errorf("read after the end: %v", err)
					}
				}
				cancel()
			}
		}
	}
}

// How a body in a file begins is seen in its file.
func TestFileBegins(t *testing.T) {
	s := testSpool(t)
	for text, want := range map[string]Beginning{
		"{" + string(randomText(2*MemoryLimit)): Object, "--x\r\n" + string(randomText(2*MemoryLimit)): Opaque,
		strings.Repeat(" ", 2*MemoryLimit) + "{": Object, strings.Repeat(" ", 2*MemoryLimit): Opaque,
	} {
		b, _ := received(strings.NewReader(text), -1)
		if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		d := declare("multipart/form-data; boundary=x")
		for range 2 {
			if got, err := b.Begins(&d, 100); got != want || err != nil {
				t.Errorf("%.5q: %d, %v", text, got, err)
			}
		}
		d = Declare(http.Header{"Content-Encoding": {"gzip"}})
		if got, err := b.Begins(&d, 100); got != want || err != nil {
			t.Errorf("%.5q, coded: %d, %v", text, got, err)
		}
		b.End()
	}
}

func TestSpoolLimit(t *testing.T) {
	s := testSpool(t)
	for _, limit := range []int{0, 100, MemoryLimit - 1, MemoryLimit, MemoryLimit + 1, 2 * MemoryLimit} {
		for _, n := range []int{limit, limit + 1, 3 * MemoryLimit} {
			for _, length := range []int64{-1, int64(n)} {
				b, _ := received(onlyReader{bytes.NewReader(randomText(n))}, length)
				err := b.Spool(t.Context(), s, Upload{Limit: int64(limit), Client: testClient})
				if n <= limit && err != nil || n > limit && err != ErrTooLarge {
					t.Errorf("%d bytes of %d: %v", n, limit, err)
				}
				if n > limit && b.file != nil {
					t.Error("the file of a body that is too large is kept")
				}
				b.End()
			}
		}
	}
}

// Whatever happens, the file is gone and its bytes are given back.
func TestSpoolFails(t *testing.T) {
	s := testSpool(t)
	text := randomText(2 * MemoryLimit)
	mine := errors.New("the sink's")
	for name, c := range map[string]struct {
		from io.Reader
		sink io.Writer
		want error
	}{
		"the client stops":     {io.MultiReader(bytes.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF)), nil, ErrBroken},
		"the client times out": {io.MultiReader(bytes.NewReader(text), iotest.TimeoutReader(bytes.NewReader(text))), nil, ErrBroken},
		"the sink fails":       {bytes.NewReader(text), failAfter(MemoryLimit+5, mine), mine},
		"the sink fails early": {bytes.NewReader(text), failAfter(5, mine), mine},
		"a limit before us":    {http.MaxBytesReader(nil, io.NopCloser(bytes.NewReader(text)), MemoryLimit+5), nil, ErrTooLarge},
	} {
		b, r := received(onlyReader{c.from}, -1)
		if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient, Sink: c.sink}); err != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if s.Used() != 0 || b.file != nil || b.Whole() {
			t.Errorf("%s: %d bytes are kept", name, s.Used())
		}
		b.Pass(r)
		if got, err := io.ReadAll(r.Body); err == nil && !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes pass for the body", name, len(got))
		}
		b.End()
	}

	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		b, _ := received(bytes.NewReader(text), -1)
		_ = b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient, Sink: writer(func(p []byte) (int, error) {
			if s.Used() > 0 {
				panic("in the middle")
			}
			return len(p), nil
		})})
	}()
	if s.Used() != 0 {
		t.Error("a panic keeps the file")
	}
}

func failAfter(n int, err error) io.Writer {
	return writer(func(p []byte) (int, error) {
		if n -= len(p); n < 0 {
			return 0, err
		}
		return len(p), nil
	})
}

// The end of its request ends a body in a file, if nobody did it before. Whoever
// is reading finishes his read.
func TestRequestEndsFile(t *testing.T) {
	s := testSpool(t)
	ctx, cancel := context.WithCancel(t.Context())
	b, r := received(bytes.NewReader(randomText(2*MemoryLimit)), -1)
	if err := b.Spool(ctx, s, Upload{Limit: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	b.Pass(r)
	p := make([]byte, 100)
	if _, err := r.Body.Read(p); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock() // as somebody who reads does
	cancel()
	for !b.ended.Load() {
		time.Sleep(time.Millisecond)
	}
	if s.Used() == 0 || b.over {
		t.Error("the file is taken from somebody who is reading it")
	}
	b.release()
	if s.Used() != 0 {
		t.Error("the file outlives its last reader")
	}
	if n, err := r.Body.Read(p); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("%d, %v", n, err)
	}

	// One whose client is gone before it is even there.
	b, _ = received(bytes.NewReader(randomText(2*MemoryLimit)), -1)
	if err := b.Spool(ctx, s, Upload{Limit: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	for s.Used() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// A transport of net/http reads a body on its own goroutine, after the answer.
func TestFileUnderTransport(t *testing.T) {
	s := testSpool(t)
	text := randomText(3 * MemoryLimit)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusTeapot)
			_ = http.NewResponseController(w).Flush()
		case "/hangup":
			_, _ = io.CopyN(io.Discard, r.Body, 100_000)
			panic(http.ErrAbortHandler)
		default:
			if got, err := io.ReadAll(r.Body); !bytes.Equal(got, text) || err != nil || r.ContentLength != int64(len(text)) {
				t.Errorf("%d bytes of length %d, %v", len(got), r.ContentLength, err)
			}
		}
	}))
	defer upstream.Close()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := Open(r, new(Body), nil)
		if err := b.Spool(r.Context(), s, Upload{Limit: 1 << 30, Client: testClient}); err != nil {
			t.Error(err)
			return
		}
		b.Pass(r)
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", upstream.Listener.Addr().String()
		answer, err := http.DefaultTransport.RoundTrip(out)
		if err == nil {
			_ = answer.Body.Close()
			w.WriteHeader(answer.StatusCode)
		}
		b.End()
	}))
	defer gateway.Close()
	for range 5 {
		for _, path := range []string{"/", "/early", "/hangup"} {
			answer, err := http.Post(gateway.URL+path, "multipart/form-data; boundary=x", onlyReader{bytes.NewReader(text)})
			if err != nil {
				t.Fatal(path, err)
			}
			_ = answer.Body.Close()
		}
	}
	for s.Used() > 0 { // a server cancels the request's context a moment after the answer
		time.Sleep(time.Millisecond)
	}
}

// FuzzSpool: however a body arrives, what is kept and what the sink is given is
// the same.
func FuzzSpool(f *testing.F) {
	f.Add(100, uint64(1))
	f.Add(MemoryLimit+100_000, uint64(2))
	s := testSpool(f)
	f.Fuzz(func(t *testing.T, n int, seed uint64) {
		if n < 0 || n > 2*MemoryLimit {
			return
		}
		text := randomText(n)
		random := rand.New(rand.NewPCG(seed, 1))
		rest := bytes.NewReader(text)
		from := readFunc(func(p []byte) (int, error) {
			if random.IntN(10) == 0 {
				return rest.Read(p[:random.IntN(len(p)+1)])
			}
			return rest.Read(p)
		})
		var seen bytes.Buffer
		b, _ := received(from, -1)
		if err := b.Spool(t.Context(), s, Upload{Limit: 2 * MemoryLimit, Sink: &seen}); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Len()))
		if !bytes.Equal(got, text) || !bytes.Equal(seen.Bytes(), text) || err != nil {
			t.Errorf("%d bytes, %d in the sink of %d: %v", len(got), seen.Len(), n, err)
		}
		b.End()
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// onlyReader hides what else a reader can do.
type onlyReader struct{ io.Reader }
