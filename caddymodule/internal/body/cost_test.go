package body

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httptest"
	"runtime"
	"testing"
)

// BenchmarkBeginnings shows what it costs to skip a megabyte, and that what does
// not begin like an object costs next to nothing.
func BenchmarkBeginnings(b *testing.B) {
	for name, text := range map[string][]byte{
		"spaces":  bytes.Repeat([]byte(" "), 1<<20),
		"NULs":    make([]byte, 1<<20),
		"comment": append([]byte("#"), bytes.Repeat([]byte("words and "), 1<<20/10)...),
		"JPEG":    append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF"), make([]byte, 1<<10)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for range b.N {
				var s start
				s.feed(text)
			}
		})
	}
}

// An upload of 60 MiB takes no more memory than one of two, wherever it goes.
func TestUploadTakesNoMemory(t *testing.T) {
	const size, allowed = 60 << 20, 4 << 20
	s := testSpool(t)
	serve := func(size int64) {
		b, r := received(io.LimitReader(zeroless{}, size), size)
		if err := b.Spool(t.Context(), s, Upload{Limit: size, Client: testClient, Sink: io.Discard}); err != nil {
			t.Error(err)
		}
		Cut(b, []Span{{10, 20}, {50 << 20, 51 << 20}})
		b.Pass(r)
		if n, err := io.Copy(io.Discard, r.Body); n != b.Len() || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		b.End()
	}
	serve(2 * MemoryLimit)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	serve(size)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > allowed {
		t.Errorf("%d bytes are allocated for an upload of %d", took, size)
	}
}

// BenchmarkUpload shows how fast 60 MiB pass: from memory to a file, and from
// there to nowhere.
func BenchmarkUpload(b *testing.B) {
	s := testSpool(b)
	const size = 60 << 20
	chunk := bytes.Repeat([]byte("z"), 1<<20)
	b.SetBytes(size)
	b.ReportAllocs()
	for range b.N {
		from := io.LimitReader(readFunc(func(p []byte) (int, error) { return copy(p, chunk), nil }), size)
		body, r := received(from, size)
		if err := body.Spool(b.Context(), s, Upload{Limit: size, Client: testClient, Sink: io.Discard}); err != nil {
			b.Fatal(err)
		}
		body.Pass(r)
		if n, err := io.Copy(io.Discard, onlyReader{r.Body}); n != size || err != nil {
			b.Fatal(n, err)
		}
		body.End()
	}
}

// BenchmarkReadAll shows the memory of a body that is read, passed on and read.
func BenchmarkReadAll(b *testing.B) {
	for _, size := range []int{300, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			text := randomText(size)
			from := bytes.NewReader(nil)
			r := httptest.NewRequest("POST", "/", nil)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			body := make([]Body, b.N)
			b.ResetTimer()
			for i := range b.N {
				from.Reset(text)
				r.Body, r.ContentLength = readCloser{from}, int64(size)
				b := Open(r, &body[i], nil)
				if err := b.ReadAll(1 << 20); err != nil {
					panic(err)
				}
				b.Pass(r)
				_, _ = b.WriteTo(io.Discard)
				b.End()
			}
		})
	}
}

type readCloser struct{ io.Reader }

func (readCloser) Close() error { return nil }

// A body that is read whole, passed on and read needs no memory of its own.
func TestReadAllAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return // sync.Pool drops a part of what is put into it
	}
	text := randomText(3000)
	from := bytes.NewReader(nil)
	r := httptest.NewRequest("POST", "/", nil)
	bodies := make([]Body, 102)
	next := 0
	allocs := testing.AllocsPerRun(100, func() {
		from.Reset(text)
		r.Body, r.ContentLength = io.NopCloser(onlyReader{from}), int64(len(text))
		b := Open(r, &bodies[next], nil)
		next++
		if err := b.ReadAll(1 << 20); err != nil {
			t.Error(err)
		}
		b.Pass(r)
		_, _ = b.WriteTo(io.Discard)
		b.End()
	})
	if allocs > 2 { // the test's own
		t.Errorf("%v allocations", allocs)
	}
}
