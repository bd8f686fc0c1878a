//go:build unix

package redisledger

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// TestStopped stops the server, as an overloaded machine does. Nobody waits
// for longer than the limits, and not one after the other.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, volatile...)
	l := opened(t, at(t, s))
	used := accept(t, l, "token ")
	s.Pause()
	var group sync.WaitGroup
	var calls atomic.Int64
	begun := time.Now()
	for range 16 {
		group.Go(func() {
			for time.Since(begun) < 3*time.Second {
				called := time.Now()
				_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
				if !errors.Is(err, ledger.ErrUnavailable) {
					t.Error(err)
				}
				if took := time.Since(called); took > 20*time.Second {
					t.Errorf("a call took %v", took)
				}
				calls.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	group.Wait()
	if calls.Load() < 100 {
		t.Errorf("%d calls: each has waited", calls.Load())
	}
	until(t, l, "overloaded or stopped")
	s.Resume()
	until(t, l, "")
	if since := since(l); !since.IsZero() {
		t.Errorf("since %v, though nothing was lost", since)
	}
	refuse(t, l, used)
}
