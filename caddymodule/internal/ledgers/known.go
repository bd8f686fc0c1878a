// Package ledgers has a gateway know which ledger it uses: the one that it used
// before, or one that takes its place and knows nothing of what that one held. A
// ledger whose file was deleted would be created anew in silence otherwise, and
// what was used could be used again.
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
	// patience is how long it may take to find out which ledger it is.
	patience = 5 * time.Second
	// retryAfter is how long a failure to do so is the answer for all who ask.
	retryAfter = time.Second
)

// Options say which ledger is used.
type Options struct {
	Ledger ledger.Ledger
	// Place is where it is. At another place is another ledger.
	Place string
	// Shared says that a fleet uses it. After a loss the fleet goes on, as after
	// every loss of a Redis; a gateway alone waits until somebody accepts it.
	Shared bool
	// Notes are where it is noted which ledger is used: in several places, since
	// any may be lost, or another one, when the ledger is.
	Notes []Note
	Log   *zap.Logger
	// Period is how often [Known.Watch] looks, and Reminder how often it logs a
	// loss that nobody has accepted.
	Period, Reminder time.Duration
}

// Known is a ledger that nobody uses before it is known which one it is.
type Known struct {
	ledger.Ledger
	options Options
	state   atomic.Pointer[state] // nil before it was tried to find out

	turn     chan struct{} // holds a value while what follows is looked at
	window   ledger.Window // the longest that it was opened for
	book     notebook
	note     *note     // as it was last read or written; nil before
	reminded time.Time // when an operator was last told of a loss
}

type state struct {
	err  error // why it is not known which ledger it is
	at   time.Time
	lost bool // it takes a lost one's place, and nobody has accepted that
}

// New returns the ledger, of which nothing is known yet.
func New(o Options) *Known {
	return &Known{Ledger: o.Ledger, options: o, turn: make(chan struct{}, 1), book: notebook{notes: o.Notes, place: o.Place}}
}

// Open implements [ledger.Ledger]: it finds out which ledger it is.
func (k *Known) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	err = k.take(ctx, func(ctx context.Context) error {
		k.window = ledger.Window{MaxAge: max(k.window.MaxAge, window.MaxAge), Skew: max(k.window.Skew, window.Skew)}
		id, err = k.identify(ctx)
		return err
	})
	return id, err
}

// known finds out which ledger it is, where that is not known yet. Of many who
// want to know, one finds out.
func (k *Known) known(ctx context.Context) error {
	if s := k.state.Load(); s != nil && s.err == nil {
		return nil
	}
	return k.take(ctx, func(ctx context.Context) error {
		if s := k.state.Load(); s != nil && (s.err == nil || time.Since(s.at) < retryAfter) {
			return s.err
		}
		// Others wait for it, too, so it does not end with this request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_, err := k.identify(ctx)
		return err
	})
}

// tells reports why it cannot tell who has a key, if so.
func (k *Known) tells(ctx context.Context) error {
	err := k.known(ctx)
	if err == nil && k.state.Load().lost && !k.options.Shared {
		err = errLost
	}
	return err
}

// take does something when its turn has come.
func (k *Known) take(ctx context.Context, do func(context.Context) error) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, context.Cause(ctx))
	}
	defer func() { <-k.turn }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return do(ctx)
}

// identify opens the ledger and compares it with what is noted of it. The one
// who does so has the turn.
//
// What the note says is done before it is written: whenever this process is
// killed, the next one finds a ledger that is noted, or does it again. A ledger
// is noted before anybody uses it, so one that was used is never unknown.
func (k *Known) identify(ctx context.Context) (id string, err error) {
	defer func() {
		if err != nil && (k.note == nil || id != "" && k.note.last != id) { // it is not noted which one is used
			k.state.Store(&state{err: err, at: time.Now()})
		}
	}()
	if id, err = k.Ledger.Open(ctx, k.window); err != nil {
		return "", err
	}
	found := k.note
	if found == nil {
		if found, err = k.book.read(ctx, id); err != nil {
			return id, fmt.Errorf("%w: it cannot be told whether this is the ledger of before: %w", ledger.ErrUnavailable, err)
		}
	}
	if found.last != id {
		// While it is open, a ledger sees to that itself.
		if k.note == nil {
			if err = k.Ledger.Forget(ctx); err != nil {
				return id, err
			}
		}
		found = &note{last: id, own: found.own}
	}
	return id, k.write(ctx, found)
}

// write notes which ledger is used, and has it be used.
func (k *Known) write(ctx context.Context, n *note) error {
	if k.note == nil || *k.note != *n || k.book.moved != "" {
		if err := k.book.write(ctx, n); err != nil {
			return fmt.Errorf("%w: it cannot be noted which ledger this is, so that its loss would not be noticed: %w", ledger.ErrUnavailable, err)
		}
		k.note = n
		if k.book.moved != "" {
			k.options.Log.Warn(moved, zap.String("before", k.book.moved), zap.String("now", k.options.Place))
			k.book.moved = ""
		}
	}
	before := k.state.Load()
	k.state.Store(&state{lost: n.last != n.own})
	if n.last != n.own {
		k.report(k.Loss(), before == nil || !before.lost)
	}
	return nil
}

// Spend implements [ledger.Ledger].
func (k *Known) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed time.Time, window ledger.Window) (ledger.Entry, error) {
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
