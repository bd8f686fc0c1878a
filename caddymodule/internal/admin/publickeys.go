package admin

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/keysets"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// public returns what the call has a widget's tokens verified with in place of a secret,
// nil for nothing, and notes it for the audit log.
func (c *call) public(asked adminapi.Public) (*widgets.Public, error) {
	switch {
	case asked.PublicKeys == nil && asked.JWKS == nil:
		return nil, nil
	case asked.PublicKeys != nil && asked.JWKS != nil:
		return nil, adminError(http.StatusBadRequest, "public_keys and jwks are two ways of verifying: send one of the two")
	case asked.JWKS != nil:
		source := *asked.JWKS
		if !keysets.IsURL(source) {
			return nil, adminError(http.StatusBadRequest, "jwks must be an https URL, such as https://login.example.com/.well-known/jwks.json")
		}
		if err := keysets.CheckSource(source); err != nil {
			return nil, adminError(http.StatusBadRequest, "%w", err)
		}
		c.notes = []zap.Field{zap.String("jwks", source)}
		return &widgets.Public{JWKS: source}, nil
	}
	if n := len(asked.PublicKeys); n == 0 || n > widgets.MaxPublicKeys {
		return nil, adminError(http.StatusBadRequest, "public_keys takes 1 to %d keys in PEM, and there are %d", widgets.MaxPublicKeys, n)
	}
	var keys []crypto.PublicKey
	var thumbprints []string
	for i, text := range asked.PublicKeys {
		key, err := keyset.ParsePEM([]byte(text))
		if err != nil {
			return nil, adminError(http.StatusBadRequest, "public key %d of %d: %w", i+1, len(asked.PublicKeys), err)
		}
		shown := describe(key)
		if slices.Contains(thumbprints, shown.Thumbprint) {
			return nil, adminError(http.StatusBadRequest, "public key %d of %d appears more than once", i+1, len(asked.PublicKeys))
		}
		keys, thumbprints = append(keys, key), append(thumbprints, shown.Thumbprint)
	}
	c.notes = []zap.Field{zap.Strings("public_keys", thumbprints)}
	return &widgets.Public{Keys: keys}, nil
}

// describe returns a key as the API shows it.
func describe(key crypto.PublicKey) adminapi.PublicKey {
	thumbprint, _ := keyset.Thumbprint(key) // it was computed when the key was accepted
	return adminapi.PublicKey{Thumbprint: thumbprint, Kind: keyset.Describe(key)}
}

// showPublic adds to a view what verifies the widget's tokens.
func (g *Gateway) showPublic(v *adminapi.Widget, r *widgets.Record) {
	public, err := g.Ring().OpenPublic(r.ID, &r.Secrets[0])
	if err != nil {
		v.Unavailable = g.unavailability(v.ID, err)
		return
	}
	for _, key := range public.Keys {
		v.PublicKeys = append(v.PublicKeys, describe(key))
	}
	if v.JWKS = public.JWKS; v.JWKS != "" && g.KeySet != nil {
		v.Unavailable = g.KeySet(v.JWKS)
	}
}

// noSecret refuses to show or replace the secret of a widget that has none.
func noSecret(r *widgets.Record) error {
	switch r.Kind() {
	case widgets.PublicKeys:
		return adminError(http.StatusConflict, "widget %s has no secret, since its tokens are verified with public keys: "+
			"to replace them, send public_keys by PATCH ('caddy chat-identity set %s --public-key <file>')", r.ID, r.ID)
	case widgets.KeySet:
		return adminError(http.StatusConflict, "widget %s has no secret, since its tokens are verified with a key set, which is read again every 5 minutes: "+
			"rotate the keys there, or send another jwks by PATCH ('caddy chat-identity set %s --jwks <url>')", r.ID, r.ID)
	}
	return nil
}

// withPublic replaces the record's public keys or key set.
func (c *call) withPublic(r *widgets.Record, public *widgets.Public) (*widgets.Record, error) {
	next, err := r.WithPublic(*public, c.Ring(), time.Now())
	if errors.Is(err, widgets.ErrSecret) {
		return nil, adminError(http.StatusConflict, "widget %s has a secret, which would be lost: create another widget with public keys, or delete this one first", r.ID)
	}
	return next, err
}

// keySetNote says that a key set cannot be read, "" if it can.
func (c *call) keySetNote(url string) string {
	if c.TryKeySet == nil || url == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), keySetTimeout)
	defer cancel()
	if err := c.TryKeySet(ctx, url); err != nil {
		return fmt.Sprintf("The key set cannot be read yet (%v): until it can, the widget is unavailable.", err)
	}
	return ""
}

// keySetTimeout is how long a change waits for the key set that it names.
const keySetTimeout = 5 * time.Second
