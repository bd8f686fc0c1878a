//go:build unix

package redisledger

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// TestStopped stops the server, as an overloaded machine does. Nobody waits
// for longer than the limits, and not one after the other.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := serve(t)
	l := opened(t, s.ledger())
	used := accept(t, l, "token ")
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
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
	until(t, l, "cannot be reached")
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, l, "")
	if since := since(l); !since.IsZero() {
		t.Errorf("since %v, though nothing was lost", since)
	}
	refuse(t, l, used)
}
