// Package widgets keeps chat widgets and their secrets: what a record of one
// holds, how its secrets are sealed, where records are stored, and the cache of
// the keys that were made of opened secrets.
package widgets

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// MaxSecrets is how many secrets one widget may have at a time, those in grace
// included: each costs a signature check of every forged request.
const MaxSecrets = 512

// DefaultID is the id of a handler's only widget that has no other name. No
// request can name it, and none is stored under it.
const DefaultID = "default"

// What is wrong with a change to a widget, or with a record.
var (
	ErrExists         = errors.New("widgets: there is a widget of that id")
	ErrNotFound       = errors.New("widgets: there is no widget of that id")
	ErrTooManySecrets = fmt.Errorf("widgets: %d secrets of the widget are in grace, which is as many as may be: "+
		"a rotation without a grace ends them", MaxSecrets-1)
	ErrRecord = errors.New("widgets: bad record")
)

// Record is a widget as it is stored. Once a store has it, it does not change:
// a change makes another.
type Record struct {
	ID      string    `json:"id"`
	Mode    string    `json:"mode,omitzero"`    // off, optional, required; empty where the handler's counts
	Dialect string    `json:"dialect,omitzero"` // empty where the handler's counts
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated"` // when the current secret was made
	Secrets []Sealed  `json:"secrets"` // the current one first, then those in grace, youngest first
}

// Sealed is a secret under an encryption key.
type Sealed struct {
	// Version names the secret. It is random and never used again, so what was
	// made of this secret cannot be taken for another's.
	Version string `json:"version"`
	// KeyID names the encryption key, see [EncryptionKey.ID].
	KeyID string `json:"key"`
	// Box is the nonce, the ciphertext and the tag.
	Box []byte `json:"sealed"`
	// Until is when a secret in grace stops; zero for the current one.
	Until time.Time `json:"until,omitzero"`
}

// NewVersion returns a name for a secret: 130 random bits in base32.
func NewVersion() string { return rand.Text() }

// NewSecret returns a new secret: 32 random bytes as 64 hexadecimal digits. What
// signs is that text.
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

// WithPolicy returns the record with another mode and dialect. Secrets whose
// grace is over are left out, as they are of every change.
func (r *Record) WithPolicy(mode, dialect string, now time.Time) (*Record, error) {
	next := *r
	next.Mode, next.Dialect = mode, dialect
	next.Secrets = nil
	for i := range r.Secrets {
		if r.Secrets[i].Live(now) {
			next.Secrets = append(next.Secrets, r.Secrets[i])
		}
	}
	return &next, next.Check()
}

// Rotate returns the record with a new current secret. With a grace, the last
// current one lives on that long, and those already in grace until their own
// time; without, all of them stop.
func (r *Record) Rotate(secret verifier.Secret, grace time.Duration, ring *Ring, now time.Time) (*Record, error) {
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

// Reseal returns the record with all its live secrets under the ring's first
// key, or the record itself where they are already.
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
			secret, err := ring.Open(r.ID, &sealed)
			if err != nil {
				return nil, err
			}
			again, err := ring.Seal(r.ID, sealed.Version, secret)
			if err != nil {
				return nil, err
			}
			again.Until = sealed.Until
			sealed, changed = again, true
		}
		next.Secrets = append(next.Secrets, sealed)
	}
	if !changed {
		return r, nil
	}
	return &next, next.Check()
}

// Check refuses a record that no gateway can have written, with [ErrRecord].
func (r *Record) Check() error {
	switch {
	case !ValidID(r.ID):
		return fmt.Errorf("%w: the id is not 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", ErrRecord)
	case len(r.Secrets) == 0 || len(r.Secrets) > MaxSecrets:
		return fmt.Errorf("%w of widget %s: %d secrets", ErrRecord, r.ID, len(r.Secrets))
	}
	if _, err := ParseMode(r.Mode); err != nil {
		return fmt.Errorf("%w of widget %s: %w", ErrRecord, r.ID, err)
	}
	if _, err := verifier.LookupDialect(r.Dialect); r.Dialect != "" && err != nil {
		return fmt.Errorf("%w of widget %s: unknown dialect '%s'", ErrRecord, r.ID, r.Dialect)
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if s.Version == "" || s.KeyID == "" || len(s.Box) < overhead {
			return fmt.Errorf("%w of widget %s: secret %d is not whole", ErrRecord, r.ID, i+1)
		}
		if (i == 0) != s.Until.IsZero() {
			return fmt.Errorf("%w of widget %s: of its secrets the first, and only that, has no end", ErrRecord, r.ID)
		}
		for _, other := range r.Secrets[:i] {
			if other.Version == s.Version {
				return fmt.Errorf("%w of widget %s: two secrets of one version", ErrRecord, r.ID)
			}
		}
	}
	return nil
}

// ValidID holds for 1 to 128 of [A-Za-z0-9._-], beginning with a letter or digit.
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

// storedTime is a time as a record has it: in UTC, to the millisecond.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
