package observe

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// Ledger is a ledger whose operations are counted.
type Ledger struct{ ledger.Ledger }

// Spend implements [ledger.Ledger]. It counts as a reservation.
func (l Ledger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed ledger.Signed, window ledger.Window) (ledger.Entry, error) {
	ctx, asking := ledgers.begin(ctx, "reserve", time.Now())
	entry, err := l.Ledger.Spend(ctx, key, holder, signed, window)
	asking.end(ledgerResult(entry.Holder == holder, err))
	return entry, err
}

// Reserve implements [ledger.Ledger].
func (l Ledger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	ctx, asking := ledgers.begin(ctx, "reserve", time.Now())
	entry, err := l.Ledger.Reserve(ctx, key, holder, until, share)
	asking.end(ledgerResult(entry.Holder == holder, err))
	return entry, err
}

// Keep implements [ledger.Ledger].
func (l Ledger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	ctx, asking := ledgers.begin(ctx, "keep", time.Now())
	entry, err := l.Ledger.Keep(ctx, key, holder, until)
	free := entry.Holder == ledger.Holder{}
	asking.end(ledgerResult(entry.Holder == holder || free, err))
	return entry, err
}

// Release implements [ledger.Ledger].
func (l Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	ctx, asking := ledgers.begin(ctx, "release", time.Now())
	err := l.Ledger.Release(ctx, key, holder, until)
	asking.end(ledgerResult(true, err))
	return err
}

// Held implements [ledger.Ledger].
func (l Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	ctx, asking := ledgers.begin(ctx, "held", time.Now())
	entry, err := l.Ledger.Held(ctx, key)
	asking.end(ledgerResult(entry.Holder == ledger.Holder{}, err))
	return entry, err
}

// ledgerResult is an operation's result. own says that the key is the caller's or free. A
// share that is used up or a signature that is too old is an answer, not a failure.
func ledgerResult(own bool, err error) string {
	switch {
	case errors.Is(err, ledger.ErrShare), errors.Is(err, ledger.ErrTooOld):
		return resultHeld
	case err != nil:
		return resultError
	case !own:
		return resultHeld
	}
	return resultOK
}

// Interface guards
var _ ledger.Ledger = Ledger{}
