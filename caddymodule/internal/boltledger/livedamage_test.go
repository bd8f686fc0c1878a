package boltledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() { parts["serve"] = serveWhileDamaged }

// serveWhileDamaged asks for the sample's keys all the time, which must be
// answered rightly or not at all. It reads which it is to wait for, "served" or
// "refused", and writes that when a call made since then has ended so. Whatever
// is wrong it writes at once.
func serveWhileDamaged(path string) {
	clock := sampleClock()
	l := New(Options{Path: path, Now: clock.now})
	if _, err := l.Open(context.Background(), ledger.Window{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("open")
	var mu sync.Mutex
	waits, generation := "", 0
	for range 4 {
		go func() {
			for i := 0; ; i++ {
				mu.Lock()
				verdict, begun := "served", generation
				mu.Unlock()
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				name := sampleName(i % sampleEntries)
				e, err := l.Reserve(ctx, key(name), holder("a stranger"), clock.in(time.Hour), ledger.Share{})
				if i%3 == 0 {
					e, err = l.Held(ctx, key(name))
				}
				if i%10 == 0 && err == nil {
					_, err = l.Reserve(ctx, key(fmt.Sprint(rand.Uint64())), holder("b"), clock.in(time.Minute), ledger.Share{})
					e.Holder = holder(name)
				}
				switch {
				case errors.Is(err, context.DeadlineExceeded):
					verdict = "a call hangs"
				case err != nil && errors.Is(err, ledger.ErrUnavailable):
					verdict = "refused"
				case err != nil:
					verdict = err.Error()
				case e.Holder != holder(name):
					verdict = fmt.Sprintf("%s is held by %x", name, e.Holder)
				}
				cancel()
				mu.Lock()
				if verdict == waits && begun == generation || verdict != "served" && verdict != "refused" {
					fmt.Println(verdict)
					waits = ""
				}
				mu.Unlock()
			}
		}()
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		mu.Lock()
		waits, generation = lines.Text(), generation+1
		mu.Unlock()
	}
}

// await has the child wait for such a call.
func (c *child) await(t *testing.T, verdict string) {
	t.Helper()
	fmt.Fprintln(c.in, verdict)
	if got := c.line(t); got != verdict {
		t.Fatalf("got %q, want %q", got, verdict)
	}
}

// TestDamagedWhileInUse harms the file of a process that serves. It must go on
// living, say nothing wrong, and recover once the file is restored.
func TestDamagedWhileInUse(t *testing.T) {
	t.Parallel()
	whole := sample(t, filepath.Join(t.TempDir(), "ledger.db"))
	page := int64(os.Getpagesize())
	overwrite := func(path string, content io.Reader, at int64) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.NewOffsetWriter(f, at), content)
		return errors.Join(err, f.Close())
	}
	for _, test := range []struct {
		name string
		harm func(path string) error
	}{
		{"emptied", func(path string) error { return os.Truncate(path, 0) }},
		{"cut to one page", func(path string) error { return os.Truncate(path, page) }},
		{"cut to its meta pages", func(path string) error { return os.Truncate(path, 2*page) }},
		{"cut to four pages", func(path string) error { return os.Truncate(path, 4*page) }},
		{"removed", os.Remove},
		{"filled with zeros", func(path string) error { return overwrite(path, bytes.NewReader(make([]byte, len(whole))), 0) }},
		{"its tree filled with zeros", func(path string) error {
			return overwrite(path, bytes.NewReader(make([]byte, len(whole))), 2*page)
		}},
		{"filled with a text", func(path string) error {
			return overwrite(path, strings.NewReader(strings.Repeat("text", len(whole)/4)), 0)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			c := start(t, "serve", path)
			if text := c.line(t); text != "open" {
				t.Fatal(text)
			}
			c.await(t, "served")
			if err := test.harm(path); err != nil {
				t.Fatal(err)
			}
			c.await(t, "refused")
			restored := path + ".restored"
			if err := errors.Join(os.WriteFile(restored, whole, 0o600), os.Rename(restored, path)); err != nil {
				t.Fatal(err)
			}
			c.await(t, "served")
		})
	}
}

// TestReplacedWhileInUse puts another file in the ledger's place, which is
// noticed before anything is confirmed that only the old one has.
func TestReplacedWhileInUse(t *testing.T) {
	t.Parallel()
	older := sample(t, filepath.Join(t.TempDir(), "ledger.db"))
	for _, test := range []struct {
		name    string
		inPlace bool
		replace func(path string) error
	}{
		{"renamed over it", false, func(path string) error {
			return errors.Join(os.WriteFile(path+".older", older, 0o600), os.Rename(path+".older", path))
		}},
		{"copied over it", true, func(path string) error { return os.WriteFile(path, older, 0o600) }},
		{"copied over its pages", true, func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.Write(older)
			return errors.Join(err, f.Close())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			if err := os.WriteFile(path, older, 0o600); err != nil {
				t.Fatal(err)
			}
			l := at(t, path, sampleClock())
			reserve := func(name string) error {
				_, err := l.Reserve(t.Context(), key(name), holder("a"), time.Unix(base+60, 0), ledger.Share{})
				return err
			}
			if err := reserve("before"); err != nil {
				t.Fatal(err)
			}
			if err := test.replace(path); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Held(t.Context(), key("before")); test.inPlace && !errors.Is(err, errReplaced) {
				t.Fatalf("held: %v", err)
			}
			if err := reserve("after"); !errors.Is(err, ledger.ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
			eventually(t, "the other file is opened", func() error { return reserve("after") })
			l.close(t)
			if verdict := judge(path); verdict != "right" {
				t.Error(verdict)
			}
		})
	}
}

// TestNotMadeAnew takes the file away for good: what held something must not
// become a ledger that holds nothing.
func TestNotMadeAnew(t *testing.T) {
	l, clock := fresh(t)
	reserve := func() error {
		_, err := l.Reserve(t.Context(), key("k"), holder("a"), clock.in(time.Minute), ledger.Share{})
		return err
	}
	if err := reserve(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reserve(t.Context(), key("l"), holder("a"), clock.in(time.Minute), ledger.Share{}); !errors.Is(err, errRemoved) {
		t.Fatalf("got %v", err)
	}
	if err := l.Err(); !errors.Is(err, errRemoved) {
		t.Fatalf("Err is %v", err)
	}
	l.mu.Lock()
	l.failed = l.failed.Add(-retryAfter) // the next attempt is due
	l.mu.Unlock()
	if err := reserve(); !errors.Is(err, errRemoved) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file was made: %v", err)
	}
}

// TestCutWhileIdle has the file be cut short while nobody reads it, so that no
// fault is needed to notice.
func TestCutWhileIdle(t *testing.T) {
	l, _ := fresh(t)
	if _, err := l.Open(t.Context(), ledger.Window{}); err != nil {
		t.Fatal(err)
	}
	s := l.session
	if err := os.Truncate(l.path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Held(t.Context(), key("k")); !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, errCut) {
		t.Errorf("got %v", err)
	}
	<-s.gone
	select {
	case <-s.jammed:
		t.Error("bolt's locks are lost")
	default:
	}
}

// TestLostLocks has a worker wait for a lock of bolt's that a fault has left
// held. Nobody may wait for the worker.
func TestLostLocks(t *testing.T) {
	l, clock := fresh(t)
	if _, err := l.Open(t.Context(), ledger.Window{}); err != nil {
		t.Fatal(err)
	}
	reserve := func(name string) error {
		_, err := l.Reserve(t.Context(), key(name), holder("a"), clock.in(time.Minute), ledger.Share{})
		return err
	}
	if err := reserve("before"); err != nil {
		t.Fatal(err)
	}
	s := l.session
	defer stall(t, s)()
	waiting := make(chan error)
	go func() { waiting <- reserve("meanwhile") }()
	s.end(faultless(func() error {
		s.guard(func() { panic("a fault") })
		return nil
	}))
	if err := <-waiting; !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the file is opened again", func() error { return reserve("after") })
	if e, err := l.Held(t.Context(), key("before")); err != nil || e.Holder != holder("a") {
		t.Errorf("what was reserved before: %v, %v", e, err)
	}
}
