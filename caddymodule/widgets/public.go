package widgets

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// Kind is what a [Sealed] is.
type Kind string

// The kinds.
const (
	Secrets    Kind = ""
	PublicKeys Kind = "public_keys"
	KeySet     Kind = "jwks"
	// SigningKeys are the gateway's own, see [SigningKeysID].
	SigningKeys Kind = "signing_keys"
)

// MaxPublicKeys is the maximum number of public keys of a widget. Every forged token is
// checked with each of them, which takes as long as twenty MACs.
const MaxPublicKeys = 4

// Public is what a widget's tokens are verified with in place of a secret: public keys, or
// the key set at an https URL.
type Public struct {
	Keys []crypto.PublicKey
	JWKS string
}

// NewPublicRecord returns a widget without a secret.
func NewPublicRecord(id, mode, dialect string, public Public, ring *Ring, now time.Time) (*Record, error) {
	now = storedTime(now)
	return (&Record{ID: id, Mode: mode, Dialect: dialect, Created: now}).withPublic(public, ring, now)
}

// WithPublic returns the record with other public keys or another key set, which count from
// then on alone. A widget that has a secret keeps it.
func (r *Record) WithPublic(public Public, ring *Ring, now time.Time) (*Record, error) {
	if r.Kind() == Secrets {
		return nil, ErrSecret
	}
	return r.withPublic(public, ring, storedTime(now))
}

func (r *Record) withPublic(public Public, ring *Ring, now time.Time) (*Record, error) {
	kind, text := KeySet, public.JWKS
	if public.JWKS == "" {
		kind = PublicKeys
		var all strings.Builder
		for _, key := range public.Keys {
			der, err := x509.MarshalPKIXPublicKey(key)
			if err != nil {
				return nil, err
			}
			_ = pem.Encode(&all, &pem.Block{Type: publicKeyBlock, Bytes: der}) // a Builder takes everything
		}
		text = all.String()
	}
	return r.with(kind, text, ring, now)
}

// with returns the record with a text of that kind, encrypted, in place of what it had.
func (r *Record) with(kind Kind, text string, ring *Ring, now time.Time) (*Record, error) {
	sealed, err := ring.seal(r.ID, Sealed{Kind: kind, Version: NewVersion()}, text)
	if err != nil {
		return nil, err
	}
	next := *r
	next.Rotated, next.Secrets = now, []Sealed{sealed}
	return &next, next.Check()
}

const publicKeyBlock = "PUBLIC KEY"

// OpenPublic decrypts what verifies the widget's tokens. Its errors are those of [Ring.Open].
func (r *Ring) OpenPublic(id string, s *Sealed) (Public, error) {
	if s.Kind != PublicKeys && s.Kind != KeySet {
		return Public{}, fmt.Errorf("%w: it is a secret", ErrSeal)
	}
	text, err := r.open(id, s)
	if err != nil || s.Kind == KeySet {
		return Public{JWKS: text}, err
	}
	var public Public
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return Public{}, fmt.Errorf("%w: %w", ErrSeal, err)
		}
		public.Keys = append(public.Keys, key)
	}
	return public, nil
}
