package filestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const many = 100_000

// fleet returns records as they are in use: one secret of 32 bytes each, all
// under one key.
func fleet() []*widgets.Record {
	records := make([]*widgets.Record, many)
	for i := range records {
		r := widget(fmt.Sprintf("customer-%06d", i), "bookbag")
		r.Mode = "required"
		r.Secrets[0].Version = widgets.NewVersion()
		_, _ = rand.Read(r.Secrets[0].Box)
		records[i] = r
	}
	return records
}

func BenchmarkLoad(b *testing.B) {
	var file bytes.Buffer
	if _, err := encode(&file, fleet()); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "widgets.jsonl")
	put(b, path, file.Bytes())
	b.SetBytes(int64(file.Len()))
	file = bytes.Buffer{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var s *Store
	for b.Loop() {
		s = open(Options{Path: path})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "B/widget")
	if len(s.current.Load().snapshot.sorted) != many {
		b.Fatal(s.Err())
	}
}

func BenchmarkUpdate(b *testing.B) {
	path := filepath.Join(b.TempDir(), "widgets.jsonl")
	if _, err := replace(path, fleet()); err != nil {
		b.Fatal(err)
	}
	s := open(Options{Path: path})
	for i := 0; b.Loop(); i++ {
		dialect := []string{"bookbag", "nextcap"}[i%2]
		err := s.Update(context.Background(), []string{"customer-050000"}, func(_ string, old *widgets.Record) (*widgets.Record, error) {
			return old.WithPolicy(old.Mode, dialect, time.Now())
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	path := filepath.Join(b.TempDir(), "widgets.jsonl")
	if _, err := replace(path, fleet()); err != nil {
		b.Fatal(err)
	}
	s := open(Options{Path: path})
	id := []byte("customer-050000")
	b.ReportAllocs()
	for b.Loop() {
		if r, err := s.Lookup(b.Context(), id); r == nil || err != nil {
			b.Fatal(err)
		}
	}
}
