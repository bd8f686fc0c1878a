package redisledger

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func numbered(n uint64) (k ledger.Key) {
	binary.NativeEndian.PutUint64(k[:], n*0x9E3779B97F4A7C15) // spread, as digests are
	return k
}

func benchmark(b *testing.B, callers int, call func(l *Ledger, n uint64) error) {
	l := opened(b, at(b, redistest.Start(b, volatile...)))
	var next atomic.Uint64
	b.SetParallelism(max(1, callers/2))
	b.ReportAllocs()
	b.ResetTimer()
	each := func() {
		if err := call(l, next.Add(1)); err != nil {
			b.Error(err)
		}
	}
	if callers == 1 {
		for b.Loop() {
			each()
		}
		return
	}
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			each()
		}
	})
}

func BenchmarkReserve(b *testing.B) {
	until := time.Now().Add(time.Hour)
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint(callers, " callers"), func(b *testing.B) {
			benchmark(b, callers, func(l *Ledger, n uint64) error {
				_, err := l.Reserve(b.Context(), numbered(n), holder("a"), until, ledger.Share{})
				return err
			})
		})
		b.Run(fmt.Sprint("under a share, ", callers, " callers"), func(b *testing.B) {
			benchmark(b, callers, func(l *Ledger, n uint64) error {
				share := ledger.Share{Owner: numbered(n % 1000), Limit: 1 << 30}
				_, err := l.Reserve(b.Context(), numbered(n), holder("a"), until, share)
				return err
			})
		})
		b.Run(fmt.Sprint("replayed, ", callers, " callers"), func(b *testing.B) {
			benchmark(b, callers, func(l *Ledger, n uint64) error {
				_, err := l.Reserve(b.Context(), numbered(n%1000), holder("a"), until, ledger.Share{})
				return err
			})
		})
	}
}

// BenchmarkLook is what each gateway asks of the server four times a second.
func BenchmarkLook(b *testing.B) {
	l := at(b, redistest.Start(b, volatile...))
	opened(b, l)
	for b.Loop() {
		_, _ = l.look()
	}
}
