package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// lookup finds a widget for the request of ctx by the id that the request names,
// and fills in w. An inline widget hides a stored one of the same id. So does a
// handler's own, which no other request may name. An error says that it is currently
// unknown whether there is such a widget.
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
	*w = storedWidget(record)
	return true, nil
}

// storedWidget returns the widget of a record.
func storedWidget(r *widgets.Record) widget {
	mode, _ := widgets.ParseMode(r.Mode) // checked when it was stored
	return widget{id: r.ID, mode: mode, dialect: r.Dialect, record: r}
}

// renew looks up the widget in w again, in the configuration that is active now. own
// says that it is its handler's only widget, which no request names. Caddy is asked
// which configuration is active, since one that failed to load never was.
func (a *App) renew(ctx context.Context, id []byte, own bool, w *widget) (bool, error) {
	active, err := a.active()
	if active == nil {
		return false, err
	}
	if active == a && w.inline != nil {
		return true, nil
	}
	current := active.own[string(id)]
	if !own || current == nil {
		return active.lookup(ctx, id, w)
	}
	inline := current.inline
	if current.id == defaultWidget {
		// The handler that has no widget name now may be another customer's.
		inline = inline.sharedWith(w.inline)
	}
	*w = *current
	w.inline = inline
	return true, nil
}

// sharedWith returns the secrets or keys that the other widget has, too.
func (k *inlineKeys) sharedWith(other *inlineKeys) *inlineKeys {
	shared := &inlineKeys{kind: k.kind}
	for i, print := range k.prints {
		switch {
		case !other.has(print):
		case k.kind == widgets.Secrets:
			shared.secrets = append(shared.secrets, k.secrets[i])
		case k.kind == widgets.PublicKeys:
			shared.public = append(shared.public, k.public[i])
		default:
			shared.jwks = k.jwks
		}
	}
	return shared
}

func (k *inlineKeys) has(print [sha256.Size]byte) bool { return slices.Contains(k.prints, print) }

// active returns the app of the active configuration, or this one while its own is
// about to become active. It is nil if the active configuration has no app, or, with
// an error, if that is unknown: Caddy stops the apps of a configuration in no
// particular order, so this one may be stopped before the last request has ended.
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

// keys appends the keys that check the widget's claims, of secrets those that they write in an
// encoding, of a key set those for a token that names one by that id. After an error, some are
// missing.
func (a *App) keys(ctx context.Context, dst []*verifier.Key, w *widget, encoding string, id []byte) ([]*verifier.Key, error) {
	switch source, err := a.keySet(w); {
	case err != nil:
		return dst, err
	case source != "":
		set, err := a.sets.Open(source)
		if err != nil {
			return dst, err
		}
		set.Start()
		keys, err := set.Keys(ctx, id, a.stale)
		return append(dst, keys...), err
	case w.inline != nil:
		return w.inline.appendKeys(dst, encoding)
	}
	keys, err := a.opener.Append(dst, w.record, encoding, a.ring.Load())
	return keys, a.noteUnmet(err)
}

// keySet returns the source of the widget's key set, "" if it has none.
func (a *App) keySet(w *widget) (string, error) {
	if w.inline != nil {
		return w.inline.jwks, nil
	}
	url, err := a.opener.JWKS(w.record, a.ring.Load())
	return url, a.noteUnmet(err)
}

// noteUnmet remembers that an encryption key is missing, which the next census may tell only
// in minutes. It returns err.
func (a *App) noteUnmet(err error) error {
	if missing, ok := errors.AsType[*widgets.MissingKeyError](err); ok {
		a.unmet.Store(missing.KeyID, time.Now())
	}
	return err
}

// secrets returns what the keys were derived from, as far as it can be decrypted and still
// verifies.
func (a *App) secrets(w *widget) []verifier.Secret {
	var decrypted []verifier.Secret
	if w.inline != nil {
		for i := range w.inline.secrets {
			decrypted = append(decrypted, w.inline.secrets[i].Secret)
		}
		return decrypted
	}
	ring := a.ring.Load()
	now := time.Now()
	for i := range w.record.Secrets {
		if !w.record.Secrets[i].Live(now) {
			continue
		}
		if secret, err := ring.Open(w.record.ID, &w.record.Secrets[i]); err == nil {
			decrypted = append(decrypted, secret)
		}
	}
	return decrypted
}

// speaks reports whether any widget has that dialect.
func (a *App) speaks(dialect string) bool {
	return a.spoken[dialect] || a.store.Speaks(dialect)
}

// useStore notes that a handler looks widgets up. It returns the inline widget with
// that id, nil if there is none and requests have to ask the store.
func (a *App) useStore(id string) *widget {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usesStore = true
	return a.inline[id]
}

// stored reports whether the store currently has the widget.
func (a *App) stored(id string) bool {
	record, _ := a.store.Lookup(context.Background(), []byte(id))
	return record != nil
}
