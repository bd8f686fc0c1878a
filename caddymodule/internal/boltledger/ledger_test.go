package boltledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const base = 1_800_000_000

func key(name string) ledger.Key       { return sha256.Sum256([]byte("key " + name)) }
func holder(name string) ledger.Holder { return sha256.Sum256([]byte("holder " + name)) }

// handClock is a clock that tests set. Its steady time goes on with it unless
// it is stepped.
type handClock struct {
	mu     sync.Mutex
	wall   time.Time
	steady time.Duration
}

func newClock() *handClock { return &handClock{wall: time.Unix(base, 0)} }

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *handClock) elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steady
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.steady = c.wall.Add(d), c.steady+d
}

func (c *handClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

func (c *handClock) in(d time.Duration) time.Time { return c.now().Add(d) }

// at returns a ledger at the path that goes by the clock, and sweeps only when
// it is told to.
func at(t testing.TB, path string, c *handClock) *Ledger {
	t.Helper()
	l := New(Options{Path: path, Now: c.now})
	l.clock.steady = c.elapsed
	l.setup.sweepInterval = time.Hour
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func fresh(t testing.TB) (*Ledger, *handClock) {
	t.Helper()
	c := newClock()
	return at(t, filepath.Join(t.TempDir(), "ledger", "ledger.db"), c), c
}

// call is one call and what it must answer.
type call struct {
	do     string // reserve, keep, release, held, pass, sweep
	key    string
	holder string
	until  time.Duration // since base
	owner  string
	most   int
	want   string // who holds the key then, "" for nobody
	ends   time.Duration
	err    error
}

func (c call) run(ctx context.Context, l *Ledger, clock *handClock) error {
	until := time.Unix(base, 0).Add(c.until)
	var h ledger.Holder
	if c.holder != "" {
		h = holder(c.holder)
	}
	var got ledger.Entry
	var err error
	switch c.do {
	case "reserve":
		var share ledger.Share
		if c.owner != "" {
			share = ledger.Share{Owner: key("owner " + c.owner), Limit: c.most}
		}
		got, err = l.Reserve(ctx, key(c.key), h, until, share)
	case "keep":
		got, err = l.Keep(ctx, key(c.key), h, until)
	case "release":
		err = l.Release(ctx, key(c.key), h, until)
	case "held":
		got, err = l.Held(ctx, key(c.key))
	case "pass":
		clock.pass(c.until)
	case "sweep":
		l.session.sweep(clock.now().Unix())
	default:
		return fmt.Errorf("there is no call %q", c.do)
	}
	var want ledger.Entry
	if c.want != "" {
		want = ledger.Entry{Holder: holder(c.want), Until: time.Unix(base, 0).Add(c.ends)}
	}
	if !errors.Is(err, c.err) || c.err == nil && err != nil {
		return fmt.Errorf("%s %s: error %v, want %v", c.do, c.key, err, c.err)
	}
	if got.Holder != want.Holder || !got.Until.Equal(want.Until) && want != (ledger.Entry{}) {
		return fmt.Errorf("%s %s: got %x until %v, want %q until %v", c.do, c.key, got.Holder[:4], got.Until, c.want, want.Until)
	}
	return nil
}

func TestCalls(t *testing.T) {
	const m = time.Minute
	for _, test := range []struct {
		name  string
		calls []call
	}{
		{"nobody has what nobody reserved", []call{
			{do: "held", key: "k"},
			{do: "keep", key: "k", holder: "a", until: m},
			{do: "release", key: "k", holder: "a", until: m},
			{do: "held", key: "k"},
		}},
		{"the first one has it, whoever asks", []call{
			{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
			{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
			{do: "held", key: "k", want: "a", ends: m},
			{do: "reserve", key: "other", holder: "b", until: m, want: "b", ends: m},
		}},
		{"reserving again changes nothing", []call{
			{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
			{do: "reserve", key: "k", holder: "a", until: 2 * m, want: "a", ends: m},
			{do: "held", key: "k", want: "a", ends: m},
		}},
		{"until is rounded up", []call{
			{do: "reserve", key: "k", holder: "a", until: m + 1, want: "a", ends: m + time.Second},
			{do: "pass", until: m + time.Second - 1},
			{do: "held", key: "k", want: "a", ends: m + time.Second},
			{do: "pass", until: 1},
			{do: "held", key: "k"},
		}},
		{"what has ended is free, swept or not", []call{
			{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
			{do: "reserve", key: "l", holder: "a", until: m, want: "a", ends: m},
			{do: "pass", until: m - 1},
			{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
			{do: "pass", until: 1},
			{do: "held", key: "k"},
			{do: "keep", key: "k", holder: "a", until: 2 * m},
			{do: "release", key: "k", holder: "a", until: m},
			{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
			{do: "sweep"},
			{do: "held", key: "k", want: "b", ends: 2 * m},
			{do: "reserve", key: "l", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
		}},
		{"the holder moves the end, both ways", []call{
			{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
			{do: "keep", key: "k", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
			{do: "keep", key: "k", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
			{do: "pass", until: 2 * m},
			{do: "sweep"},
			{do: "held", key: "k", want: "a", ends: 3 * m},
			{do: "keep", key: "k", holder: "a", until: 2*m + time.Second, want: "a", ends: 2*m + time.Second},
			{do: "pass", until: time.Second},
			{do: "held", key: "k"},
		}},
		{"another does not", []call{
			{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
			{do: "keep", key: "k", holder: "b", until: 3 * m, want: "a", ends: m},
			{do: "held", key: "k", want: "a", ends: m},
		}},
		{"only the holder frees it, and only as he knows it", []call{
			{do: "reserve", key: "k", holder: "a", until: m - 1, want: "a", ends: m},
			{do: "release", key: "k", holder: "b", until: m},
			{do: "release", key: "k", holder: "a", until: 2 * m},
			{do: "held", key: "k", want: "a", ends: m},
			{do: "keep", key: "k", holder: "a", until: 2 * m, want: "a", ends: 2 * m},
			{do: "release", key: "k", holder: "a", until: m},
			{do: "held", key: "k", want: "a", ends: 2 * m},
			{do: "release", key: "k", holder: "a", until: 2*m - 1}, // rounded as it was reserved
			{do: "held", key: "k"},
			{do: "reserve", key: "k", holder: "b", until: m, want: "b", ends: m},
		}},
		{"what cannot be asked", []call{
			{do: "reserve", key: "k", until: m, err: ledger.ErrUnavailable},
			{do: "keep", key: "k", until: m, err: ledger.ErrUnavailable},
			{do: "release", key: "k", until: m, err: ledger.ErrUnavailable},
			{do: "reserve", key: "k", holder: "a", err: ledger.ErrUnavailable},
			{do: "reserve", key: "k", holder: "a", until: -m, err: ledger.ErrUnavailable},
			{do: "reserve", key: "k", holder: "a", until: -2 * base * time.Second, err: ledger.ErrUnavailable},
			{do: "held", key: "k"},
			{do: "reserve", key: "k", holder: "a", until: 1, want: "a", ends: time.Second},
			{do: "keep", key: "k", holder: "a", err: ledger.ErrUnavailable},
			{do: "held", key: "k", want: "a", ends: time.Second},
		}},
		{"a share is for so many", []call{
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
			{do: "reserve", key: "2", holder: "a", until: 2 * m, owner: "o", most: 2, want: "a", ends: 2 * m},
			{do: "reserve", key: "3", holder: "a", until: 2 * m, owner: "o", most: 2, err: ledger.ErrShare},
			{do: "held", key: "3"},
			{do: "reserve", key: "3", holder: "b", until: 2 * m, owner: "p", most: 1, want: "b", ends: 2 * m}, // another's share
			{do: "reserve", key: "4", holder: "b", until: 2 * m, want: "b", ends: 2 * m},                      // none
			{do: "reserve", key: "1", holder: "a", until: 2 * m, owner: "o", most: 2, want: "a", ends: m},     // his already
			{do: "reserve", key: "3", holder: "a", until: 2 * m, owner: "o", most: 2, want: "b", ends: 2 * m}, // another's already
			{do: "pass", until: m}, // frees 1
			{do: "reserve", key: "5", holder: "a", until: 3 * m, owner: "o", most: 2, want: "a", ends: 3 * m},
			{do: "reserve", key: "1", holder: "a", until: 3 * m, owner: "o", most: 2, err: ledger.ErrShare},
			{do: "release", key: "2", holder: "a", until: 2 * m},
			{do: "reserve", key: "1", holder: "a", until: 3 * m, owner: "o", most: 2, want: "a", ends: 3 * m},
			{do: "reserve", key: "6", holder: "a", until: 3 * m, owner: "o", most: 2, err: ledger.ErrShare},
		}},
		{"a key reserved twice by its holder counts once", []call{
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
			{do: "keep", key: "1", holder: "a", until: 2 * m, want: "a", ends: 2 * m},
			{do: "reserve", key: "2", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
			{do: "reserve", key: "3", holder: "a", until: m, owner: "o", most: 2, err: ledger.ErrShare},
		}},
		{"what is kept counts on", []call{
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 1, want: "a", ends: m},
			{do: "keep", key: "1", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
			{do: "pass", until: 2 * m},
			{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", most: 1, err: ledger.ErrShare},
			{do: "pass", until: m},
			{do: "reserve", key: "2", holder: "a", until: 4 * m, owner: "o", most: 1, want: "a", ends: 4 * m},
		}},
		{"a share of none", []call{
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 0, err: ledger.ErrShare},
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: -1, err: ledger.ErrShare},
			{do: "held", key: "1"},
		}},
		{"an ended key goes to another's share", []call{
			{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 1, want: "a", ends: m},
			{do: "pass", until: m},
			{do: "reserve", key: "1", holder: "b", until: 2 * m, owner: "p", most: 1, want: "b", ends: 2 * m},
			{do: "reserve", key: "2", holder: "a", until: 2 * m, owner: "o", most: 1, want: "a", ends: 2 * m},
			{do: "reserve", key: "3", holder: "b", until: 2 * m, owner: "p", most: 1, err: ledger.ErrShare},
			{do: "sweep"},
			{do: "held", key: "1", want: "b", ends: 2 * m},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, clock := fresh(t)
			for i, c := range test.calls {
				if err := c.run(t.Context(), l, clock); err != nil {
					t.Fatalf("call %d: %v", i+1, err)
				}
			}
			l.close(t)
			// The file must agree with itself, and say the same when it is opened again.
			l = at(t, l.path, clock)
			for _, k := range []string{"k", "1", "2", "3", "4", "5", "6"} {
				if _, err := l.Held(t.Context(), key(k)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func (l *Ledger) close(t testing.TB) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOneOfManyWins has 64 holders want each of 1,000 keys at once.
func TestOneOfManyWins(t *testing.T) {
	const holders, keys = 64, 1000
	l, clock := fresh(t)
	var won [keys]atomic.Int32
	var winner [keys]atomic.Int32
	var group sync.WaitGroup
	for h := range holders {
		me := holder(fmt.Sprint(h))
		group.Go(func() {
			for k := range keys {
				e, err := l.Reserve(t.Context(), key(fmt.Sprint(k)), me, clock.in(time.Minute), ledger.Share{})
				if err != nil {
					t.Error(err)
					return
				}
				if e.Holder == me {
					won[k].Add(1)
					winner[k].Store(int32(h))
				}
			}
		})
	}
	group.Wait()
	for k := range keys {
		if n := won[k].Load(); n != 1 {
			t.Errorf("key %d has %d holders", k, n)
		}
		e, err := l.Held(t.Context(), key(fmt.Sprint(k)))
		if want := holder(fmt.Sprint(winner[k].Load())); err != nil || e.Holder != want {
			t.Errorf("key %d is not held by who was told so: %v", k, err)
		}
	}
}

// TestShareUnderContention lets many want more than their share at once.
func TestShareUnderContention(t *testing.T) {
	const most = 10
	l, clock := fresh(t)
	share := ledger.Share{Owner: key("owner"), Limit: most}
	var got atomic.Int32
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			_, err := l.Reserve(t.Context(), key(fmt.Sprint(i)), holder("a"), clock.in(time.Minute), share)
			switch {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, ledger.ErrShare):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got.Load() != most {
		t.Errorf("%d keys were reserved under a share of %d", got.Load(), most)
	}
}
