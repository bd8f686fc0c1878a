package redisledger

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestNewTouchesNothing makes a ledger as a configuration that is only validated does.
func TestNewTouchesNothing(t *testing.T) {
	s := redistest.Start(t, volatile...)
	before := runtime.NumGoroutine()
	l := at(t, s)
	says(t, "before the first call", l.Err(), "not reached yet")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := s.Do("DBSIZE"); n != "0" {
		t.Errorf("%s keys were written", n)
	}
	testbed.Succeeds(t, "the goroutines end", func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d run, and %d did", n, before)
		}
		return nil
	})
}
