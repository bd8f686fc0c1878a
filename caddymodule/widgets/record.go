// Package widgets defines the records of chat widgets, encrypts their secrets, caches the
// keys derived from them, and has the interface of stores.
package widgets

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// MaxSecrets is the maximum number of secrets of a widget, those in grace included. Every
// forged request is checked against each of them.
const MaxSecrets = 512

// DefaultID is the id of a handler's only widget if the configuration gives it none. No
// request can name it, and no widget is stored under it.
const DefaultID = "default"

// Errors of changes to a widget, and of records.
var (
	ErrExists         = errors.New("widgets: there is a widget with that id")
	ErrNotFound       = errors.New("widgets: there is no widget with that id")
	ErrTooManySecrets = fmt.Errorf("widgets: %d secrets of the widget are in grace, which is the maximum: "+
		"a rotation without a grace ends them", MaxSecrets-1)
	ErrRecord   = errors.New("widgets: bad record")
	ErrNoSecret = errors.New("widgets: the widget has no secret, since its tokens are verified with public keys")
	ErrSecret   = errors.New("widgets: the widget has a secret")
)

// Record is a widget as it is stored. It is immutable once a store has it: a change creates
// a new one.
type Record struct {
	ID      string    `json:"id"`
	Mode    string    `json:"mode,omitzero"`    // off, optional, required; empty for the handler's
	Dialect string    `json:"dialect,omitzero"` // empty for the handler's
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated"` // when the current secret was created
	Secrets []Sealed  `json:"secrets"` // the current one, then those in grace, newest first; or one [Public]
}

// Sealed is an encrypted secret, or what verifies tokens in place of one.
type Sealed struct {
	// Kind is what it is. Public keys are sealed like secrets: nobody who can only write
	// to the store can add a key and sign with it.
	Kind Kind `json:"kind,omitzero"`
	// Version names the secret. It is random and never reused, so that nothing derived
	// from this secret can be taken for another's.
	Version string `json:"version"`
	// KeyID names the encryption key, see [EncryptionKey.ID].
	KeyID string `json:"key"`
	// Box is the nonce, the ciphertext and the tag.
	Box []byte `json:"sealed"`
	// Until is when a secret in grace ends; zero for the current one.
	Until time.Time `json:"until,omitzero"`
}

// NewVersion returns a name for a secret: 130 random bits in base32.
func NewVersion() string { return rand.Text() }

// NewSecret returns a new secret: 32 random bytes as 64 hexadecimal digits. The HMAC key is
// that text.
func NewSecret() verifier.Secret {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the process first
	secret, err := verifier.NewSecret(hex.EncodeToString(random[:]))
	if err != nil {
		panic(err) // it is long enough
	}
	return secret
}

// Live reports whether the secret verifies at that time.
func (s *Sealed) Live(now time.Time) bool { return s.Until.IsZero() || now.Before(s.Until) }

// NewRecord returns a widget with one secret.
func NewRecord(id, mode, dialect string, secret verifier.Secret, ring *Ring, now time.Time) (*Record, error) {
	now = storedTime(now)
	r := &Record{ID: id, Mode: mode, Dialect: dialect, Created: now, Rotated: now}
	sealed, err := ring.Seal(id, NewVersion(), secret)
	if err != nil {
		return nil, err
	}
	r.Secrets = []Sealed{sealed}
	return r, r.Check()
}

// WithPolicy returns the record with another mode and dialect. Like every change, it drops
// secrets whose grace is over.
func (r *Record) WithPolicy(mode, dialect string, now time.Time) (*Record, error) {
	next := *r
	next.Mode, next.Dialect = mode, dialect
	next.Secrets = slices.DeleteFunc(slices.Clone(r.Secrets), func(s Sealed) bool { return !s.Live(now) })
	return &next, next.Check()
}

// Kind is what the widget's claims are verified with.
func (r *Record) Kind() Kind { return r.Secrets[0].Kind }

// Rotate returns the record with a new current secret. With a grace, the previous one
// still verifies for that long, and those already in grace until their own end. Without a
// grace, all of them end now.
func (r *Record) Rotate(secret verifier.Secret, grace time.Duration, ring *Ring, now time.Time) (*Record, error) {
	if r.Kind() != Secrets {
		return nil, ErrNoSecret
	}
	now = storedTime(now)
	sealed, err := ring.Seal(r.ID, NewVersion(), secret)
	if err != nil {
		return nil, err
	}
	next := *r
	next.Rotated = now
	next.Secrets = []Sealed{sealed}
	if grace > 0 {
		for _, old := range r.Secrets {
			if old.Until.IsZero() {
				old.Until = now.Add(grace)
			}
			if old.Live(now) {
				next.Secrets = append(next.Secrets, old)
			}
		}
	}
	if len(next.Secrets) > MaxSecrets {
		return nil, ErrTooManySecrets
	}
	return &next, next.Check()
}

// EndGrace returns the record with its current secret alone, or the record itself if it
// has no other.
func (r *Record) EndGrace() (*Record, error) {
	if len(r.Secrets) == 1 {
		return r, nil
	}
	next := *r
	next.Secrets = r.Secrets[:1:1]
	return &next, next.Check()
}

// Reseal returns the record with all its live secrets encrypted under the ring's first key,
// or the record itself if they are already.
func (r *Record) Reseal(ring *Ring, now time.Time) (*Record, error) {
	next := *r
	next.Secrets = nil
	changed := false
	for i := range r.Secrets {
		sealed := r.Secrets[i]
		if !sealed.Live(now) {
			changed = true
			continue
		}
		if sealed.KeyID != ring.First() {
			text, err := ring.open(r.ID, &sealed)
			if err != nil {
				return nil, err
			}
			if sealed, err = ring.seal(r.ID, sealed, text); err != nil {
				return nil, err
			}
			changed = true
		}
		next.Secrets = append(next.Secrets, sealed)
	}
	if !changed {
		return r, nil
	}
	return &next, next.Check()
}

// Check returns an error that wraps [ErrRecord] if no gateway can have written the record.
func (r *Record) Check() error {
	switch {
	case !ValidID(r.ID) && r.ID != SigningKeysID:
		return fmt.Errorf("%w: the id is not 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", ErrRecord)
	case len(r.Secrets) == 0 || len(r.Secrets) > MaxSecrets:
		return fmt.Errorf("%w of %s: %d secrets", ErrRecord, NameOf(r.ID), len(r.Secrets))
	}
	if _, err := ParseMode(r.Mode); err != nil {
		return fmt.Errorf("%w of %s: %w", ErrRecord, NameOf(r.ID), err)
	}
	if _, err := verifier.LookupDialect(r.Dialect); r.Dialect != "" && err != nil {
		return fmt.Errorf("%w of %s: unknown dialect '%s'", ErrRecord, NameOf(r.ID), r.Dialect)
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if (s.Kind == SigningKeys) != (r.ID == SigningKeysID) || s.Kind == SigningKeys && len(r.Secrets) > 1 {
			return fmt.Errorf("%w of %s: only the signing keys are kept under %s, and nowhere else", ErrRecord, NameOf(r.ID), SigningKeysID)
		}
		if s.Kind != Secrets && s.Kind != SigningKeys && (s.Kind != PublicKeys && s.Kind != KeySet || len(r.Secrets) > 1) {
			return fmt.Errorf("%w of %s: it has either secrets, public keys or a key set", ErrRecord, NameOf(r.ID))
		}
		if s.Version == "" || s.KeyID == "" || len(s.Box) < overhead {
			return fmt.Errorf("%w of %s: secret %d is incomplete", ErrRecord, NameOf(r.ID), i+1)
		}
		if (i == 0) != s.Until.IsZero() {
			return fmt.Errorf("%w of %s: the first secret, and only that, must have no end", ErrRecord, NameOf(r.ID))
		}
		for _, other := range r.Secrets[:i] {
			if other.Version == s.Version {
				return fmt.Errorf("%w of %s: two secrets have the same version", ErrRecord, NameOf(r.ID))
			}
		}
	}
	return nil
}

// ValidID reports whether an id is 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter
// or digit.
func ValidID[T string | []byte](id T) bool {
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

// storedTime returns a time as records have it: in UTC, to the millisecond.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
