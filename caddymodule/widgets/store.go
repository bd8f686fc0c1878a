package widgets

import (
	"context"
	"errors"
	"fmt"
)

// Reasons for which a store cannot do what it is asked.
var (
	// ErrUnavailable says that the store cannot be read or written at present.
	// It is wrapped with what an operator has to know.
	ErrUnavailable = errors.New("widgets: the store is unavailable")
	// ErrUnwritable is [ErrUnavailable] for changes alone: one was tried and
	// could not be written. The next may be, so it is worth a try.
	ErrUnwritable = fmt.Errorf("%w: nothing was changed", ErrUnavailable)
	// ErrBusy says that others were writing for too long: nothing was changed.
	ErrBusy = errors.New("widgets: the store is busy")
)

// Store keeps the records of widgets. It is safe for concurrent use. Package
// storetest has the tests that every implementation passes.
type Store interface {
	// Lookup returns the widget's record, or nil where there is none. It is
	// asked by every request, whose context it is given for what is observed of
	// it: it does not keep id, does not allocate for a widget that is known, and
	// grows nothing for one that is not. An error wraps [ErrUnavailable].
	Lookup(ctx context.Context, id []byte) (*Record, error)

	// Update changes the records of these widgets. For each, change is given
	// the record as it is at that moment, nil where there is none, and returns
	// what is to be in its place: nil deletes it, the same pointer leaves it.
	// No other writer comes between. change may be called again where another
	// writer was faster, so it has no effects of its own but the last call's.
	// Once Update has returned without error, the change is durable and every
	// Lookup of this process sees it. An error of change is returned as it is,
	// and then nothing was changed.
	Update(ctx context.Context, ids []string, change func(id string, old *Record) (*Record, error)) error

	// List returns up to limit records in the order of their ids, those after
	// the given id, or from the first for "".
	List(ctx context.Context, after string, limit int) ([]*Record, error)

	// KeyIDs returns how many secrets each encryption key seals, those in grace
	// included, as far as that is known without asking anybody.
	KeyIDs() map[string]int

	// Note returns what a gateway of this machine last noted under that name, ""
	// where none did. A name is made of A-Z a-z 0-9 and -. An error wraps
	// [ErrUnavailable].
	Note(ctx context.Context, name string) (string, error)

	// SetNote notes a line of text in place of what was noted before. It is
	// durable when SetNote has returned without error.
	SetNote(ctx context.Context, name, text string) error

	// Speaks reports whether any widget has that dialect of its own. Where nothing
	// is known of the widgets it reports true: what may be read is then cut.
	Speaks(dialect string) bool

	// Err returns nil, or why the store can at present not be written, or not
	// be read. It wraps [ErrUnavailable].
	Err() error

	// Close ends what the store does in the background. Lookups still answer
	// from what is known.
	Close() error
}
