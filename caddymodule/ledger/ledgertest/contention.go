package ledgertest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// oneWins has 64 holders want each of many keys at once.
func oneWins(b *bed) {
	const holders, keys = 64, 100
	fleet := b.fleet()
	var won, winner [keys]atomic.Int32
	var group sync.WaitGroup
	for n := range holders {
		me, l := holder(fmt.Sprint(n)), fleet[n%len(fleet)]
		group.Go(func() {
			for k := range keys {
				e, err := l.Reserve(b.Context(), key(fmt.Sprint(k)), me, b.in(h), ledger.Share{})
				if err != nil {
					b.Error(err)
					return
				}
				if e.Holder == me {
					won[k].Add(1)
					winner[k].Store(int32(n))
				}
			}
		})
	}
	group.Wait()
	for k := range keys {
		if n := won[k].Load(); n != 1 {
			b.Errorf("key %d has %d holders", k, n)
		}
		b.holds(fleet[k%len(fleet)], key(fmt.Sprint(k)), ledger.Entry{Holder: holder(fmt.Sprint(winner[k].Load())), Until: b.in(h)})
	}
}

// contendedShare has many want more than their share at once, some of them the
// same keys. The share counts each key that was reserved, and nothing else.
func contendedShare(b *bed) {
	const limit = 10
	fleet := b.fleet()
	share := ledger.Share{Owner: key("owner"), Limit: limit}
	reserve := func(i int) error {
		e, err := fleet[i%len(fleet)].Reserve(b.Context(), key(fmt.Sprint(i/3)), holder("a"), b.in(h), share)
		if err == nil && e.Holder != holder("a") {
			b.Errorf("another holds key %d", i/3)
		}
		return err
	}
	var mu sync.Mutex
	held := make(map[int]bool)
	var group sync.WaitGroup
	for i := range 96 {
		group.Go(func() {
			switch err := reserve(i); {
			case err == nil:
				mu.Lock()
				held[i/3] = true
				mu.Unlock()
			case !errors.Is(err, ledger.ErrShare):
				b.Error(err)
			}
		})
	}
	group.Wait()
	if len(held) != limit {
		b.Errorf("%d keys were reserved under a share of %d", len(held), limit)
	}
	for i := range held {
		if err := fleet[0].Release(b.Context(), key(fmt.Sprint(i)), holder("a"), b.in(h)); err != nil {
			b.Error(err)
		}
	}
	for i := range limit + 1 {
		if err := reserve(3 * i); i < limit && err != nil || i == limit && !errors.Is(err, ledger.ErrShare) {
			b.Errorf("after all were released, key %d: %v", i, err)
		}
	}
}

// mutualExclusion uses keys as locks.
func mutualExclusion(b *bed) {
	fleet := b.fleet()
	var inside [3]atomic.Int32
	var group sync.WaitGroup
	for n := range 12 {
		me, l := holder(fmt.Sprint(n)), fleet[n%len(fleet)]
		group.Go(func() {
			for i := 0; i < 10; {
				lock := key(fmt.Sprint(i % len(inside)))
				until := b.in(h)
				e, err := l.Reserve(b.Context(), lock, me, until, ledger.Share{})
				if err != nil {
					b.Error(err)
					return
				}
				if e.Holder != me {
					runtime.Gosched()
					continue
				}
				if inside[i%len(inside)].Add(1) != 1 {
					b.Error("two hold the same key")
				}
				if i%2 == 0 {
					until = until.Add(m)
					if e, err := l.Keep(b.Context(), lock, me, until); err != nil || e.Holder != me {
						b.Error(e, err)
					}
				}
				inside[i%len(inside)].Add(-1)
				if err := l.Release(b.Context(), lock, me, until); err != nil {
					b.Error(err)
				}
				i++
			}
		})
	}
	group.Wait()
}

// closed closes a ledger that is being asked, twice at once. What it had
// answered is held, and later calls are unavailable.
func closed(b *bed) {
	l := b.open()
	var mu sync.Mutex
	var reserved []string
	enough := make(chan struct{})
	var group sync.WaitGroup
	for g := range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprint(g, " ", i)
				e, err := l.Reserve(b.Context(), key(name), holder(name), b.in(h), ledger.Share{})
				if err != nil {
					if !errors.Is(err, ledger.ErrUnavailable) {
						b.Error(err)
					}
					return
				}
				if e.Holder != holder(name) {
					b.Errorf("%s is held by %x", name, e.Holder[:4])
				}
				mu.Lock()
				if reserved = append(reserved, name); len(reserved) == 100 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	for range 2 {
		group.Go(func() { b.close(l) })
	}
	group.Wait()
	_, held := l.Held(b.Context(), key("k"))
	_, spent := l.Spend(b.Context(), key("k"), holder("a"), ledger.Signed{At: b.now()}, long)
	_, opened := l.Open(b.Context(), long)
	for what, err := range map[string]error{
		"Err": l.Err(), "Held": held, "Spend": spent, "Open": opened, "Forget": l.Forget(b.Context()),
		"Release": l.Release(b.Context(), key("k"), holder("a"), b.in(h)),
	} {
		if !errors.Is(err, ledger.ErrUnavailable) {
			b.Errorf("after it was closed, %s: %v", what, err)
		}
	}
	l = b.restart(l)
	for _, name := range reserved {
		b.holds(l, key(name), ledger.Entry{Holder: holder(name), Until: b.in(h)})
	}
}
