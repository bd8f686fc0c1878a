// Package boltledger keeps a ledger in one file, for one process, as a gateway on a single
// machine needs it. A call that claims a key returns when the entry is on the disk, so that
// it survives kill -9 and a power cut. A file that is damaged, missing or in use is an
// error, never an empty ledger. It is inspected when it is opened; another program that
// writes to it while it is open may crash this process.
package boltledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltcheck"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errClosed = errors.New("it is closed")
	errNobody = errors.New("the zero holder cannot hold a key")
)

// Options say where the ledger is.
type Options struct {
	// Path is the file. Its folder is created if it is missing.
	Path string
	// Log gets what an operator needs to know. Default: none.
	Log *zap.Logger
	// Now is the clock by which entries end. Default: [time.Now].
	Now func() time.Time
}

// Ledger is a [ledger.Ledger] in a bolt file.
type Ledger struct {
	path  string
	log   *zap.Logger
	clock clock

	sweepInterval time.Duration
	noSync        bool // for tests

	mu      sync.Mutex
	calls   sync.WaitGroup // calls under way, and attempts to open
	closed  bool
	session *session      // the last one, which may have ended; nil before the first
	anew    bool          // the next session replaces a ledger that is gone
	opening chan struct{} // closed when the attempt under way has ended; nil without one
	failure error         // of the last attempt
	failed  time.Time     // when it did

	closing  sync.Once
	closeErr error
}

// New returns a ledger. The first call that needs the file opens it.
func New(o Options) *Ledger {
	o.Log = cmp.Or(o.Log, zap.NewNop())
	if o.Now == nil {
		o.Now = time.Now
	}
	begun := time.Now()
	steady := func() time.Duration { return time.Since(begun) }
	return &Ledger{path: o.Path, log: o.Log, clock: clock{o.Now, steady}, sweepInterval: sweepInterval}
}

// Open implements [ledger.Ledger]. Its error says what to do.
func (l *Ledger) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	a, err := l.do(&operation{ctx: ctx, kind: extend, window: window})
	return a.id, err
}

// Spend implements [ledger.Ledger].
func (l *Ledger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed ledger.Signed, window ledger.Window) (ledger.Entry, error) {
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
	for tries := 0; ; tries++ {
		_, err := l.do(&operation{ctx: ctx, kind: forget})
		if tries == 2 || !errors.Is(err, ledger.ErrGone) { // another call may be opening the ledger that is gone
			return err
		}
		l.reset()
	}
}

// reset drops a session that has ended, so that the next one may open another ledger, which
// then has to forget.
func (l *Ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.session; s != nil {
		if !s.ended() {
			return
		}
		<-s.stopped
	}
	l.session, l.failure, l.anew = nil, nil, true
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
	a := s.do(o)
	if a.err != nil && !errors.Is(a.err, ledger.ErrShare) && !errors.Is(a.err, ledger.ErrTooOld) {
		return answer{}, l.unavailable(a.err)
	}
	return a, a.err
}

// enter begins a call, for which Close waits.
func (l *Ledger) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.unavailable(errClosed)
	}
	l.calls.Add(1)
	return nil
}

// Err implements [ledger.Ledger]. It never waits.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s := l.session; {
	case l.closed:
		return l.unavailable(errClosed)
	case l.failure != nil:
		return l.failure
	case s == nil:
		return nil
	case s.ended():
		return l.unavailable(context.Cause(s.alive))
	case s.trouble.Load() != nil:
		return l.unavailable(*s.trouble.Load())
	}
	return nil
}

// Close implements [ledger.Ledger].
func (l *Ledger) Close() error {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.calls.Wait()
		if s := l.session; s != nil {
			s.end(errClosed)
			<-s.stopped
			l.closeErr = s.closeErr
		}
	})
	return l.closeErr
}

// unavailable tells an operator what to do about an error of the system. Others say that
// themselves.
func (l *Ledger) unavailable(cause error) error {
	kind, advice := ledger.ErrUnavailable, ""
	switch {
	case errors.Is(cause, kind): // it says so already
		return cause
	case cause == errRemoved, cause == errOther:
		kind = ledger.ErrGone
	case errors.Is(cause, boltcheck.ErrDamaged):
		advice = wayOut
	}
	if f := durable.Explain(cause, ""); f.Advice != "" {
		cause = f
	}
	return fmt.Errorf("%w: ledger bolt %s: %w%s", kind, l.path, cause, advice)
}

// seconds returns the Unix time rounded up, so that nothing ends early.
func seconds(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

var _ ledger.Ledger = (*Ledger)(nil)
