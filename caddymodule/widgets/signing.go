package widgets

import (
	"fmt"
	"time"
)

// SigningKeysID is the id of the record that holds the gateway's own signing keys, which a
// store keeps like a widget. No request can name it, and it sorts before the id of every
// widget: a [Store.List] that begins after it has widgets alone.
const SigningKeysID = "-signing-keys"

// NameOf names a record in messages: nobody knows the signing keys by their id.
func NameOf(id string) string {
	if id == SigningKeysID {
		return "the signing keys"
	}
	return "widget " + id
}

// WithSigningKeys returns the record of the signing keys with that text, encrypted, in place
// of what it had. A nil record is replaced by a new one.
func (r *Record) WithSigningKeys(text string, ring *Ring, now time.Time) (*Record, error) {
	now = storedTime(now)
	if r == nil {
		r = &Record{ID: SigningKeysID, Created: now}
	}
	return r.with(SigningKeys, text, ring, now)
}

// OpenSigningKeys decrypts the text of the signing keys. Its errors are those of [Ring.Open].
func (r *Ring) OpenSigningKeys(record *Record) (string, error) {
	s := &record.Secrets[0]
	if s.Kind != SigningKeys {
		return "", fmt.Errorf("%w: these are no signing keys", ErrSeal)
	}
	return r.open(record.ID, s)
}
