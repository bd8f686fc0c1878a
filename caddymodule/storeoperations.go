package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// observedStore is a store whose operations are counted. What it knows by
// itself is none: a lookup that asks nobody costs what it did.
type observedStore struct{ widgets.Store }

// Update implements [widgets.Store].
func (s observedStore) Update(ctx context.Context, ids []string, change func(id string, old *widgets.Record) (*widgets.Record, error)) error {
	ctx, asking := storeOperations.begin(ctx, "update")
	err := s.Store.Update(ctx, ids, change)
	asking.end(storeResult(err))
	return err
}

// List implements [widgets.Store].
func (s observedStore) List(ctx context.Context, after string, limit int) ([]*widgets.Record, error) {
	ctx, asking := storeOperations.begin(ctx, "list")
	records, err := s.Store.List(ctx, after, limit)
	asking.end(storeResult(err))
	return records, err
}

// storeResult is an operation's result. What the store has answered is none of
// its errors, be it that there is no such widget.
func storeResult(err error) string {
	if errors.Is(err, widgets.ErrUnavailable) || errors.Is(err, widgets.ErrBusy) {
		return resultError
	}
	return resultOK
}

// lookupAsked counts a lookup for which a store had to ask elsewhere.
func lookupAsked(ctx context.Context, began time.Time, err error) {
	_, asking := storeOperations.beginAt(ctx, "lookup", began)
	asking.end(storeResult(err))
}

// Interface guards
var _ widgets.Store = observedStore{}
