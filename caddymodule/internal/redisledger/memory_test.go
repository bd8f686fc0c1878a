package redisledger

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

var long = ledger.Window{MaxAge: time.Hour, Skew: time.Second}

// TestWindowRace has one gateway use signatures under a short window all the time
// while another begins to serve a longer one. Whatever was used is known at the
// other when the short window is over.
func TestWindowRace(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := clientOf(t, s)
	a, b := at(t, s), at(t, s)
	brief := ledger.Window{MaxAge: 2 * time.Second, Skew: time.Second}
	openedFor(t, a, ledger.Window{MaxAge: 10 * time.Second, Skew: time.Second})
	type used struct {
		name   string
		signed time.Time
	}
	var mu sync.Mutex
	var all []used
	var stop atomic.Bool
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := 0; !stop.Load(); i++ {
				u := used{fmt.Sprint(t.Name(), g, " ", i), time.Now()}
				if accepted, err := spendIn(a, token{key(u.name), u.signed}, brief); err != nil || !accepted {
					t.Error(accepted, err)
					return
				}
				mu.Lock()
				all = append(all, u)
				mu.Unlock()
			}
		})
	}
	count := func(n int) {
		testbed.Succeeds(t, "signatures are used", func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(all) < n {
				return errors.New("too few")
			}
			return nil
		})
	}
	count(200)
	openedFor(t, b, long)
	mu.Lock()
	n := len(all)
	mu.Unlock()
	count(n + 200)
	stop.Store(true)
	group.Wait()
	elapse(t, admin, 30*time.Second) // what was kept for the short window is gone
	known := 0
	for _, u := range all {
		// Seen by a clock that has gone on as far.
		on, err := b.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		vouched := on.memory.Vouch(ledger.Signed{At: u.signed}, time.Now().Add(30*time.Second)) == nil
		e, err := b.Held(t.Context(), key(u.name))
		if err != nil {
			t.Fatal(err)
		}
		if held := e.Holder != (ledger.Holder{}); held {
			known++
		} else if vouched {
			t.Fatalf("what was used %v before the window became longer can be used again", on.memory.Extended.Sub(u.signed))
		}
	}
	if known < 200 || known == len(all) {
		t.Errorf("%d of %d are known: that proves nothing", known, len(all))
	}
}

// TestID: a restart with the data does not change the ledger's id. A loss does.
func TestID(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := at(t, s), at(t, s)
	id := openedFor(t, a, long)
	openedFor(t, b, long)
	restart(s)
	testbed.Succeeds(t, "the restart is noticed", func() error {
		again, err := a.Open(t.Context(), long)
		if err == nil && again != id {
			t.Fatalf("another id after a restart: %s and %s", id, again)
		}
		if err == nil && since(a).IsZero() {
			err = errors.New("not yet")
		}
		return err
	})
	s.Do("FLUSHALL")
	testbed.Succeeds(t, "the flush is noticed", func() error {
		first, err := a.Open(t.Context(), long)
		second, err2 := b.Open(t.Context(), long)
		if first == id || second != first {
			err = fmt.Errorf("%s and %s, before %s", first, second, id)
		}
		return errors.Join(err, err2)
	})
}
