// Package boltledger keeps a ledger in one file, for one process: what a
// gateway on a single machine needs. An answer that gives somebody a key is
// given when the reservation is on the disk, so it outlives kill -9 and a power
// cut. A file that is damaged, missing or in use is an error and never taken
// for one that holds nothing.
package boltledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errClosed = errors.New("it has been closed")
	errNobody = errors.New("the zero holder is nobody, and nobody can hold a key")
)

// Options say where the ledger is.
type Options struct {
	// Path is the file. Its folder is made where it is missing.
	Path string
	// Log is told what an operator has to know. Without one nothing is.
	Log *zap.Logger
	// Now is the clock that entries end by: [time.Now], unless it is set.
	Now func() time.Time
}

// Ledger is a [ledger.Ledger] in a bolt file.
type Ledger struct {
	path  string
	log   *zap.Logger
	clock clock
	setup setup

	mu      sync.Mutex
	calls   sync.WaitGroup // calls under way, and attempts to open
	closed  bool
	session *session      // nil while the file is not open
	opening chan struct{} // closed when the attempt under way has ended; nil without one
	failure error         // why the last attempt or session ended
	failed  time.Time     // when it did
	gone    chan struct{} // closed when the last session has let go of the file; nil without one
	known   bool          // the file has been open, so it is never made anew

	closing  sync.Once
	closeErr error
}

// setup is what tests set differently.
type setup struct {
	sweepInterval time.Duration
	noSync        bool
}

// New returns a ledger that has touched nothing yet: the file is opened by
// [Ledger.Open] or by the first call that needs it.
func New(o Options) *Ledger {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	begun := time.Now()
	steady := func() time.Duration { return time.Since(begun) }
	return &Ledger{path: o.Path, log: o.Log, clock: clock{o.Now, steady}, setup: setup{sweepInterval: sweepInterval}}
}

// Open opens the file, or makes it. Its error says what to do.
func (l *Ledger) Open(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.calls.Done()
	_, err := l.current(ctx)
	return err
}

// Reserve implements [ledger.Ledger].
func (l *Ledger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	return l.do(&operation{ctx: ctx, kind: reserve, key: key, holder: holder, until: seconds(until), share: share})
}

// Keep implements [ledger.Ledger].
func (l *Ledger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	return l.do(&operation{ctx: ctx, kind: keep, key: key, holder: holder, until: seconds(until)})
}

// Release implements [ledger.Ledger].
func (l *Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	_, err := l.do(&operation{ctx: ctx, kind: release, key: key, holder: holder, until: seconds(until)})
	return err
}

// Held implements [ledger.Ledger].
func (l *Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	return l.do(&operation{ctx: ctx, kind: held, key: key})
}

func (l *Ledger) do(o *operation) (ledger.Entry, error) {
	if o.kind != held && o.holder == (ledger.Holder{}) {
		return ledger.Entry{}, l.unavailable(errNobody)
	}
	if err := l.enter(); err != nil {
		return ledger.Entry{}, err
	}
	defer l.calls.Done()
	s, err := l.current(o.ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	o.answers = make(chan answer, 1)
	a := s.ask(s.reads, o)
	if a.undecided {
		a = s.ask(s.writes, o)
	}
	if a.err != nil && !errors.Is(a.err, ledger.ErrShare) {
		return ledger.Entry{}, l.unavailable(a.err)
	}
	return a.entry, a.err
}

// Err implements [ledger.Ledger]. It never waits: where the file could not be
// opened, it has that tried again and returns the last error meanwhile.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.unavailable(errClosed)
	}
	l.reap()
	if l.session != nil {
		if trouble := l.session.trouble.Load(); trouble != nil {
			return l.unavailable(*trouble)
		}
		return nil
	}
	if l.failure == nil {
		return nil
	}
	if l.due() {
		l.attempt()
	}
	return l.failure
}

// Close implements [ledger.Ledger].
func (l *Ledger) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.calls.Wait()
		// From here on nobody else touches the ledger's state.
		if l.session != nil {
			l.session.end(errClosed)
			l.gone = l.session.gone
		}
		if l.gone != nil {
			<-l.gone
		}
		if l.session != nil {
			l.closeErr = l.session.closeErr
		}
	})
	return l.closeErr
}

func (l *Ledger) unavailable(cause error) error {
	return fmt.Errorf("%w: %s: %w", ledger.ErrUnavailable, l.path, cause)
}

// seconds rounds up, so that nothing ends before its time.
func seconds(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

var _ ledger.Ledger = (*Ledger)(nil)
