package boltledger

import (
	"encoding/binary"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func numbered(n uint64) (k ledger.Key) {
	binary.NativeEndian.PutUint64(k[:], n*0x9E3779B97F4A7C15) // spread, as digests are
	return k
}

// open returns a ledger that works as in production, and has so many entries.
func open(b *testing.B, entries int) *Ledger {
	b.Helper()
	l := New(Options{Path: filepath.Join(b.TempDir(), "ledger.db")})
	b.Cleanup(func() { l.close(b) })
	if _, err := l.Open(b.Context(), ledger.Window{}); err != nil {
		b.Fatal(err)
	}
	many(b, l, entries)
	return l
}

// many reserves keys, as fast as it can be done.
func many(b *testing.B, l *Ledger, n int) {
	b.Helper()
	var next atomic.Int64
	done := make(chan struct{})
	for range 512 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if _, err := l.Reserve(b.Context(), numbered(uint64(i)), holder("a"), farAway(), ledger.Share{}); err != nil {
					b.Error(err)
				}
			}
		}()
	}
	for range 512 {
		<-done
	}
}

func BenchmarkReserve(b *testing.B) {
	for _, callers := range []struct {
		name string
		n    int
	}{{"serial", 1}, {"64 callers", 64}, {"512 callers", 512}} {
		b.Run(callers.name, func(b *testing.B) {
			l := open(b, 10_000)
			until := time.Now().Add(time.Hour)
			before := l.session.durable.Load()
			var next atomic.Uint64
			next.Store(1 << 32)
			b.SetParallelism(max(1, callers.n/2))
			b.ReportAllocs()
			b.ResetTimer()
			reserve := func() {
				if _, err := l.Reserve(b.Context(), numbered(next.Add(1)), holder("a"), until, ledger.Share{}); err != nil {
					b.Error(err)
				}
			}
			if callers.n == 1 {
				for b.Loop() {
					reserve()
				}
			} else {
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						reserve()
					}
				})
			}
			b.ReportMetric(float64(b.N)/float64(l.session.durable.Load()-before), "reserved/commit")
		})
	}
}

func BenchmarkHeld(b *testing.B) {
	l := open(b, 10_000)
	b.ReportAllocs()
	for i := uint64(1); b.Loop(); i++ {
		if e, err := l.Held(b.Context(), numbered(i%10_000+1)); err != nil || e.Holder != holder("a") {
			b.Fatal(e, err)
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	l := open(b, 10_000)
	until, stranger := time.Now().Add(time.Hour), holder("b")
	before := l.session.durable.Load()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for i := uint64(1); p.Next(); i++ {
			if e, err := l.Reserve(b.Context(), numbered(i%10_000+1), stranger, until, ledger.Share{}); err != nil || e.Holder == stranger {
				b.Error(e, err)
			}
		}
	})
	b.ReportMetric(float64(l.session.durable.Load()-before), "commits")
}

// BenchmarkOpen inspects a file of so many entries, half of which have a share.
func BenchmarkOpen(b *testing.B) {
	l := open(b, 100_000)
	path := l.path
	l.close(b)
	for b.Loop() {
		l := New(Options{Path: path})
		if _, err := l.Open(b.Context(), ledger.Window{}); err != nil {
			b.Fatal(err)
		}
		l.close(b)
	}
}
