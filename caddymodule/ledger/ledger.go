// Package ledger records who claimed a key first. Nonces, conversations and the
// merging of visitors are that one question.
package ledger

import (
	"context"
	"errors"
	"time"
)

// Reasons for which a ledger cannot do what it is asked.
var (
	// ErrUnavailable says that nobody can tell at present who holds a key. It is
	// wrapped with what an operator has to know.
	ErrUnavailable = errors.New("ledger: unavailable")
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
	Most  int
}

// Ledger keeps entries until they expire. It is safe for concurrent use.
type Ledger interface {
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

	// Err returns nil, or why the ledger cannot be asked at present. It wraps
	// [ErrUnavailable].
	Err() error

	// Close ends the ledger. Calls that are under way are answered first; later
	// ones get [ErrUnavailable].
	Close() error
}
