package caddymodule

import (
	"context"
	"errors"
	"fmt"

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
	record, err := a.store.Lookup(ctx, id)
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

// own registers a handler's own widget. The pair of widget and user is who
// someone is, so one id must not stand for two secrets; only the unnamed
// widgets of two sites may differ. It returns the widget as it was declared, if
// it was, since its mode and dialect hold everywhere.
func (a *App) own(w *widget, h *Handler) (*widget, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.brought[w.id] = brought{h.Mode, h.Dialect}
	if w.id == defaultWidget {
		a.bare = w
		return w, nil
	}
	for _, other := range []*widget{a.inline[w.id], a.owners[w.id]} {
		if other != nil && other.inline.digest != w.inline.digest {
			return nil, fmt.Errorf("widget %s has other secrets elsewhere in this configuration: "+
				"give one of the two another id, or declare it once in the global chat_identity block", w.id)
		}
	}
	a.owners[w.id] = w
	if declared := a.inline[w.id]; declared != nil {
		return declared, nil
	}
	return w, nil
}

// brought is how a handler treats the widget that it brings along.
type brought struct {
	mode    Mode
	dialect string
}

// shareDefault refuses a second unnamed widget whose conversations or visitors
// would be taken for the first one's.
func (a *App) shareDefault(w *widget) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unnamed != nil && a.unnamed.inline.digest != w.inline.digest {
		return errors.New("two handlers with different secrets keep conversations or visitors, and name no widget: " +
			"whose these are could not be told apart. Give each a name, as in 'widget shop'")
	}
	a.unnamed = w
	return nil
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
	record, _ := a.store.Lookup(context.Background(), []byte(id))
	return record != nil
}
