package caddymodule

import (
	"context"
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
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
	w.mode, _ = widgets.ParseMode(record.Mode) // checked when it was stored
	return true, nil
}

// renew implements [widgetSource]. Which configuration is active is asked of
// Caddy: one that failed to load has never been.
func (a *App) renew(ctx context.Context, id []byte, own bool, w *widget) (bool, error) {
	active, err := a.active()
	if active == nil {
		return false, err
	}
	if active == a && w.inline != nil {
		return true, nil
	}
	current := active.declaration(string(id))
	if !own || current == nil {
		return active.lookup(ctx, id, w)
	}
	inline := current.inline
	if current.id == defaultWidget {
		// Whose widget has no name now may be another customer.
		inline = inline.sharedWith(w.inline)
	}
	*w = *current
	w.inline = inline
	return true, nil
}

// sharedWith returns those of the secrets that the other has, too.
func (k *inlineKeys) sharedWith(other *inlineKeys) *inlineKeys {
	shared := new(inlineKeys)
	for i, secret := range k.secrets {
		if slices.ContainsFunc(other.secrets, func(s verifier.Secret) bool { return s.Reveal() == secret.Reveal() }) {
			shared.keys, shared.secrets = append(shared.keys, k.keys[i]), append(shared.secrets, secret)
		}
	}
	return shared
}

// active returns the app of the configuration that is active, or this one while
// its own is about to be. It is nil where the active configuration has none, and
// with an error where that cannot be told. Caddy stops the apps of a configuration
// in no order, and the servers may still have requests to end when this one is.
func (a *App) active() (*App, error) {
	none := caddy.ActiveContext().Context == nil
	if none && !a.replaced.Load() {
		return a, nil // Caddy is starting or stopping
	}
	active, err := activeApp()
	switch {
	case err == nil && active.generation >= a.generation:
		if active == a && !a.served.Load() {
			a.served.Store(true)
		}
		return active, nil
	case !none && errors.Is(err, errNoApp) && (a.served.Load() || a.replaced.Load()):
		return nil, nil // a reload has removed it
	case !a.replaced.Load():
		return a, nil // about to become active
	}
	return nil, errors.Join(errReplaced, err)
}

var errReplaced = errors.New("this configuration was replaced, and no newer one is active")

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

// declaration returns the widget of that id that the configuration has.
func (a *App) declaration(id string) *widget {
	if w := a.inline[id]; w != nil {
		return w
	}
	if own := a.owners[id]; own != nil {
		return own.w
	}
	return nil
}

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
