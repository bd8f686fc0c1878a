package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// defaultWidget is the id of a handler's only widget that has no other name.
// No request can name it.
const defaultWidget = widgets.DefaultID

// widget is one chat widget, as a request finds it.
type widget struct {
	id      string
	mode    widgets.Mode // widgets.ModeUnset where the handler's counts
	dialect string       // "" where the handler's counts

	// A widget of the configuration has its keys, a stored one its record.
	inline *inlineKeys
	record *widgets.Record
}

// inlineKeys are the secrets of a widget that the configuration declares.
type inlineKeys struct {
	keys []*verifier.Key
	// secrets are what the keys were made of, for the hint in the log about a
	// signature that does not match.
	secrets []verifier.Secret
	// doubt is why a secret may not be what its variable was meant to hold.
	doubt error
	// digest is of the secrets in order, to tell two definitions apart: the first
	// is the one that the page signs with.
	digest [sha256.Size]byte
}

// widgetSource finds widgets by the id that a request names, and their secrets.
type widgetSource interface {
	// lookup fills in w and reports whether there is such a widget, for the
	// request of ctx. An error says that this cannot be told at present.
	lookup(ctx context.Context, id []byte, w *widget) (found bool, err error)
	// renew is lookup for a widget that was found before, and that w holds, in
	// the configuration that is active now. own says that it is its handler's
	// only one, which no request names.
	renew(ctx context.Context, id []byte, own bool, w *widget) (found bool, err error)
	// keys appends the keys that check the widget's signatures. With an error,
	// they are not all.
	keys(dst []*verifier.Key, w *widget) ([]*verifier.Key, error)
	// secrets returns what the keys were made of, as far as it can be opened.
	secrets(w *widget) []verifier.Secret
	// speaks reports whether any widget has that dialect.
	speaks(dialect string) bool
}

// newWidget makes a widget of its configuration. The first secret is current.
func newWidget(id string, written []string, mode widgets.Mode, dialect string) (w *widget, literals bool, err error) {
	if !widgets.ValidID(id) {
		return nil, false, badWidgetID(id)
	}
	if len(written) == 0 {
		return nil, false, fmt.Errorf("widget %s has no secret: add the line 'secret {env.NAME}' or 'secret {file.PATH}'", id)
	}
	if dialect != "" {
		if _, err := verifier.LookupDialect(dialect); err != nil {
			return nil, false, err
		}
	}
	inline := new(inlineKeys)
	sum := sha256.New()
	for i, text := range written {
		secret, literal, err := resolveSecret(text)
		if err != nil {
			return nil, false, fmt.Errorf("widget %s, secret %d: %w", id, i+1, hintShort(err))
		}
		literals = literals || literal
		if name, kind := placeholder(text); kind == "env" {
			if err := secrettext.Check(secret.Reveal()); err != nil {
				inline.doubt = fmt.Errorf("environment variable %s: %w", name, err)
			}
		}
		inline.secrets = append(inline.secrets, secret)
		inline.keys = append(inline.keys, verifier.NewKey(secret))
		one := sha256.Sum256([]byte(secret.Reveal()))
		sum.Write(one[:]) // in their order: the page signs with the first
	}
	sum.Sum(inline.digest[:0])
	return &widget{id: id, mode: mode, dialect: dialect, inline: inline}, literals, nil
}

func hintShort(err error) error {
	if errors.Is(err, verifier.ErrSecretShort) || errors.Is(err, verifier.ErrSecretEmpty) {
		return fmt.Errorf("%w: 'caddy chat-identity keygen' makes a good one", err)
	}
	return err
}

func badWidgetID(id string) error {
	return fmt.Errorf("widget id '%s': 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", id)
}
