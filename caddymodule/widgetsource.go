package caddymodule

import (
	"context"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// lookup implements [widgetSource]. A declared widget hides a stored one of the
// same id; a handler's own is nobody else's, and hides it, too.
func (a *App) lookup(ctx context.Context, id []byte, w *widget) (bool, error) {
	if inline := a.inline[string(id)]; inline != nil {
		*w = *inline
		return true, nil
	}
	if a.owners[string(id)] != nil {
		return false, nil
	}
	record, err := a.store.LookupFor(ctx, id)
	if record == nil {
		return false, err
	}
	*w = widget{id: record.ID, dialect: record.Dialect, record: record}
	_ = w.mode.UnmarshalText([]byte(record.Mode)) // checked when it was stored
	return true, nil
}

// keys implements [widgetSource].
func (a *App) keys(dst []*verifier.Key, w *widget) ([]*verifier.Key, error) {
	if w.inline != nil {
		return append(dst, w.inline.keys...), nil
	}
	return a.opener.Append(dst, w.record, a.ring.Load())
}

// secrets implements [widgetSource].
func (a *App) secrets(w *widget) []verifier.Secret {
	if w.inline != nil {
		return w.inline.secrets
	}
	var opened []verifier.Secret
	ring := a.ring.Load()
	for i := range w.record.Secrets {
		if secret, err := ring.Open(w.record.ID, &w.record.Secrets[i]); err == nil {
			opened = append(opened, secret)
		}
	}
	return opened
}

// speaks implements [widgetSource].
func (a *App) speaks(dialect string) bool {
	for _, w := range a.inline {
		if w.dialect == dialect {
			return true
		}
	}
	return a.store.Speaks(dialect)
}

// declared reports whether the id is one of the configuration's.
func (a *App) declared(id string) bool { return a.declaration(id) != nil }

// ask notes that a handler looks widgets up, and returns the declared one of
// that id, nil where requests have to ask the store.
func (a *App) ask(id string) *widget {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = true
	return a.inline[id]
}

// stored reports whether the store has the widget at present.
func (a *App) stored(id string) bool {
	record, _ := a.store.Lookup([]byte(id))
	return record != nil
}
