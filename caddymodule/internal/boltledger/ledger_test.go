package boltledger

import (
	"crypto/sha256"
	"path/filepath"
	"sync"
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
	l.sweepInterval = time.Hour
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

func (l *Ledger) close(t testing.TB) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
