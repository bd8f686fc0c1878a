package boltledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestReplaysCostNoWrite replays what is held, which must not reach the disk.
func TestReplaysCostNoWrite(t *testing.T) {
	l, clock := fresh(t)
	until := clock.in(time.Minute)
	share := ledger.Share{Owner: key("owner"), Limit: 1}
	if _, err := l.Reserve(t.Context(), key("k"), holder("a"), until, share); err != nil {
		t.Fatal(err)
	}
	before := l.session.durable.Load()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				e, err := l.Reserve(t.Context(), key("k"), holder("b"), until, ledger.Share{})
				if err != nil || e.Holder != holder("a") {
					t.Error(e, err)
				}
				if e, err = l.Reserve(t.Context(), key("k"), holder("a"), until, share); err != nil || e.Holder != holder("a") {
					t.Error(e, err)
				}
				if e, err = l.Keep(t.Context(), key("k"), holder("a"), until); err != nil || e.Holder != holder("a") {
					t.Error(e, err)
				}
				if _, err = l.Reserve(t.Context(), key("l"), holder("a"), until, share); !errors.Is(err, ledger.ErrShare) {
					t.Error(err)
				}
				if err = l.Release(t.Context(), key("k"), holder("b"), until); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	l.sweep(t, clock.now().Unix()) // finds nothing
	if commits := l.session.durable.Load() - before; commits != 0 {
		t.Errorf("%d commits", commits)
	}
}

// stall keeps the writer from its next transaction.
func stall(t *testing.T, s *session) (resume func()) {
	t.Helper()
	tx, err := s.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// TestVisibleIsNotDurable has the last commit be seen, but not be on the disk
// yet. What would confirm it has to wait for the writer; a refusal need not.
func TestVisibleIsNotDurable(t *testing.T) {
	l, clock := fresh(t)
	until := clock.in(time.Minute)
	if _, err := l.Reserve(t.Context(), key("k"), holder("a"), until, ledger.Share{}); err != nil {
		t.Fatal(err)
	}
	s := l.session
	s.durable.Add(-1)
	resume := stall(t, s)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if e, err := l.Reserve(short, key("k"), holder("a"), until, ledger.Share{}); !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reserve is confirmed: %v, %v", e, err)
	}
	if e, err := l.Keep(short, key("k"), holder("a"), until); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("keep is confirmed: %v, %v", e, err)
	}
	if err := l.Release(short, key("free"), holder("a"), until); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("release is confirmed: %v", err)
	}
	if e, err := l.Reserve(t.Context(), key("k"), holder("b"), until, ledger.Share{}); err != nil || e.Holder != holder("a") {
		t.Errorf("a stranger is not refused: %v, %v", e, err)
	}
	if e, err := l.Held(t.Context(), key("k")); err != nil || e.Holder != holder("a") {
		t.Errorf("held: %v, %v", e, err)
	}
	resume()
	if e, err := l.Reserve(t.Context(), key("k"), holder("a"), until, ledger.Share{}); err != nil || e.Holder != holder("a") {
		t.Errorf("the writer does not confirm: %v, %v", e, err)
	}
}

// TestCallersGiveUp cancels calls that wait for the writer.
func TestCallersGiveUp(t *testing.T) {
	l, clock := fresh(t)
	if _, err := l.Open(t.Context(), ledger.Window{}); err != nil {
		t.Fatal(err)
	}
	resume := stall(t, l.session)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i := range 3 * queueLength { // more than the queue takes
		group.Go(func() {
			_, err := l.Reserve(ctx, key(fmt.Sprint(i)), holder("a"), clock.in(time.Minute), ledger.Share{})
			if !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	testbed.Succeeds(t, "the queue is full", func() error {
		if n := len(l.session.writes); n < queueLength {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	cancel()
	group.Wait()
	resume()
	// The writer comes upon one that nobody waits for any more.
	o := &operation{ctx: ctx, kind: reserve, key: key("k"), holder: holder("b"), until: base + 60, answers: make(chan answer, 1)}
	l.session.writes <- o
	if a := <-o.answers; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the writer answers %v", a)
	}
	if e, err := l.Reserve(t.Context(), key("k"), holder("a"), clock.in(time.Minute), ledger.Share{}); err != nil || e.Holder != holder("a") {
		t.Errorf("afterwards: %v, %v", e, err)
	}
	if _, err := l.Held(ctx, key("k")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a call that was cancelled before: %v", err)
	}
}

// TestNewTouchesNothing makes a ledger as a configuration that is only validated does.
func TestNewTouchesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "ledger")
	l := New(Options{Path: filepath.Join(folder, "ledger.db")})
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	l.close(t)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	l = New(Options{})
	defer l.close(t)
	if _, err := l.Held(t.Context(), key("k")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("without a path: %v", err)
	}
}

// TestCreated looks at what is created where there was nothing, by many at once.
func TestCreated(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "ledger")
	path := filepath.Join(folder, "ledger.db")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := create(path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Errorf("there is more than the ledger: %v, %v", files, err)
	}
	for name, want := range map[string]os.FileMode{folder: 0o700 | os.ModeDir, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode() != want {
			t.Errorf("%s: %v", name, info.Mode())
		}
	}
	l := at(t, path, newClock())
	if _, err := l.Open(t.Context(), ledger.Window{}); err != nil {
		t.Error(err)
	}
}
