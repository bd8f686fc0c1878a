// Package ledger records who claimed a key first. Nonces, conversations and the
// merging of visitors are that one question.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Reasons for which a ledger cannot do what it is asked.
var (
	// ErrUnavailable says that it is currently unknown who holds a key. It is
	// wrapped with what an operator has to know.
	ErrUnavailable = errors.New("ledger: unavailable")
	// ErrGone is [ErrUnavailable] where the ledger was open and is not there any
	// more, or another one is in its place. Nothing but [Ledger.Forget] begins
	// anew.
	ErrGone = fmt.Errorf("%w: it is gone", ErrUnavailable)
	// ErrForgotten is [ErrUnavailable] for what may have been used before the
	// ledger lost what it held.
	ErrForgotten = fmt.Errorf("%w: it has lost what it held when this was signed", ErrUnavailable)
	// ErrTooOld says that the ledger kept what was used for a shorter time when
	// this was signed, so that it may have been used and dropped since.
	ErrTooOld = errors.New("ledger: this was signed while a shorter window was served, and is older than that")
	// ErrShare says that the owner of the share holds as many keys as he may.
	ErrShare = errors.New("ledger: the owner's share is used up")
)

// Key is what is claimed: a digest, so that a ledger holds no user's data.
type Key [32]byte

// Holder is who claims it: a digest, too. The zero Holder is nobody.
type Holder [32]byte

// Entry says who holds a key, and until when. The zero Entry: nobody does.
type Entry struct {
	Holder Holder
	Until  time.Time // to the second
}

// Share bounds how many keys one owner holds at a time.
type Share struct {
	Owner Key
	Limit int
}

// Ledger keeps entries until they expire. It is safe for concurrent use. Package
// ledgertest has the tests that every implementation passes.
type Ledger interface {
	// Open opens the ledger, or creates it where there is none, and records
	// durably the longest window it was ever opened with. It returns the
	// ledger's id, which is random, is given once and is lost only with what
	// the ledger holds. It can be called again at any time, and is cheap then.
	//
	// A ledger that loses what it held while it is open does as after [Forget]
	// before it answers anything, or fails with [ErrGone].
	Open(ctx context.Context, window Window) (id string, err error)

	// Spend gives the key of something that can be used once to the holder, who
	// is random, and returns the entry that then holds: another's, where it was
	// used before. What was signed at that time is kept for as long as the
	// longest window takes it for fresh, which is the given one if it is longer
	// than those before. Where nobody holds the key, but the ledger cannot
	// vouch that nobody did, as [Memory.Vouch] says, the error is [ErrTooOld]
	// or wraps [ErrForgotten], and nothing was used. In all else it is like
	// Reserve.
	Spend(ctx context.Context, key Key, holder Holder, signed time.Time, window Window) (Entry, error)

	// Reserve gives the key to the holder until that time, unless somebody
	// holds it, and returns the entry that then holds. It is durable before
	// Reserve returns. Of any number of concurrent calls with different
	// holders, one gets the key. Where the holder himself has it already, the
	// entry stays as it is. A share with an Owner bounds how many keys reserved
	// under it are alive; beyond it the error is [ErrShare], and the key stays
	// free. Any other error wraps [ErrUnavailable], and then the reservation may
	// or may not have been written.
	Reserve(ctx context.Context, key Key, holder Holder, until time.Time, share Share) (Entry, error)

	// Keep moves the end of what the holder has to that time, durably, and
	// returns the entry that then holds: another's, or the zero Entry, where he
	// does not have it.
	Keep(ctx context.Context, key Key, holder Holder, until time.Time) (Entry, error)

	// Release frees the key if the holder has it and if his entry ends at that
	// time, which nobody has moved since.
	Release(ctx context.Context, key Key, holder Holder, until time.Time) error

	// Held returns who holds the key.
	Held(ctx context.Context, key Key) (Entry, error)

	// Forget records durably that the ledger may not know what was used before
	// now: it takes the place of another one. Where it is gone, it begins anew.
	Forget(ctx context.Context) error

	// Err returns nil, or why the ledger cannot currently be asked. It wraps
	// [ErrUnavailable].
	Err() error

	// Close ends the ledger. Calls that are under way are answered first; later
	// ones get [ErrUnavailable].
	Close() error
}
