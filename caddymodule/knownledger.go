package caddymodule

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// ledgerRetry is how long a failure to tell which ledger it is is the answer for
// all who ask.
const ledgerRetry = time.Second

// ledgerPeriod is how often it is looked at whether it still is the one.
var ledgerPeriod = 10 * time.Second

// knownLedger is a ledger that nobody asks before it is known which one it is:
// the one that this gateway used before, or one that takes its place and knows
// nothing of what that one held. A ledger whose file was deleted would be created
// anew in silence otherwise, and what was used could be used again.
type knownLedger struct {
	ledger observedLedger
	shared bool // by a fleet
	app    *App

	ready   atomic.Bool           // it is known, and noted
	failure atomic.Pointer[error] // why the last attempt failed
	lost    atomic.Bool           // it takes a lost one's place, and nobody has accepted that

	turn chan struct{} // holds a value while what follows is looked at
	note *ledgerNote   // as it was last read or written; nil before
	at   notePlace
	// failed is when the last attempt did, reminded when an operator was last
	// told of a loss.
	failed, reminded time.Time
}

// newKnownLedger returns the ledger at a place: another place is another ledger.
func newKnownLedger(l observedLedger, place string, shared bool, a *App) *knownLedger {
	return &knownLedger{ledger: l, shared: shared, app: a, turn: make(chan struct{}, 1), at: notePlace{store: a.store, place: place}}
}

// known finds out which ledger it is, where that is not known yet. Of many who
// want to know, one finds out.
func (k *knownLedger) known(ctx context.Context) error {
	if k.ready.Load() {
		return nil
	}
	return k.take(ctx, func(ctx context.Context) error {
		if k.ready.Load() {
			return nil
		}
		if failure := k.failure.Load(); failure != nil && time.Since(k.failed) < ledgerRetry {
			return *failure
		}
		// Others wait for it, too, so it does not end with this request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ledgerTimeout)
		defer cancel()
		_, err := k.identify(ctx)
		return err
	})
}

// tells reports why it cannot tell who has a key, if so.
func (k *knownLedger) tells(ctx context.Context) error {
	if err := k.known(ctx); err != nil {
		return err
	}
	if k.lost.Load() && !k.shared {
		return errLost
	}
	return nil
}

// take does something when its turn has come.
func (k *knownLedger) take(ctx context.Context, do func(context.Context) error) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ledger.ErrUnavailable, context.Cause(ctx))
	}
	defer func() { <-k.turn }()
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	return do(ctx)
}

// identify opens the ledger and compares it with what is noted of it. The one
// who does so has the turn.
//
// What the note says is done before it is written: whenever this process is
// killed, the next one finds a ledger that is noted, or does it again. A ledger
// is noted before anybody uses it, so one that was used is never unknown.
func (k *knownLedger) identify(ctx context.Context) (id string, err error) {
	defer func() {
		if err != nil {
			k.failed = time.Now()
			k.failure.Store(&err)
			if k.note == nil || id != "" && k.note.last != id {
				k.ready.Store(false) // it is not noted which one is used
			}
		}
	}()
	if id, err = k.ledger.Open(ctx, k.app.window); err != nil {
		return "", err
	}
	note := k.note
	if note == nil {
		notes, err := k.at.read(ctx)
		if err != nil {
			return id, fmt.Errorf("%w: it cannot be told whether this is the ledger of before: %w", ledger.ErrUnavailable, err)
		}
		for _, n := range notes {
			if note == nil || !n.knows(id) {
				note = n
			}
		}
	}
	switch {
	case note == nil:
		note = &ledgerNote{id, id}
	case note.last != id:
		// While it is open, a ledger sees to that itself.
		if k.note == nil {
			if err = k.ledger.Forget(ctx); err != nil {
				return id, err
			}
		}
		note = &ledgerNote{id, note.own}
	}
	moved := k.at.before
	if err = k.write(ctx, note); err != nil {
		return id, err
	}
	if moved != "" {
		k.app.log.Warn(ledgerMoved, zap.String("before", moved), zap.String("now", k.at.place))
	}
	k.judge()
	k.failure.Store(nil)
	k.ready.Store(true)
	return id, nil
}

func (k *knownLedger) write(ctx context.Context, note *ledgerNote) error {
	if k.note != nil && *k.note == *note && k.at.before == "" {
		return nil
	}
	if err := k.at.write(ctx, note); err != nil {
		return fmt.Errorf("%w: it cannot be noted which ledger this is, so that its loss would not be noticed: %w", ledger.ErrUnavailable, err)
	}
	k.note, k.at.before = note, ""
	return nil
}

// Open implements [ledger.Ledger], as far as it is known which one it is.
func (k *knownLedger) Open(ctx context.Context, window ledger.Window) (string, error) {
	if err := k.known(ctx); err != nil {
		return "", err
	}
	return k.ledger.Open(ctx, window)
}

// Spend implements [ledger.Ledger].
func (k *knownLedger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed time.Time, window ledger.Window) (ledger.Entry, error) {
	if err := k.known(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.ledger.Spend(ctx, key, holder, signed, window)
}

// Reserve implements [ledger.Ledger].
func (k *knownLedger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.ledger.Reserve(ctx, key, holder, until, share)
}

// Keep implements [ledger.Ledger].
func (k *knownLedger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.ledger.Keep(ctx, key, holder, until)
}

// Release implements [ledger.Ledger].
func (k *knownLedger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	if err := k.known(ctx); err != nil {
		return err
	}
	return k.ledger.Release(ctx, key, holder, until)
}

// Held implements [ledger.Ledger].
func (k *knownLedger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	if err := k.tells(ctx); err != nil {
		return ledger.Entry{}, err
	}
	return k.ledger.Held(ctx, key)
}

// Forget implements [ledger.Ledger].
func (k *knownLedger) Forget(ctx context.Context) error { return k.ledger.Forget(ctx) }

// Err implements [ledger.Ledger].
func (k *knownLedger) Err() error {
	if failure := k.failure.Load(); failure != nil && !k.ready.Load() {
		return *failure
	}
	return k.ledger.Err()
}

// Close implements [ledger.Ledger].
func (k *knownLedger) Close() error { return k.ledger.Close() }

// Interface guards
var _ ledger.Ledger = (*knownLedger)(nil)
