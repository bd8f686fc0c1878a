// Package assertion is what a gateway signs for its backends: its own keys, and the
// assertions made with them.
package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Notice is how long a new key is published before it signs, so that every gateway and
// every cache of the key set knows it by then.
const Notice = 10 * time.Minute

// Keys are the gateway's keys as they were last read: one that signs, and all that verify.
// They are immutable, and nil is none.
type Keys struct{ list []Key } // newest first

// Key is one of them.
type Key struct {
	ID             string // the RFC 7638 thumbprint
	Private        *ecdsa.PrivateKey
	Created, Signs time.Time
	Ends           time.Time // published until then; zero while it is current or next
}

// State is what a key is currently used for, as the admin API shows it.
type State struct {
	ID      string    `json:"kid"`
	State   string    `json:"state"` // next, current or previous
	Created time.Time `json:"created"`
}

// First returns the keys of a gateway that has none: one, which signs at once.
func First(now time.Time) (*Keys, error) {
	// It has no Signs: another gateway's clock may be behind.
	key, err := newKey(now, time.Time{})
	if err != nil {
		return nil, err
	}
	return &Keys{[]Key{key}}, nil
}

// Rotate returns the keys with a next one, which signs after [Notice]; the one before it is
// published until assertions of that lifetime, made until then, have expired everywhere.
// Keys that have a next one are returned as they are.
func (k *Keys) Rotate(now time.Time, lifetime time.Duration) (*Keys, error) {
	if k.Signer(now) == nil {
		first, err := First(now)
		if err != nil {
			return nil, err
		}
		k = first
	}
	var next Key
	rest := k.list
	switch latest := k.list[0]; {
	case !latest.Signs.After(now):
		key, err := newKey(now, now.Add(Notice))
		if err != nil {
			return nil, err
		}
		next = key
	case !latest.Signs.After(now.Add(2 * Notice)):
		return k, nil
	default: // its creator's clock was ahead, and no other rotation should have to wait for that time
		next, rest = latest, rest[1:]
		next.Created, next.Signs = storedTime(now), storedTime(now.Add(Notice))
	}
	list := append([]Key{next}, rest...)
	if len(list) > 1 {
		list[1].Ends = next.Signs.Add(lifetime + Notice)
	}
	return &Keys{slices.DeleteFunc(list, func(key Key) bool { return key.ended(now) })}, nil
}

// Outlasting returns the keys, each published until assertions of that lifetime have expired,
// too: it may have been shorter when they were rotated.
func (k *Keys) Outlasting(lifetime time.Duration) *Keys {
	list := slices.Clone(k.list)
	for i := range list[1:] {
		if ends := list[i].Signs.Add(lifetime + Notice); ends.After(list[i+1].Ends) {
			list[i+1].Ends = ends
		}
	}
	return &Keys{list}
}

// Signer returns the key that signs, nil for none.
func (k *Keys) Signer(now time.Time) *Key {
	if at := k.signer(now); at >= 0 {
		return &k.list[at]
	}
	return nil
}

// signer returns the newest key whose Signs has come. If the clock is before all of them,
// that is the oldest, since a wrong clock must not leave requests without an assertion.
func (k *Keys) signer(now time.Time) int {
	if k == nil {
		return -1
	}
	at := slices.IndexFunc(k.list, func(key Key) bool { return !key.Signs.After(now) })
	if at < 0 {
		at = len(k.list) - 1
	}
	return at
}

// States returns what the keys are used for, newest first, but for those that are no longer
// published.
func (k *Keys) States(now time.Time) []State {
	states := []State{}
	signer := k.signer(now)
	for i := range k.published(now) {
		state := "current"
		if i < signer {
			state = "next"
		} else if i > signer {
			state = "previous"
		}
		states = append(states, State{k.list[i].ID, state, k.list[i].Created})
	}
	return states
}

// Public returns the keys that verify: next, current and previous.
func (k *Keys) Public(now time.Time) jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range k.published(now) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Private.Public(), KeyID: key.ID, Algorithm: string(jose.ES256), Use: "sig"})
	}
	return set
}

// published returns the keys that have not ended. An older one ends no later.
func (k *Keys) published(now time.Time) []Key {
	if k == nil {
		return nil
	}
	n := slices.IndexFunc(k.list, func(key Key) bool { return key.ended(now) })
	if n < 0 {
		n = len(k.list)
	}
	return k.list[:n]
}

func (k *Key) ended(now time.Time) bool { return !k.Ends.IsZero() && !now.Before(k.Ends) }

func newKey(created, signs time.Time) (Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, err
	}
	key := Key{Private: private, Created: storedTime(created), Signs: storedTime(signs)}
	key.ID, err = thumbprint(private)
	return key, err
}

func thumbprint(private *ecdsa.PrivateKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// storedTime returns a time as it is stored: in UTC, to the millisecond.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
