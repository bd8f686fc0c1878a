package widgets

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// Errors of a store.
var (
	// ErrUnavailable says that the store currently cannot be read or written. Errors
	// wrap it with what an operator needs to know.
	ErrUnavailable = errors.New("widgets: the store is unavailable")
	// ErrUnwritable is an [ErrUnavailable]: a change could not be written. The next may
	// succeed.
	ErrUnwritable = fmt.Errorf("%w: nothing was changed", ErrUnavailable)
	// ErrBusy says that others were writing for too long. Nothing was changed.
	ErrBusy = errors.New("widgets: the store is busy")
)

// Change is the callback of [Store.Update].
type Change = func(id string, old *Record) (*Record, error)

// Store keeps the records of widgets, and that of the gateway's signing keys under
// [SigningKeysID]. It is safe for concurrent use. Package storetest has
// the tests that every implementation must pass.
type Store interface {
	// Lookup returns the widget's record, nil if there is none. Every request calls it:
	// it does not keep id, does not allocate for a known widget, and keeps nothing about
	// an unknown one. The context is the request's, for tracing. An error wraps
	// [ErrUnavailable].
	Lookup(ctx context.Context, id []byte) (*Record, error)

	// Update changes the records of these widgets. For each, change gets the current
	// record, nil if there is none, and returns its replacement: nil deletes it, the same
	// pointer keeps it. No other writer comes between the two. change may be called again
	// if another writer was faster, so only the effects of its last call may count. When
	// Update returns without error, the change is durable and every Lookup of this
	// process sees it. An error of change is returned as it is, and then nothing was
	// changed.
	Update(ctx context.Context, ids []string, change Change) error

	// List returns up to limit records in the order of their ids, beginning after that
	// id, or with the first for "". The order is that of the ids' bytes.
	List(ctx context.Context, after string, limit int) ([]*Record, error)

	// KeyIDs returns how many secrets each encryption key encrypts, those in grace
	// included, as far as that is known without I/O.
	KeyIDs() map[string]int

	// Note returns what a gateway on this machine last noted under that name, "" for
	// nothing. A name consists of A-Z a-z 0-9 and -. An error wraps [ErrUnavailable].
	Note(ctx context.Context, name string) (string, error)

	// SetNote durably replaces a note by a line of text.
	SetNote(ctx context.Context, name, text string) error

	// Speaks reports whether any widget has that dialect. It reports true if the widgets
	// are currently unknown: claims in that dialect are then cut.
	Speaks(dialect string) bool

	// Err returns why the store currently cannot be written, or not be read, nil if it
	// can. It wraps [ErrUnavailable]. Like the next two methods, it never waits.
	Err() error

	// Serves reports whether known widgets are served, even if Err is not nil.
	Serves() bool

	// Loss says that the widgets which this gateway knew are gone from the store, though
	// it can be read, and what to do; "" otherwise. Until they are back or AcceptLoss was
	// called, lookups of others answer [ErrUnavailable] rather than that there is none, and
	// nothing that a change retires is served.
	Loss() string

	// AcceptLoss goes on with the widgets that the store has now, and reports whether any
	// were lost.
	AcceptLoss(ctx context.Context) (bool, error)

	// Close ends the store's background work.
	Close() error
}

// Changes calls change for each of the ids, and returns what the records become that it
// changes, nil for one that it deletes. It is for implementations of [Store.Update], which
// have the records from old.
func Changes(ids []string, old func(id string) *Record, change Change) (map[string]*Record, error) {
	changed := make(map[string]*Record, len(ids))
	for _, id := range ids {
		record, again := changed[id]
		if !again {
			record = old(id)
		}
		next, err := change(id, record)
		if err != nil {
			return nil, err
		}
		if changed[id] = next; next == nil || next == record {
			continue
		}
		if err := next.Check(); err != nil {
			return nil, err
		}
		if next.ID != id {
			return nil, fmt.Errorf("%w of %s: it would replace %s", ErrRecord, NameOf(next.ID), NameOf(id))
		}
	}
	maps.DeleteFunc(changed, func(id string, next *Record) bool { return next == old(id) })
	return changed, nil
}

// BeforePrefix returns where to begin a [Store.List] of the ids with that prefix: a text
// that sorts before them and after all ids that come before those.
func BeforePrefix(prefix string) string {
	if prefix == "" {
		return SigningKeysID
	}
	last := len(prefix) - 1
	return prefix[:last] + string(prefix[last]-1) + "\x7f"
}
