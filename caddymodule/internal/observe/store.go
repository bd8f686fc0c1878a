package observe

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Store is a store whose operations are counted. Lookups are not: most are answered from
// memory. Others are counted by [Lookup].
type Store struct{ widgets.Store }

// Update implements [widgets.Store].
func (s Store) Update(ctx context.Context, ids []string, change widgets.Change) error {
	ctx, asking := store.begin(ctx, "update", time.Now())
	err := s.Store.Update(ctx, ids, change)
	asking.end(storeResult(err))
	return err
}

// List implements [widgets.Store].
func (s Store) List(ctx context.Context, after string, limit int) ([]*widgets.Record, error) {
	ctx, asking := store.begin(ctx, "list", time.Now())
	records, err := s.Store.List(ctx, after, limit)
	asking.end(storeResult(err))
	return records, err
}

// storeResult is an operation's result. Any answer of the store is a success, even that
// there is no such widget.
func storeResult(err error) string {
	if errors.Is(err, widgets.ErrUnavailable) || errors.Is(err, widgets.ErrBusy) {
		return resultError
	}
	return resultOK
}

// Lookup counts a lookup that a store could not answer from memory.
func Lookup(ctx context.Context, began time.Time, err error) {
	_, asking := store.begin(ctx, "lookup", began)
	asking.end(storeResult(err))
}

// Interface guards
var _ widgets.Store = Store{}
