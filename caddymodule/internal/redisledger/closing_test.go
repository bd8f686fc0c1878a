package redisledger

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// TestCloseDuringTraffic closes a ledger that is being asked. What it had
// answered is held, and nothing of it is left running.
func TestCloseDuringTraffic(t *testing.T) {
	s := serve(t)
	for range 3 {
		l := s.ledger()
		var mu sync.Mutex
		var reserved []string
		var group sync.WaitGroup
		for g := range 32 {
			group.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprint(t.Name(), g, " ", i)
					e, err := l.Reserve(t.Context(), key(name), holder("a"), soon(), ledger.Share{})
					if err != nil {
						if !errors.Is(err, errClosed) || !errors.Is(err, ledger.ErrUnavailable) {
							t.Error(err)
						}
						return
					}
					if e.Holder != holder("a") {
						t.Errorf("%s: %v", name, e)
					}
					mu.Lock()
					reserved = append(reserved, name)
					mu.Unlock()
				}
			})
		}
		eventually(t, "something is reserved", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(reserved) < 100 {
				return errors.New("too little is")
			}
			return nil
		})
		for range 2 {
			group.Go(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		says(t, "Err", l.Err(), "closed")
		says(t, "Open", failed(l.Open(t.Context(), ledger.Window{})), "closed")
		l = s.ledger()
		for _, name := range reserved {
			if e, err := l.Held(t.Context(), key(name)); err != nil || e.Holder != holder("a") {
				t.Errorf("%s: %v, %v", name, e, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the goroutines end", func() error {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if n := strings.Count(string(stacks), "redisledger.(*Ledger)"); n > 0 {
			return fmt.Errorf("%d run:\n%s", n, stacks)
		}
		return nil
	})
}

// TestNewTouchesNothing makes a ledger as a configuration that is only validated does.
func TestNewTouchesNothing(t *testing.T) {
	s := serve(t)
	before := runtime.NumGoroutine()
	client := s.dial()
	l := New(Options{Client: client, Prefix: "test:"})
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := s.do("DBSIZE"); n != "0" {
		t.Errorf("%s keys were written", n)
	}
	client.Close()
	eventually(t, "the goroutines end", func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d run, and %d did", n, before)
		}
		return nil
	})
	l = New(Options{})
	_, err := l.Held(t.Context(), key("k"))
	says(t, "without a client", err, "no client")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
