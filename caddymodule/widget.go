package caddymodule

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// defaultWidget is the id of a handler's only widget that has no other name.
// No request can name it.
const defaultWidget = "default"

// widget is one chat widget, ready to check signatures. It is immutable.
type widget struct {
	id      string
	mode    Mode   // modeUnset where the handler's counts
	dialect string // "" where the handler's counts
	keys    []*verifier.Key
	// secrets are what the keys were made of, for the hint in the log about a
	// signature that does not match.
	secrets []verifier.Secret
	digest  [sha256.Size]byte // of the secrets, to tell two definitions apart
}

// widgetSource finds widgets by the id that a request names.
type widgetSource interface {
	// lookup returns nil where there is no such widget, and an error where that
	// cannot be told at present.
	lookup(id []byte) (*widget, error)
	// speaks reports whether any widget has that dialect.
	speaks(dialect string) bool
}

// newWidget makes a widget of its configuration. The first secret is current.
func newWidget(id string, written []string, mode Mode, dialect string) (w *widget, literals bool, err error) {
	if !validWidgetID(id) {
		return nil, false, badWidgetID(id)
	}
	if len(written) == 0 {
		return nil, false, fmt.Errorf("widget %s has no secret: add the line 'secret {env.NAME}' or 'secret {file.PATH}'", id)
	}
	if dialect != "" {
		if _, ok := verifier.LookupDialect(dialect); !ok {
			return nil, false, unknownDialect(dialect)
		}
	}
	w = &widget{id: id, mode: mode, dialect: dialect}
	sum := sha256.New()
	for i, text := range written {
		secret, literal, err := resolveSecret(text)
		if err != nil {
			return nil, false, fmt.Errorf("widget %s, secret %d: %w", id, i+1, hintShort(err))
		}
		literals = literals || literal
		w.secrets = append(w.secrets, secret)
		w.keys = append(w.keys, verifier.NewKey(secret))
		one := sha256.Sum256([]byte(secret.Reveal()))
		sum.Write(one[:])
	}
	sum.Sum(w.digest[:0])
	return w, literals, nil
}

func hintShort(err error) error {
	if errors.Is(err, verifier.ErrSecretShort) || errors.Is(err, verifier.ErrSecretEmpty) {
		return fmt.Errorf("%w: 'caddy chat-identity keygen' makes a good one", err)
	}
	return err
}

func unknownDialect(name string) error {
	return fmt.Errorf("unknown dialect '%s': one of %s", name, verifier.DialectList())
}

func badWidgetID(id string) error {
	return fmt.Errorf("widget id '%s': 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", id)
}

// validWidgetID holds for 1 to 128 of [A-Za-z0-9._-], beginning with a letter or digit.
func validWidgetID[T string | []byte](id T) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		alphanumeric := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}
