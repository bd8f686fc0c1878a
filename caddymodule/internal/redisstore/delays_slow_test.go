//go:build slow

package redisstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// delaying has an address at which the server answers, late and in pieces, until a
// connection is cut.
func delaying(t *testing.T, server *redistest.Server) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pass := func(to, from net.Conn) {
		defer func() { _, _ = to.Close(), from.Close() }()
		piece := make([]byte, 1<<10)
		for {
			n, err := from.Read(piece)
			if err != nil || rand.IntN(200) == 0 {
				return
			}
			if rand.IntN(8) == 0 {
				time.Sleep(time.Duration(rand.IntN(900)) * time.Millisecond)
			}
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server.Addr)
			if err != nil {
				_ = in.Close()
				continue
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return listener.Addr().String()
}

// TestSlowDelays: to gateways whose messages to and from Redis are late, or lost,
// nothing that was retired is current.
func TestSlowDelays(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const widgetCount, changed, rounds = 8, 3, 15
	var current [widgetCount]atomic.Int64 // the version that Update has returned of
	id := func(i int) string { return fmt.Sprint("w", i) }
	writer := ready(t, "redis://"+server.Addr, Options{})
	for i := range widgetCount {
		change(t, writer, to("0"), id(i))
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	var answered, remembered atomic.Int64
	for range 4 {
		s := gateway(t, "redis://"+delaying(t, server), Options{Asked: func(context.Context, time.Time, error) { remembered.Add(-1) }})
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					i := rand.IntN(widgetCount)
					least := current[i].Load()
					r, err := s.Lookup(t.Context(), []byte(id(i)))
					if err != nil {
						continue
					}
					var got int64
					_, _ = fmt.Sscan(r.Secrets[0].Version, &got)
					if got < least {
						t.Errorf("version %d after %d was there", got, least)
						return
					}
					answered.Add(1)
					remembered.Add(1)
				}
			})
		}
	}
	for i := range changed {
		writers.Go(func() {
			for round := range int64(rounds) {
				time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
				change(t, writer, to(fmt.Sprint(round+1)), id(i))
				current[i].Store(round + 1)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	t.Logf("%d lookups were answered, %d of them from memory", answered.Load(), remembered.Load())
	if answered.Load() < 100 || remembered.Load() < 100 {
		t.Error("that proves nothing")
	}
}
