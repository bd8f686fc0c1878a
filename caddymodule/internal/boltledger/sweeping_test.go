package boltledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// rows counts what the file has of everything.
func rows(t *testing.T, l *Ledger) (entries, byExpiry, byOwner int) {
	t.Helper()
	err := l.session.read(func(_ *bbolt.Tx, b tables) error {
		entries, byExpiry, byOwner = b.entries.Stats().KeyN, b.byExpiry.Stats().KeyN, b.byOwner.Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, byExpiry, byOwner
}

// sweep removes everything that ended by then.
func (l *Ledger) sweep(t testing.TB, until int64) {
	t.Helper()
	for n := sweepLimit; n == sweepLimit; {
		err := l.session.db.Update(func(tx *bbolt.Tx) error {
			b, err := tablesOf(tx)
			if err == nil {
				n, err = b.sweep(until, sweepLimit)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTurnover lets entries come and go among some that stay: so many at first
// that the list of free pages does not fit on one. The file must not grow on.
func TestTurnover(t *testing.T) {
	const rounds, each, staying = 8, 100, 300
	l, clock := fresh(t)
	l.noSync = true
	many := func(what string, n, callers int, d time.Duration) {
		var group sync.WaitGroup
		for c := range callers {
			group.Go(func() {
				for i := range n / callers {
					name := fmt.Sprint(what, " ", c, " ", i)
					share := ledger.Share{Owner: key(fmt.Sprint("owner ", c)), Limit: n + 1}
					if e, err := l.Reserve(t.Context(), key(name), holder(name), clock.in(d), share); err != nil || e.Holder != holder(name) {
						t.Errorf("%s: %v, %v", name, e, err)
					}
				}
			})
		}
		group.Wait()
	}
	ended := func() (size int64) {
		clock.pass(time.Minute)
		l.sweep(t, clock.now().Unix())
		info, err := os.Stat(l.path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	many("staying", staying, staying, 90*24*time.Hour)
	many("a rush", 4000, 500, time.Minute)
	begun := ended()
	for round := range rounds {
		many(fmt.Sprint("round ", round), each, 1, time.Minute)
		if size := ended(); size > begun {
			t.Errorf("round %d: the file has grown from %d to %d bytes", round, begun, size)
		}
	}
	if e, x, o := rows(t, l); e != staying || x != staying || o != staying {
		t.Errorf("%d entries, %d and %d rows are left of %d", e, x, o, staying)
	}
	l.close(t)
	l = at(t, l.path, clock)
	many("staying", staying, staying, time.Hour) // held by the same holders, as they were
	if e, _, _ := rows(t, l); e != staying {
		t.Errorf("%d entries", e)
	}
}

// TestSweepsByItself has the sweeper run, by real time, with a clock that does not.
func TestSweepsByItself(t *testing.T) {
	l, clock := fresh(t)
	l.sweepInterval = time.Millisecond
	for i := range 3 * sweepLimit / 2 {
		go func() {
			_, _ = l.Reserve(t.Context(), key(fmt.Sprint(i)), holder("a"), clock.in(time.Minute), ledger.Share{})
		}()
	}
	testbed.Succeeds(t, "everything is reserved", func() error {
		e, err := l.Held(t.Context(), key("0"))
		if err == nil && e.Holder != holder("a") {
			err = errors.New("nothing is")
		}
		if err != nil {
			return err
		}
		if n, _, _ := rows(t, l); n != 3*sweepLimit/2 {
			return fmt.Errorf("%d entries", n)
		}
		return nil
	})
	if _, err := l.Reserve(t.Context(), key("staying"), holder("a"), clock.in(24*time.Hour), ledger.Share{}); err != nil {
		t.Fatal(err)
	}
	testbed.Succeeds(t, "everything is swept", func() error {
		clock.pass(time.Minute)
		if e, x, o := rows(t, l); e != 1 || x != 1 || o != 0 {
			return fmt.Errorf("%d entries, %d and %d rows", e, x, o)
		}
		return nil
	})
}

func TestHorizon(t *testing.T) {
	const m = time.Minute
	clock := newClock()
	c := clockOf(clock)
	h := horizon{noted: c.now().Unix(), at: c.steady()}
	for i, step := range []struct {
		pass, step time.Duration
		want       time.Duration // since base; what may be forgotten
	}{
		{0, 0, -base * time.Second},
		{4 * m, 0, -base * time.Second},
		{1 * m, 0, 0},                      // it is five minutes since the clock stood there
		{4 * m, 0, 0},                      // 9
		{1 * m, 0, 5 * m},                  // 10
		{2 * m, 365 * 24 * 60 * m, 5 * m},  // a year ahead
		{2 * m, -365 * 24 * 60 * m, 5 * m}, // and back: nothing is forgotten for it
		{1 * m, 0, 10 * m},                 // 15
		{5 * m, -12 * m, 8 * m},            // the clock is before that: it counts
		{5 * m, 0, 8 * m},
		{10 * m, 0, 13 * m},
	} {
		clock.pass(step.pass)
		clock.step(step.step)
		if got := h.advance(c); got != base+int64(step.want/time.Second) {
			t.Errorf("step %d: %v after the beginning, want %v", i, time.Duration(got-base)*time.Second, step.want)
		}
	}
}

func clockOf(c *handClock) clock { return clock{c.now, c.elapsed} }

// TestClockSetBack replays a signature after the clock was set back.
func TestClockSetBack(t *testing.T) {
	const m = time.Minute
	l, clock := fresh(t)
	use := func(want string, as string) {
		t.Helper()
		e, err := l.Reserve(t.Context(), key("signature"), holder(as), time.Unix(base, 0).Add(5*m), ledger.Share{})
		if want == "" && !errors.Is(err, ledger.ErrUnavailable) || want != "" && (err != nil || e.Holder != holder(want)) {
			t.Fatalf("as %s: got %v, %v", as, e, err)
		}
	}
	use("first", "first")
	clock.pass(6 * m)
	use("", "second") // it has ended
	clock.step(-3 * m)
	use("first", "second") // not swept, so it is known again
	clock.step(3 * m)
	l.sweep(t, clock.now().Unix())
	clock.step(-3 * m)
	use("", "second") // swept: the clock cannot be believed
	if _, err := l.Held(t.Context(), key("signature")); !errors.Is(err, errBehind) {
		t.Errorf("held: got %v", err)
	}
	if _, err := l.Reserve(t.Context(), key("another"), holder("a"), clock.in(90*24*60*m), ledger.Share{}); !errors.Is(err, errBehind) {
		t.Errorf("another key: got %v", err)
	}
	// A restart forgets nothing of it.
	l.close(t)
	l = at(t, l.path, clock)
	use("", "second")
	clock.step(-base * time.Second) // a machine that does not know the year yet
	use("", "second")
	clock.step(-base * time.Second) // nor the century
	use("", "second")
	clock.step(2 * base * time.Second)
	clock.pass(3 * m)
	if e, err := l.Reserve(t.Context(), key("another"), holder("a"), clock.in(m), ledger.Share{}); err != nil || e.Holder != holder("a") {
		t.Errorf("when the clock is right again: %v, %v", e, err)
	}
}

// TestClockFarAhead sets the clock a year ahead and back, with the sweeper at work.
func TestClockFarAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	clock := newClock()
	l := at(t, filepath.Join(t.TempDir(), "ledger.db"), clock)
	l.sweepInterval = time.Millisecond
	if _, err := l.Reserve(t.Context(), key("conversation"), holder("a"), clock.in(year/4), ledger.Share{}); err != nil {
		t.Fatal(err)
	}
	clock.pass(2 * settling)
	clock.step(year)
	for i := range 20 { // writes sweep, too, and do nothing about it
		if _, err := l.Reserve(t.Context(), key(fmt.Sprint(i)), holder("a"), clock.in(time.Minute), ledger.Share{}); err != nil {
			t.Fatal(err)
		}
		clock.pass(time.Second)
	}
	clock.step(-year)
	e, err := l.Reserve(t.Context(), key("conversation"), holder("b"), clock.in(year/4), ledger.Share{})
	if err != nil || e.Holder != holder("a") {
		t.Errorf("the conversation was lost: %v, %v", e, err)
	}
}
