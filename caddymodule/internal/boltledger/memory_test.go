package boltledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

var (
	short = ledger.Window{MaxAge: 2 * time.Second, Skew: time.Second}
	long  = ledger.Window{MaxAge: time.Hour, Skew: time.Second}
)

// opened opens the ledger and returns its id.
func opened(t *testing.T, l *Ledger, w ledger.Window) string {
	t.Helper()
	id, err := l.Open(t.Context(), w)
	if err != nil || len(id) != idSize {
		t.Fatalf("%q, %v", id, err)
	}
	return id
}

// spends uses what was signed at that time, which must end like that: nil is for
// the first use, and errUsed for another.
func spends(t *testing.T, l *Ledger, name string, signed time.Time, w ledger.Window, want error) {
	t.Helper()
	me := holder(t.Name() + time.Now().String())
	e, err := l.Spend(t.Context(), key(name), me, ledger.Signed{At: signed}, w)
	if err == nil && e.Holder != me {
		err = errUsed
	}
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
}

var errUsed = errors.New("it was used before")

// reopened closes the ledger and opens it anew, as a restart does.
func reopened(t *testing.T, l *Ledger, clock *handClock) *Ledger {
	t.Helper()
	l.close(t)
	return at(t, l.path, clock)
}

// TestGone takes the file away while it is open. Nothing but Forget begins anew,
// and the file that is put back goes on.
func TestGone(t *testing.T) {
	l, clock := fresh(t)
	first := opened(t, l, long)
	before := clock.now()
	spends(t, l, "before", before, long, nil)
	aside := l.path + ".aside"
	if err := os.Rename(l.path, aside); err != nil {
		t.Fatal(err)
	}
	due := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = l.failed.Add(-retryAfter)
	}
	spends(t, l, "another", clock.now(), long, ledger.ErrGone)
	due()
	if _, err := l.Open(t.Context(), long); !errors.Is(err, ledger.ErrGone) || !errors.Is(l.Err(), ledger.ErrGone) {
		t.Errorf("opened: %v, %v", err, l.Err())
	}
	if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was created: %v", err)
	}
	if err := os.Rename(aside, l.path); err != nil {
		t.Fatal(err)
	}
	testbed.Succeeds(t, "it goes on", func() error {
		due()
		_, err := l.Open(t.Context(), long)
		return err
	})
	spends(t, l, "before", before, long, errUsed)

	if err := os.Rename(l.path, aside); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), long); !errors.Is(err, ledger.ErrGone) { // at once
		t.Errorf("opened: %v", err)
	}
	clock.pass(time.Second)
	if err := l.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := opened(t, l, long)
	if second == first {
		t.Error("it has the id of the ledger that is gone")
	}
	spends(t, l, "before", before, long, ledger.ErrForgotten)
	clock.pass(3 * time.Second)
	spends(t, l, "after", clock.now(), long, nil)

	// Another ledger in its place is none of it.
	if err := os.Rename(aside, l.path); err != nil {
		t.Fatal(err)
	}
	spends(t, l, "more", clock.now(), long, ledger.ErrUnavailable)
	due()
	spends(t, l, "more", clock.now(), long, ledger.ErrGone)
	if err := l.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if third := opened(t, l, long); third != first {
		t.Error("it is not the one that was put there")
	}
	spends(t, l, "after", clock.now(), long, ledger.ErrForgotten)
}

// TestWrittenOver has a copy written over the file while it is open, instead of
// put in its place. Bolt would go on with what the copy says.
func TestWrittenOver(t *testing.T) {
	for commits := 1; commits <= 4; commits++ {
		for _, another := range []bool{false, true} {
			l, clock := fresh(t)
			opened(t, l, long)
			from := l
			if another { // with as many commits as the file at least
				from, _ = fresh(t)
				opened(t, from, long)
				for i := range 8 {
					spends(t, from, fmt.Sprint("other", i), clock.now(), long, nil)
				}
			}
			spends(t, l, "before", clock.now(), long, nil)
			copied, err := os.ReadFile(from.path)
			if err != nil {
				t.Fatal(err)
			}
			signed := clock.now()
			for i := range commits {
				spends(t, l, fmt.Sprint("used", i), signed, long, nil)
			}
			clock.pass(time.Second)
			file, err := os.OpenFile(l.path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = file.Write(copied); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("used%d", commits-1)
			spends(t, l, name, signed, long, ledger.ErrUnavailable)
			want := ledger.ErrForgotten
			if another {
				want = ledger.ErrGone
			}
			testbed.Succeeds(t, "it is opened again", func() error {
				l.mu.Lock()
				l.failed = l.failed.Add(-retryAfter)
				l.mu.Unlock()
				_, err := l.Open(t.Context(), long)
				if another && errors.Is(err, ledger.ErrGone) {
					return nil
				}
				return err
			})
			spends(t, l, name, signed, long, want)
		}
	}
}

// TestNobodyIsFirst has many ask for what was used while a ledger that is gone
// begins anew: no use of it comes in between.
func TestNobodyIsFirst(t *testing.T) {
	for range 20 {
		l, clock := fresh(t)
		l.noSync = true
		opened(t, l, long)
		used := clock.now()
		spends(t, l, "used", used, long, nil)
		if err := os.Remove(l.path); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Open(t.Context(), long); !errors.Is(err, ledger.ErrGone) {
			t.Fatalf("opened: %v", err)
		}
		stop := make(chan struct{})
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for {
					if e, err := l.Spend(t.Context(), key("used"), holder(fmt.Sprint(i)), ledger.Signed{At: used}, long); err == nil {
						t.Errorf("it was used again: %v", e)
						return
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		if err := l.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		close(stop)
		group.Wait()
		l.close(t)
	}
}

// TestGoneWhileIdle has nobody ask when the file is removed.
func TestGoneWhileIdle(t *testing.T) {
	l := at(t, filepath.Join(t.TempDir(), "ledger.db"), newClock())
	l.sweepInterval = time.Millisecond
	opened(t, l, long)
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	testbed.Succeeds(t, "it is noticed", func() error {
		if err := l.Err(); !errors.Is(err, ledger.ErrGone) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
}

// TestCopyPutBack restores a copy over a ledger that is open: what was used since
// it was made is unknown.
func TestCopyPutBack(t *testing.T) {
	l, clock := fresh(t)
	opened(t, l, long)
	l = reopened(t, l, clock) // all of it is on the disk
	copied, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	opened(t, l, long)
	used := clock.now()
	spends(t, l, "used", used, long, nil)
	if err := errors.Join(os.WriteFile(l.path+".copy", copied, 0o600), os.Rename(l.path+".copy", l.path)); err != nil {
		t.Fatal(err)
	}
	testbed.Succeeds(t, "the copy is opened", func() error {
		_, err := l.Spend(t.Context(), key("more"), holder("a"), ledger.Signed{At: clock.now()}, long)
		if !errors.Is(err, ledger.ErrForgotten) {
			return errors.Join(errors.New("not yet"), err)
		}
		return nil
	})
	spends(t, l, "used", used, long, ledger.ErrForgotten)
	clock.pass(3 * time.Second)
	spends(t, l, "after", clock.now(), long, nil)
}

// TestExtendedBehind serves a longer window while the clock is before what
// was forgotten. By such a clock nothing must be dated.
func TestExtendedBehind(t *testing.T) {
	l, clock := fresh(t)
	opened(t, l, short)
	spends(t, l, "used", clock.now(), short, nil)
	clock.pass(time.Minute)
	l.sweep(t, clock.now().Unix())
	clock.step(-time.Hour)
	if _, err := l.Open(t.Context(), long); !errors.Is(err, errBehind) {
		t.Errorf("opened: %v", err)
	}
	if err := l.Forget(t.Context()); !errors.Is(err, errBehind) {
		t.Errorf("forgot: %v", err)
	}
	clock.step(time.Hour)
	opened(t, l, long)
}
