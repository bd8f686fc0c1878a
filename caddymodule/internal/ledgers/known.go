// Package ledgers lets a gateway know whether its ledger is the one that it used before, or
// another one that knows nothing of what that one recorded. Without it, a ledger whose
// file was deleted would silently be created anew, and what was used could be used again.
package ledgers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	// identifyTimeout bounds how long it takes to identify the ledger.
	identifyTimeout = 5 * time.Second
	// retryAfter is how long all callers get the error of a failed attempt.
	retryAfter = time.Second
)

// errOpening is the answer to those who do not wait any longer.
var errOpening = fmt.Errorf("%w: it is still being opened: see whether the disk or Redis is overloaded", ledger.ErrUnavailable)

// Options say which ledger is used.
type Options struct {
	Ledger ledger.Ledger
	// Place is its address. Another place means another ledger.
	Place string
	// Shared says that a fleet uses it. After a loss a fleet goes on, while a single
	// gateway waits until an operator accepts the loss.
	Shared bool
	// Notes record which ledger is used. There are several, since one may be lost with
	// the ledger.
	Notes []Note
	Log   *zap.Logger
	// Period is how often [Known.Watch] checks the ledger, and Reminder how often it logs
	// a loss that was not accepted.
	Period, Reminder time.Duration
}

// Known is a ledger that is identified before it is used.
type Known struct {
	ledger.Ledger
	options Options
	state   atomic.Pointer[state] // nil before the first attempt

	turn     chan struct{} // a lock for what follows: it holds a value while one uses it
	window   ledger.Window // the longest that the ledger was opened with
	book     notebook
	note     *note     // as it was last read or written; nil before
	reminded time.Time // when a loss was last logged
}

type state struct {
	err  error // why the ledger could not be identified
	at   time.Time
	lost bool      // it replaces a lost one, and an operator has not accepted that
	from time.Time // the earliest signatures that it accepts since a loss, zero before one
}

// New returns the ledger, which is not identified yet.
func New(o Options) *Known {
	return &Known{Ledger: o.Ledger, options: o, turn: make(chan struct{}, 1), book: notebook{notes: o.Notes, place: o.Place}}
}

// Open implements [ledger.Ledger]. It identifies the ledger.
func (k *Known) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	err = k.take(ctx, func(ctx context.Context) error {
		k.window = ledger.Window{MaxAge: max(k.window.MaxAge, window.MaxAge), Skew: max(k.window.Skew, window.Skew)}
		id, err = k.identify(ctx)
		return err
	})
	return id, err
}

// known identifies the ledger unless that was done. Of concurrent callers, one does.
func (k *Known) known(ctx context.Context) error {
	if s := k.state.Load(); s != nil && s.err == nil {
		return nil
	}
	return k.take(ctx, func(ctx context.Context) error {
		if s := k.state.Load(); s != nil && (s.err == nil || time.Since(s.at) < retryAfter) {
			return s.err
		}
		// Others wait for it, so it does not end with this request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), identifyTimeout)
		defer cancel()
		_, err := k.identify(ctx)
		return err
	})
}

// tells is known, and an error if a lost ledger cannot tell who holds a key.
func (k *Known) tells(ctx context.Context) error {
	err := k.known(ctx)
	if err == nil && k.state.Load().lost && !k.options.Shared {
		err = errLost
	}
	return err
}

// take calls do with the turn.
func (k *Known) take(ctx context.Context, do func(context.Context) error) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return errOpening
	}
	defer func() { <-k.turn }()
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	return do(ctx)
}

// identify opens the ledger and compares it with what was noted. The caller has the turn.
//
// A note is written after what it says was done, and before the ledger is used. So whenever
// this process is killed, the next one either finds the note or repeats the step, and a
// ledger that was used is always noted.
func (k *Known) identify(ctx context.Context) (id string, err error) {
	defer func() {
		if err != nil && (k.note == nil || id != "" && k.note.last != id) { // the one in use is not noted
			k.state.Store(&state{err: err, at: time.Now()})
		}
	}()
	if id, err = k.Ledger.Open(ctx, k.window); err != nil {
		return "", err
	}
	found := k.note
	if found == nil {
		if found, err = k.book.read(ctx, id); err != nil {
			return id, fmt.Errorf("%w: it is unknown whether this is the same ledger as before: %w", ledger.ErrUnavailable, err)
		}
	}
	if found.last != id {
		// While it is open, a ledger notices a loss by itself.
		if k.note == nil {
			if err = k.Ledger.Forget(ctx); err != nil {
				return id, err
			}
		}
		found = &note{last: id, own: found.own}
	}
	return id, k.write(ctx, found)
}

// write notes which ledger is used, and allows its use.
func (k *Known) write(ctx context.Context, n *note) error {
	if k.note == nil || *k.note != *n || k.book.moved != "" {
		if err := k.book.write(ctx, n); err != nil {
			return fmt.Errorf("%w: which ledger this is cannot be noted, so its loss would go unnoticed: %w", ledger.ErrUnavailable, err)
		}
		k.note = n
		if k.book.moved != "" {
			k.options.Log.Warn(moved, zap.String("before", k.book.moved), zap.String("now", k.options.Place))
			k.book.moved = ""
		}
	}
	now := &state{lost: n.last != n.own, from: k.From()}
	before := k.state.Load()
	found := now.lost && (before == nil || !before.lost)
	if found && k.window.MaxAge > 0 {
		now.from = time.Now().Add(k.window.Skew + time.Second).UTC() // see [ledger.Memory.Vouch]
	}
	k.state.Store(now)
	if now.lost {
		k.report(k.Loss(), found)
	}
	return nil
}

// Spend implements [ledger.Ledger].
func (k *Known) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed ledger.Signed, window ledger.Window) (ledger.Entry, error) {
	if err := k.known(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.Ledger.Spend(ctx, key, holder, signed, window)
}

// Reserve implements [ledger.Ledger].
func (k *Known) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.Ledger.Reserve(ctx, key, holder, until, share)
}

// Keep implements [ledger.Ledger].
func (k *Known) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.Ledger.Keep(ctx, key, holder, until)
}

// Held implements [ledger.Ledger].
func (k *Known) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.Ledger.Held(ctx, key)
}

// Err implements [ledger.Ledger].
func (k *Known) Err() error {
	if s := k.state.Load(); s != nil && s.err != nil {
		return s.err
	}
	return k.Ledger.Err()
}
