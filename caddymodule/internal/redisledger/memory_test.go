package redisledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	short = ledger.Window{MaxAge: 2 * time.Second, Skew: time.Second}
	long  = ledger.Window{MaxAge: time.Hour, Skew: time.Second}
)

var errUsed = errors.New("it was used before")

// use uses what was signed at that time. Another's is errUsed.
func use(t *testing.T, l *Ledger, name string, signed time.Time, w ledger.Window) error {
	var me ledger.Holder
	_, _ = rand.Read(me[:])
	e, err := l.Spend(t.Context(), key(name), me, signed, w)
	if err == nil && e.Holder != me {
		err = errUsed
	}
	return err
}

func uses(t *testing.T, l *Ledger, name string, signed time.Time, w ledger.Window, want error) {
	t.Helper()
	if err := use(t, l, name, signed, w); !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
}

func openedFor(t *testing.T, l *Ledger, w ledger.Window) (id string) {
	t.Helper()
	id, err := l.Open(t.Context(), w)
	if err != nil || id == "" {
		t.Fatalf("%q, %v", id, err)
	}
	return id
}

// on returns a ledger by the clock, years away from the server's.
func (c *handClock) on(s *server, cluster bool) *Ledger {
	return s.ledger(func(o *Options) { o.Cluster, o.Now = cluster, c.now })
}

// TestLongerWindow has one gateway serve a longer window than another, after what
// was used at the other has ended.
func TestLongerWindow(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{false, true} {
		for _, begun := range []bool{false, true} { // whether the second runs already
			t.Run(fmt.Sprintf("cluster %t, begun %t", cluster, begun), func(t *testing.T) {
				s, clock := serveEither(t, cluster), &handClock{wall: time.Unix(base, 0)}
				admin := s.dial()
				pass := func(d time.Duration) {
					clock.pass(d)
					elapse(t, admin, d)
				}
				a, b := clock.on(s, cluster), clock.on(s, cluster)
				id := openedFor(t, a, short)
				if begun {
					openedFor(t, b, short)
				}
				used := clock.now()
				uses(t, a, "used", used, short, nil)
				uses(t, a, "used", used, short, errUsed)
				pass(10 * time.Second)
				if again := openedFor(t, b, long); again != id {
					t.Errorf("two ids: %s and %s", id, again)
				}
				for _, l := range []*Ledger{a, b} {
					uses(t, l, "used", used, long, ledger.ErrTooOld)
				}
				uses(t, b, "fresh for both", clock.now(), long, nil)
				pass(30 * time.Second) // of the server's own time less has passed, to be sure
				for _, l := range []*Ledger{a, b} {
					late := clock.now()
					uses(t, a, "under the shorter one "+fmt.Sprint(l == a), late, short, nil)
					pass(time.Minute)
					uses(t, l, "under the shorter one "+fmt.Sprint(l == a), late, long, errUsed)
				}
				if since := since(b); !since.IsZero() {
					t.Errorf("it has forgotten: %v", since)
				}
			})
		}
	}
}

// TestWindowRace has one gateway use signatures under a short window all the time
// while another begins to serve a longer one. Whatever was used is known at the
// other when the short window is over.
func TestWindowRace(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster ", cluster), func(t *testing.T) {
			s := serveEither(t, cluster)
			admin := s.dial()
			a, b := s.ledger(func(o *Options) { o.Cluster = cluster }), s.ledger(func(o *Options) { o.Cluster = cluster })
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
						if err := use(t, a, u.name, u.signed, short); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						all = append(all, u)
						mu.Unlock()
					}
				})
			}
			count := func(n int) {
				eventually(t, "signatures are used", func() error {
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
				vouched := on.memory.Vouch(u.signed, time.Now().Add(30*time.Second)) == nil
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
		})
	}
}

// TestMarkerBefore finds the marker of a version that did not say for how long
// it kept what was used.
func TestMarkerBefore(t *testing.T) {
	s, clock := serve(t), &handClock{wall: time.Unix(base, 0)}
	admin := s.dial()
	run := ""
	for line := range strings.Lines(s.do("INFO", "server")) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			run = id
		}
	}
	s.do("SET", "test:l", "SOMEID 0 "+run)
	before := clock.now()
	clock.pass(time.Second)
	l := clock.on(s, false)
	id := openedFor(t, l, long)
	uses(t, l, "used, perhaps", before, long, ledger.ErrTooOld)
	clock.pass(20 * time.Second)
	elapse(t, admin, 20*time.Second)
	uses(t, l, "new", clock.now(), long, nil)
	if since := since(l); !since.IsZero() {
		t.Errorf("it has forgotten: %v", since)
	}
	other := clock.on(s, false)
	if again := openedFor(t, other, long); again != id {
		t.Errorf("two ids: %s and %s", id, again)
	}
}

// TestForget: what was signed before is refused at every gateway.
func TestForget(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		s := serveEither(t, cluster)
		a, b := s.ledger(func(o *Options) { o.Cluster = cluster }), s.ledger(func(o *Options) { o.Cluster = cluster })
		id := openedFor(t, a, long)
		openedFor(t, b, long)
		before := time.Now().Add(-time.Minute)
		if err := a.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, l := range []*Ledger{a, b, s.ledger(func(o *Options) { o.Cluster = cluster })} {
			if cluster && l == b {
				eventually(t, "it is noticed", func() error {
					if since(b).IsZero() {
						return errors.New("not yet")
					}
					return nil
				})
			}
			uses(t, l, fmt.Sprint("before ", i), before, long, ledger.ErrForgotten)
			uses(t, l, fmt.Sprint("after ", i), time.Now().Add(time.Minute), long, nil)
			if again := openedFor(t, l, long); again != id {
				t.Errorf("two ids: %s and %s", id, again)
			}
		}
	}
}

// TestID: a restart with the data does not change the ledger's id. A loss does.
func TestID(t *testing.T) {
	t.Parallel()
	s := serve(t, "--appendonly", "yes")
	a, b := s.ledger(), s.ledger()
	id := openedFor(t, a, long)
	openedFor(t, b, long)
	s.restart()
	eventually(t, "the restart is noticed", func() error {
		again, err := a.Open(t.Context(), long)
		if err == nil && again != id {
			t.Fatalf("another id after a restart: %s and %s", id, again)
		}
		if err == nil && since(a).IsZero() {
			err = errors.New("not yet")
		}
		return err
	})
	s.do("FLUSHALL")
	eventually(t, "the flush is noticed", func() error {
		first, err := a.Open(t.Context(), long)
		second, err2 := b.Open(t.Context(), long)
		if first == id || second != first {
			err = fmt.Errorf("%s and %s, before %s", first, second, id)
		}
		return errors.Join(err, err2)
	})
}
