package verifier

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"sync"
)

// Key is a secret made ready to check signatures: the HMAC state after its key
// block, without the secret's text. It is safe for concurrent use and does not
// allocate once warm. The package diagnose needs the [Secret], which a Key does not give
// back: to call it, keep both.
type Key struct {
	// ID is the caller's name for the key, such as the version of its secret, which
	// [Identity.KeyID] returns. It is set before the key is used.
	ID     string
	states sync.Pool // of *macState
}

// macState is one computation under way. Its buffers live here because what
// is passed through the hash.Hash interface escapes to the heap.
type macState struct {
	hash hash.Hash
	sum  [sha256.Size]byte
	got  [sha256.Size]byte
}

// NewKey keys an HMAC-SHA256 (RFC 2104) with the secret's text. The zero Secret, which
// [NewSecret] returns with an error, makes a key of random bytes: nobody has signed
// with it. To make it of the empty text would let everybody sign.
func NewKey(secret Secret) *Key {
	if secret.text == nil {
		var random [sha256.Size]byte
		_, _ = rand.Read(random[:]) // never fails: it ends the process first
		return newKey(random[:])
	}
	return newKey([]byte(*secret.text))
}

func newKey(secret []byte) *Key {
	proto := hmac.New(sha256.New, secret)
	// The first Reset replaces the key's two blocks by the SHA-256 states after
	// them; from then on a MAC of a short message costs two blocks, not four.
	proto.Reset()
	cloner := proto.(hash.Cloner)
	return &Key{states: sync.Pool{New: func() any {
		clone, err := cloner.Clone()
		if err != nil {
			// crypto/sha256 documents that its state can be cloned.
			panic("verifier: " + err.Error())
		}
		return &macState{hash: clone}
	}}}
}

// decoy stands in for the key of a widget that does not exist, so that asking
// for one costs as much as for one that does.
var decoy = NewKey(Secret{})

// usable reports whether there is a key: a map of tenants has nil for one that it does
// not know.
func (k *Key) usable() bool { return k != nil && k.states.New != nil }

// match reports in constant time whether signature encodes the MAC of the
// claim's message. A signature of another shape costs a MAC as well.
func (k *Key) match(m *message, c *claim, enc encoding, signature []byte) bool {
	s := k.states.Get().(*macState)
	defer k.states.Put(s)
	shape := enc.decode(&s.got, signature)
	s.hash.Reset()
	m.write(s.hash, c)
	s.hash.Sum(s.sum[:0])
	return subtle.ConstantTimeCompare(s.sum[:], s.got[:])&shape == 1
}

// mac returns the MAC of the claim's message.
func (k *Key) mac(m *message, c *claim) [sha256.Size]byte {
	s := k.states.Get().(*macState)
	defer k.states.Put(s)
	s.hash.Reset()
	m.write(s.hash, c)
	s.hash.Sum(s.sum[:0])
	return s.sum
}
