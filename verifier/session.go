package verifier

import (
	"bytes"
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"time"
)

// Sessions are those of one widget, under one set of rules. A session is what a gateway
// gives for a verified claim, so that a page need not send, or could not send again, the
// claim itself. It needs no memory: it is signed with a key that is derived from the one
// that has verified the claim, and ends with that.
type Sessions struct {
	// Widget is the widget's id.
	Widget string
	// Rules identify how claims are proved. A session under other rules is invalid, or it
	// would turn a weak proof into a strong one.
	Rules [sha256.Size]byte
	// Unversioned says that the IDs of the widget's secrets are not the same in all
	// processes. Sessions are then bound to the secret alone.
	Unversioned bool
	// Shared sign where the widget has public keys. The first signs, all verify.
	Shared []*SessionKey
}

// SessionKey signs sessions. It is safe for concurrent use.
type SessionKey struct{ macs sync.Pool } // of *macState

// The salt and the info of HKDF. What is derived must be no MAC that somebody else computes
// with the same secret. HMAC(secret, info | 1), with which Expand begins, is the signature of
// a user who is called that. Extract computes a single MAC, whose key is the salt, and
// nothing else uses that as a key.
const (
	sessionSalt = "chat-identity session v1"
	sessionInfo = "session mac"
)

// NewSessionKey derives a key from a secret, by HKDF-SHA256 (RFC 5869).
func NewSessionKey(secret []byte) *SessionKey {
	k := new(SessionKey)
	k.macs.New = keyed(crypto.SHA256, deriveSessionKey(secret))
	return k
}

func deriveSessionKey(secret []byte) []byte {
	random, err := hkdf.Extract(sha256.New, secret, []byte(sessionSalt))
	if err == nil {
		random, err = hkdf.Expand(sha256.New, random, sessionInfo, sha256.Size)
	}
	if err != nil { // in FIPS 140-only mode, of a secret that HMAC refuses as well
		panic("verifier: " + err.Error())
	}
	return random
}

// A session is the widget's id, the separator, and in base64url what is signed with its MAC
// behind it. What is signed begins with these, and ends with the user id.
const (
	separator    = '~' // which no id has
	kindAt       = 0   // a byte of flags
	expiresAt    = 1   // Unix milliseconds
	signedTimeAt = expiresAt + 8
	keyAt        = signedTimeAt + 8 // with sharedKind, the beginning of the public key's thumbprint
	keyLength    = 8

	sharedKind = 1 << 0 // a public key has verified the claim
	timedKind  = 1 << 1 // the claim says when it was signed
	packedKind = 1 << 2 // the user id is not in UTF-8, but packed
)

// maxSession bounds a session, in characters.
const maxSession = 2000

// Sign returns a session for an identity that expires then, "" for a public key's without
// Shared, and for a session, which is not traded for another one.
func (s *Sessions) Sign(i Identity, expires time.Time) string {
	if i.key == nil || i.session {
		return ""
	}
	var head [keyAt + keyLength]byte
	signed, key := head[:keyAt], i.key.session
	if i.key.public != nil {
		if len(s.Shared) == 0 {
			return ""
		}
		signed, key = head[:], s.Shared[0]
		signed[kindAt] |= sharedKind
		copy(signed[keyAt:], i.key.thumbprint)
	}
	binary.BigEndian.PutUint64(signed[expiresAt:], uint64(expires.UnixMilli()))
	if !i.signedAt.IsZero() {
		signed[kindAt] |= timedKind
		binary.BigEndian.PutUint64(signed[signedTimeAt:], uint64(i.signedAt.Unix()))
	}
	if len(i.user) <= maxPlainUser {
		signed = append(signed, i.user...)
	} else {
		signed[kindAt] |= packedKind
		signed = packRunes(signed, i.user)
	}
	mac := key.mac(s, i.key, signed)
	return s.Widget + string(separator) + base64.RawURLEncoding.EncodeToString(append(signed, mac[:]...))
}

// SessionWidget returns the id of the widget that the session of a reading names, or
// nothing. Nobody has verified it: it may choose the key that is to verify the session.
func (r *Reading) SessionWidget() []byte {
	widget, _, _ := bytes.Cut(r.Single(SessionField), []byte{separator})
	return widget
}

// Verify returns whose session a reading has. The error is [ErrInvalid] if it is not one of
// these, or the key that has verified its claim is not among the keys, and [ErrExpired] if
// it is over.
func (s *Sessions) Verify(r *Reading, keys []*Key, now time.Time) (Identity, error) {
	text := r.Single(SessionField)
	widget, encoded, _ := bytes.Cut(text, []byte{separator})
	if len(text) > maxSession || string(widget) != s.Widget || bytes.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return Identity{}, ErrInvalid
	}
	from := len(r.copied)
	decoded, err := base64.RawURLEncoding.Strict().AppendDecode(r.copied, encoded)
	r.copied = decoded
	signed := decoded[from:]
	if err != nil || len(signed) <= keyAt+sha256.Size {
		return Identity{}, ErrInvalid
	}
	signed, mac := signed[:len(signed)-sha256.Size], signed[len(signed)-sha256.Size:]
	key := s.signer(keys, signed, mac)
	if key == nil {
		return Identity{}, ErrInvalid
	}
	kind, user := signed[kindAt], signed[keyAt:]
	if kind&sharedKind != 0 {
		user = user[keyLength:]
	}
	i := Identity{key: key, session: true, expires: time.UnixMilli(int64(binary.BigEndian.Uint64(signed[expiresAt:])))}
	if kind&timedKind != 0 {
		i.signedAt = time.Unix(int64(binary.BigEndian.Uint64(signed[signedTimeAt:])), 0)
	}
	if kind&packedKind == 0 {
		i.user = string(user)
	} else {
		i.user = unpackRunes(user)
	}
	if !now.Before(i.expires) {
		return Identity{}, ErrExpired
	}
	return i, nil
}

// signer returns the key that has verified the claim for which this was signed.
func (s *Sessions) signer(keys []*Key, signed, mac []byte) *Key {
	shared := signed[kindAt]&sharedKind != 0
	if shared && len(signed) <= keyAt+keyLength {
		return nil
	}
	for _, k := range keys {
		switch {
		case !shared && k.signs():
			if sum := k.session.mac(s, k, signed); subtle.ConstantTimeCompare(sum[:], mac) == 1 {
				return k
			}
		case shared && strings.HasPrefix(k.Thumbprint(), string(signed[keyAt:keyAt+keyLength])):
			for _, of := range s.Shared {
				if sum := of.mac(s, k, signed); subtle.ConstantTimeCompare(sum[:], mac) == 1 {
					return k
				}
			}
		}
	}
	return nil
}

// mac returns the MAC of the rules, the key that has verified the claim, the widget and
// what is signed. Lengths keep them apart.
func (k *SessionKey) mac(s *Sessions, of *Key, signed []byte) (sum [sha256.Size]byte) {
	state := k.macs.Get().(*macState)
	defer k.macs.Put(state)
	version := of.ID
	switch {
	case of.public != nil:
		version = of.thumbprint
	case s.Unversioned:
		version = ""
	}
	text := append(state.text[:0], s.Rules[:]...)
	text = append(binary.BigEndian.AppendUint16(text, uint16(len(version))), version...)
	text = append(binary.BigEndian.AppendUint16(text, uint16(len(s.Widget))), s.Widget...)
	state.text = append(text, signed...)
	state.hash.Reset()
	_, _ = state.hash.Write(state.text)
	copy(sum[:], state.hash.Sum(state.sum[:0]))
	return sum
}

// BySession reports whether the proof is a session.
func (i Identity) BySession() bool { return i.session }

// maxPlainUser is how long a user id may be, in bytes, that is written in UTF-8. The longest
// that there may be has 512 characters, and with 4 bytes for each a session would be longer
// than maxSession.
const maxPlainUser = 1024

// runeBits is enough for any character.
const runeBits = 21

func packRunes(dst []byte, text string) []byte {
	var bits uint64
	n := 0
	for _, r := range text {
		bits, n = bits<<runeBits|uint64(r), n+runeBits
		for ; n >= 8; n -= 8 {
			dst = append(dst, byte(bits>>(n-8)))
		}
	}
	if n > 0 {
		dst = append(dst, byte(bits<<(8-n)))
	}
	return dst
}

// unpackRunes returns what was packed. Fewer bits are left over than a character has.
func unpackRunes(packed []byte) string {
	text := make([]rune, 0, len(packed)*8/runeBits)
	var bits uint64
	n := 0
	for _, b := range packed {
		bits, n = bits<<8|uint64(b), n+8
		if n >= runeBits {
			n -= runeBits
			text = append(text, rune(bits>>n&(1<<runeBits-1)))
		}
	}
	return string(text)
}
