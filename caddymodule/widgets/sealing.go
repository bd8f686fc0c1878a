package widgets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	encryptionKeySize = 32 // bytes: AES-256
	nonceSize         = 12
	// overhead is how much longer than its secret a box is, in bytes.
	overhead = nonceSize + 16
)

// Errors of encryption and decryption.
var (
	ErrEncryptionKey = errors.New("widgets: an encryption key is the base64 of 32 bytes, 44 characters")
	ErrNoKey         = errors.New("widgets: there is no encryption key")
	ErrSeal          = errors.New("widgets: the sealed secret was changed, or belongs to another widget")
)

// MissingKeyError says that a secret was encrypted under a key that the ring lacks.
type MissingKeyError struct{ KeyID string }

func (e *MissingKeyError) Error() string {
	return "widgets: encryption key " + e.KeyID + " is missing"
}

// EncryptionKey encrypts secrets. It prints as its id.
type EncryptionKey struct {
	id       string
	aead     cipher.AEAD
	sessions *verifier.SessionKey
}

// ParseEncryptionKey reads a key: 32 bytes in base64 (RFC 4648 section 4), padded.
func ParseEncryptionKey(text string) (EncryptionKey, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	// The decoder ignores newlines.
	if err != nil || len(key) != encryptionKeySize || len(text) != base64.StdEncoding.EncodedLen(encryptionKeySize) {
		return EncryptionKey{}, ErrEncryptionKey // the cause would quote the key
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return EncryptionKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return EncryptionKey{}, err
	}
	// The id, a MAC of a fixed text under the key, reveals nothing about the key.
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("chat_identity encryption key id"))
	return EncryptionKey{hex.EncodeToString(mac.Sum(nil)[:8]), aead, verifier.NewSessionKey(key)}, nil
}

// NewEncryptionKey returns the text of a new random key.
func NewEncryptionKey() string {
	var key [encryptionKeySize]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the process first
	return base64.StdEncoding.EncodeToString(key[:])
}

// ID names the key in 16 hexadecimal digits, which reveal nothing about it.
func (k EncryptionKey) ID() string { return k.id }

// String returns the key's id.
func (k EncryptionKey) String() string { return k.id }

// GoString returns the key's id.
func (k EncryptionKey) GoString() string { return k.id }

// Ring holds the encryption keys: the first encrypts, all decrypt. A nil ring has none.
type Ring struct {
	first    EncryptionKey
	keys     map[string]cipher.AEAD
	sessions []*verifier.SessionKey
}

// NewRing returns a ring of these keys.
func NewRing(keys ...EncryptionKey) *Ring {
	if len(keys) == 0 {
		return nil
	}
	r := &Ring{first: keys[0], keys: make(map[string]cipher.AEAD, len(keys))}
	for _, k := range keys {
		r.keys[k.id] = k.aead
		r.sessions = append(r.sessions, k.sessions)
	}
	return r
}

// Sessions returns the keys for sessions of widgets with public keys: the first signs, all
// verify.
func (r *Ring) Sessions() []*verifier.SessionKey {
	if r == nil {
		return nil
	}
	return r.sessions
}

// First returns the id of the key that encrypts, "" without one.
func (r *Ring) First() string {
	if r == nil {
		return ""
	}
	return r.first.id
}

// IDs returns the ids of all keys.
func (r *Ring) IDs() []string {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.keys))
}

// Has reports whether the ring has that key.
func (r *Ring) Has(keyID string) bool { return r != nil && r.keys[keyID] != nil }

// Seal encrypts a widget's secret.
func (r *Ring) Seal(id, version string, secret verifier.Secret) (Sealed, error) {
	return r.seal(id, Sealed{Version: version}, secret.Reveal())
}

// Open decrypts a secret of the widget. Its error is a [*MissingKeyError] or
// wraps [ErrSeal].
func (r *Ring) Open(id string, s *Sealed) (verifier.Secret, error) {
	if s.Kind != Secrets {
		// What everybody may know is not the key of an HMAC.
		return verifier.Secret{}, fmt.Errorf("%w: it is no secret", ErrSeal)
	}
	text, err := r.open(id, s)
	if err != nil {
		return verifier.Secret{}, err
	}
	secret, err := verifier.NewSecret(text)
	if err != nil {
		return verifier.Secret{}, fmt.Errorf("%w: %w", ErrSeal, err)
	}
	return secret, nil
}

// seal encrypts a text with AES-256-GCM (NIST SP 800-38D) under a random nonce, bound to
// the widget, the kind and the version.
func (r *Ring) seal(id string, s Sealed, text string) (Sealed, error) {
	if r == nil {
		return Sealed{}, ErrNoKey
	}
	box := make([]byte, nonceSize, overhead+len(text))
	_, _ = rand.Read(box) // never fails: it ends the process first
	s.Box = r.first.aead.Seal(box, box, []byte(text), binding(id, &s))
	s.KeyID = r.first.id
	return s, nil
}

func (r *Ring) open(id string, s *Sealed) (string, error) {
	if !r.Has(s.KeyID) {
		return "", &MissingKeyError{s.KeyID}
	}
	if len(s.Box) < overhead {
		return "", ErrSeal
	}
	text, err := r.keys[s.KeyID].Open(nil, s.Box[:nonceSize], s.Box[nonceSize:], binding(id, s))
	if err != nil {
		return "", ErrSeal
	}
	return string(text), nil
}

// binding is the additional data. Neither an id nor a version contains a NUL.
func binding(id string, s *Sealed) []byte {
	kind := "secret"
	if s.Kind != Secrets {
		kind = string(s.Kind)
	}
	return []byte("chat_identity " + kind + "\x00" + id + "\x00" + s.Version)
}
