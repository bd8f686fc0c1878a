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
	id      string        // of the ledger that has been open, so it is never created anew; "" before
	seen    int64         // the last of its transactions that is known to be on the disk

	closing  sync.Once
	closeErr error
}

// setup is what tests set differently.
type setup struct {
	sweepInterval time.Duration
	noSync        bool
}

// New returns a ledger that has touched nothing yet: the file is opened by the
// first call that needs it.
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

// Open implements [ledger.Ledger]. Its error says what to do.
func (l *Ledger) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	a, err := l.do(&operation{ctx: ctx, kind: extend, window: window})
	return a.id, err
}

// Spend implements [ledger.Ledger].
func (l *Ledger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed time.Time, window ledger.Window) (ledger.Entry, error) {
	a, err := l.do(&operation{ctx: ctx, kind: spend, key: key, holder: holder, signed: signed, window: window})
	return a.entry, err
}

// Reserve implements [ledger.Ledger].
func (l *Ledger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	a, err := l.do(&operation{ctx: ctx, kind: reserve, key: key, holder: holder, until: seconds(until), share: share})
	return a.entry, err
}

// Keep implements [ledger.Ledger].
func (l *Ledger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	a, err := l.do(&operation{ctx: ctx, kind: keep, key: key, holder: holder, until: seconds(until)})
	return a.entry, err
}

// Release implements [ledger.Ledger].
func (l *Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	_, err := l.do(&operation{ctx: ctx, kind: release, key: key, holder: holder, until: seconds(until)})
	return err
}

// Held implements [ledger.Ledger].
func (l *Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	a, err := l.do(&operation{ctx: ctx, kind: held, key: key})
	return a.entry, err
}

// Forget implements [ledger.Ledger].
func (l *Ledger) Forget(ctx context.Context) error {
	err := l.forget(ctx)
	for range 2 { // somebody may be opening it for what it was
		if !errors.Is(err, ledger.ErrGone) {
			break
		}
		l.mu.Lock()
		l.reap()
		l.id, l.seen, l.failure = "", 0, nil // from here on, whatever is there will do
		l.mu.Unlock()
		err = l.forget(ctx)
	}
	return err
}

func (l *Ledger) forget(ctx context.Context) error {
	_, err := l.do(&operation{ctx: ctx, kind: forget})
	return err
}

func (l *Ledger) do(o *operation) (answer, error) {
	if o.kind.claims() && o.holder == (ledger.Holder{}) {
		return answer{}, l.unavailable(errNobody)
	}
	if err := l.enter(); err != nil {
		return answer{}, err
	}
	defer l.calls.Done()
	s, err := l.current(o.ctx)
	if err != nil {
		return answer{}, err
	}
	if o.kind == extend { // whoever opens it wants to know
		if err := s.look(); err != nil {
			return answer{}, l.unavailable(err)
		}
	}
	o.answers = make(chan answer, 1)
	a := s.ask(s.reads, o)
	if a.undecided {
		a = s.ask(s.writes, o)
	}
	if a.err != nil && !errors.Is(a.err, ledger.ErrShare) && !errors.Is(a.err, ledger.ErrTooOld) {
		return answer{}, l.unavailable(a.err)
	}
	return a, a.err
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
