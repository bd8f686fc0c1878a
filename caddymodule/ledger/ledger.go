// Package ledger records who claimed a key first. Nonces, conversations and the
// merging of visitors are that one question.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of a ledger.
var (
	// ErrUnavailable says that it is currently unknown who holds a key. Errors wrap it
	// with what an operator needs to know.
	ErrUnavailable = errors.New("ledger: the ledger is unavailable")
	// ErrGone is an [ErrUnavailable]: the ledger was open and has disappeared, or
	// another one is in its place. Only [Ledger.Forget] starts a new one.
	ErrGone = fmt.Errorf("%w: it is gone", ErrUnavailable)
	// ErrForgotten is an [ErrUnavailable]: the signature may have been used before the
	// ledger lost its entries.
	ErrForgotten = fmt.Errorf("%w: it has lost what it held when this was signed", ErrUnavailable)
	// ErrTooOld says that the ledger kept used signatures for a shorter time when this
	// one was created, so that it may have been used and dropped since.
	ErrTooOld = errors.New("ledger: this was signed while a shorter window was served, and is older than that")
	// ErrShare says that the owner of a share holds the maximum number of keys.
	ErrShare = errors.New("ledger: the owner's share is used up")
)

// Key identifies what is claimed. It is a digest, so that a ledger holds no user data.
type Key [32]byte

// Holder identifies who claims it, also as a digest. The zero Holder is nobody.
type Holder [32]byte

// Entry says who holds a key and until when. The zero Entry says that nobody does.
type Entry struct {
	Holder Holder
	Until  time.Time // to the second
}

// Share bounds how many keys one owner holds at a time.
type Share struct {
	Owner Key
	Limit int
}

// Ledger keeps entries until they expire. It is safe for concurrent use. Package ledgertest
// has the tests that every implementation must pass.
type Ledger interface {
	// Open opens the ledger, or creates it if there is none, and durably records the
	// longest window that it was ever opened with. It returns the ledger's id, which is
	// random and is lost only with the ledger's entries. Open can be called again at any
	// time, and is cheap then.
	//
	// A ledger that loses its entries while it is open acts as after [Ledger.Forget]
	// before it answers anything, or fails with [ErrGone].
	Open(ctx context.Context, window Window) (id string, err error)

	// Spend gives the key of a one-time signature or token to a random holder. It returns the entry that then holds the key, which is another
	// holder's if the signature was used before. The entry is kept for as long as the
	// longest window, the given one included, accepts the signature. If nobody holds the
	// key, but by [Memory.Vouch] the ledger cannot rule out that somebody did, the error
	// is [ErrTooOld] or wraps [ErrForgotten], and nothing was used. Otherwise Spend is
	// like Reserve.
	Spend(ctx context.Context, key Key, holder Holder, signed Signed, window Window) (Entry, error)

	// Reserve gives the key to the holder until that time, unless somebody holds it,
	// and returns the entry that then holds the key. The entry is durable before Reserve
	// returns. Of concurrent calls with different holders, exactly one gets the key. If
	// the holder has it already, the entry stays as it is. A share with an Owner bounds
	// how many keys reserved under it are held at a time; beyond that the error is
	// [ErrShare], and the key stays free. Any other error wraps [ErrUnavailable], and
	// then the entry may or may not have been written.
	Reserve(ctx context.Context, key Key, holder Holder, until time.Time, share Share) (Entry, error)

	// Keep durably moves the end of the holder's entry to that time. It returns the entry
	// that then holds the key, which is another's or zero if the holder does not have it.
	Keep(ctx context.Context, key Key, holder Holder, until time.Time) (Entry, error)

	// Release frees the key if the holder has it and the entry still ends at that time.
	Release(ctx context.Context, key Key, holder Holder, until time.Time) error

	// Held returns who holds the key.
	Held(ctx context.Context, key Key) (Entry, error)

	// Forget durably records that the ledger may not know what was used before now, since
	// it replaces another one. If the ledger is gone, Forget starts a new one.
	Forget(ctx context.Context) error

	// Err returns why the ledger is currently unavailable, nil if it is not. The error
	// wraps [ErrUnavailable].
	Err() error

	// Close closes the ledger after answering the calls under way. Later ones get
	// [ErrUnavailable].
	Close() error
}
