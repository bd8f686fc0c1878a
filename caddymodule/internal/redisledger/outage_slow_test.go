//go:build slow && unix

package redisledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSlowNodes uses keys and shares in a cluster of three nodes, loses the one that
// has them and gets it back without its data.
func TestSlowNodes(t *testing.T) {
	t.Parallel()
	all := redistest.StartCluster(t, 3)
	var gateways [2]*Ledger
	for i := range gateways {
		gateways[i] = opened(t, on(t, "redis+cluster://"+all[i].Addr))
	}
	until := soon()
	for i := range 60 {
		k, share := key(fmt.Sprint(i)), ledger.Share{Owner: key(fmt.Sprint("owner ", i/2)), Limit: 1}
		e, err := gateways[i%2].Reserve(t.Context(), k, holder("a"), until, share)
		switch {
		case i%2 == 0 && (err != nil || e.Holder != holder("a")):
			t.Fatal(i, e, err)
		case i%2 == 1 && !errors.Is(err, ledger.ErrShare):
			t.Fatal(i, e, err)
		}
		if i%2 == 1 {
			first := key(fmt.Sprint(i - 1))
			if e, err := gateways[1].Keep(t.Context(), first, holder("a"), until.Add(time.Minute)); err != nil || e.Holder != holder("a") {
				t.Fatal(i, e, err)
			}
			if err := gateways[0].Release(t.Context(), first, holder("a"), until.Add(time.Minute)); err != nil {
				t.Fatal(i, err)
			}
			if e, err := gateways[0].Reserve(t.Context(), k, holder("a"), until, share); err != nil || e.Holder != holder("a") {
				t.Fatal(i, e, err)
			}
		}
	}
	var used []token
	for i := range 30 {
		used = append(used, accept(t, gateways[0], fmt.Sprint("token ", i, " ")))
	}
	lost := all[slices.IndexFunc(all, func(s *redistest.Server) bool { return s.Do("DBSIZE") != "0" })]
	lost.Kill()
	for _, u := range used {
		if accepted, err := spend(gateways[1], u); accepted {
			t.Error("a token was accepted twice", err)
		}
	}
	lost.Empty()
	lost.Restart()
	for i, u := range used {
		refuse(t, gateways[i%2], u)
	}
	accept(t, gateways[1], "another ")
	for _, l := range gateways {
		testbed.Succeeds(t, "the loss is noticed", func() error {
			if since(l).Before(used[len(used)-1].signed) {
				return fmt.Errorf("since %v", since(l))
			}
			return nil
		})
	}
}

// TestSlowStopped stops the server, as an overloaded machine does. Nobody waits
// for longer than the limits, and not one after the other.
func TestSlowStopped(t *testing.T) {
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
