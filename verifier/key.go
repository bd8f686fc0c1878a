package verifier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/jws"
)

// Key is what checks signatures and tokens: a secret as the HMAC state after its key
// block, without the secret's text, or a public key. It is safe for concurrent use, and
// for HMAC does not allocate once warm. The package diagnose needs the [Secret], which a
// Key does not give back: to call it, keep both.
type Key struct {
	// ID is the caller's name for the key, such as the version of its secret, which
	// [Identity.KeyID] returns and by which a token's kid may name it. It is set before
	// the key is used.
	ID string

	macs    [numHashes]sync.Pool // of *macState, by [macOf]; of a public key without New
	session *SessionKey          // of a secret

	set    bool // the key is one of a set: a token that names none of them is invalid
	public crypto.PublicKey
	only   string // the only algorithm that the public key is for, or ""

	thumbprint string // of the public key
	verdicts   Verdicts
}

// macState is one computation under way. Its buffers live here because what
// is passed through the hash.Hash interface escapes to the heap.
type macState struct {
	hash hash.Hash
	sum  [sha512.Size]byte
	got  [sha256.Size]byte
	text []byte // of a session
}

// NewKey keys an HMAC-SHA256 (RFC 2104) with the secret's text. The zero Secret, which
// [NewSecret] returns with an error, makes a key of random bytes: nobody has signed
// with it. To make it of the empty text would let everybody sign.
func NewKey(secret Secret) *Key { return newKey(secret.bytes()) }

// bytes returns the secret's text, or random bytes for the zero Secret.
func (s Secret) bytes() []byte {
	if s.text != nil {
		return []byte(*s.text)
	}
	random := make([]byte, sha256.Size)
	_, _ = rand.Read(random) // never fails: it ends the process first
	return random
}

// numHashes counts those of HS256, which are the signatures' too, HS384 and HS512: a key
// serves whichever a handler demands.
const numHashes = 3

// macOf returns the index of an HMAC's hash in [Key.macs].
func macOf(hash crypto.Hash) int { return int(hash - crypto.SHA256) }

func newKey(secret []byte) *Key {
	k := &Key{session: NewSessionKey(secret)}
	for i := range k.macs {
		k.macs[i].New = keyed(crypto.SHA256+crypto.Hash(i), secret)
	}
	return k
}

// keyed returns what makes a [macState] of an HMAC with the secret, for a [sync.Pool].
func keyed(h crypto.Hash, secret []byte) func() any {
	proto := hmac.New(h.New, secret)
	// The first Reset replaces the key's two blocks by the hash states after
	// them; from then on a MAC of a short message costs two blocks, not four.
	proto.Reset()
	cloner := proto.(hash.Cloner)
	return func() any {
		clone, err := cloner.Clone()
		if err != nil {
			// The hashes of the standard library document that their state can be cloned.
			panic("verifier: " + err.Error())
		}
		return &macState{hash: clone}
	}
}

// PublicKey describes a key that [NewPublicKey] makes.
type PublicKey struct {
	Key crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	// ID is the kid by which tokens name it, "" for none.
	ID string
	// InSet says that it is one of a key set, of which a token's kid must name one.
	InSet bool
	// Algorithm is the only one that it is for, "" for any.
	Algorithm string
	// Verdicts remembers tokens that it has verified. Default: none are remembered.
	Verdicts Verdicts
}

// Verdicts remembers which tokens a key has verified: to verify one takes tens of
// microseconds, and a page sends the same again and again. It is safe for concurrent use.
type Verdicts interface {
	// Verified reports whether the digest, of a key, an algorithm and a token's whole
	// text, was given to Remember and its time has not come.
	Verified(digest [sha256.Size]byte) bool
	// Remember keeps the digest until then, or shorter.
	Remember(digest [sha256.Size]byte, until time.Time)
}

// NewPublicKey returns a key for tokens that are signed with the private one. It refuses
// what no algorithm takes: see [Token.CheckKey].
func NewPublicKey(k PublicKey) (*Key, error) {
	key := &Key{ID: k.ID, public: k.Key, set: k.InSet, only: k.Algorithm, verdicts: k.Verdicts}
	// The members that RFC 7638 section 3.2 names, in its order.
	var members string
	text := base64.RawURLEncoding.EncodeToString
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		members = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, text(big.NewInt(int64(public.E)).Bytes()), text(public.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, and two coordinates of one length (SEC 1 section 2.3.3)
		if err != nil {
			return nil, errors.New("the ECDSA key is not a point of its curve")
		}
		half := len(point)/2 + 1
		members = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, public.Params().Name, text(point[1:half]), text(point[half:]))
	case ed25519.PublicKey:
		members = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, text(public))
	default:
		return nil, fmt.Errorf("a key of an unsupported kind (%T): RSA, ECDSA or Ed25519", k.Key)
	}
	sum := sha256.Sum256([]byte(members))
	key.thumbprint = text(sum[:])
	return key, nil
}

// Thumbprint returns the public key's thumbprint (RFC 7638) with SHA-256, in base64url; ""
// for a secret's key.
func (k *Key) Thumbprint() string {
	if k == nil {
		return ""
	}
	return k.thumbprint
}

// CheckKey returns an error for a public key that none of the algorithms takes.
func (t *Token) CheckKey(key crypto.PublicKey) error {
	r, err := t.compile()
	if err != nil {
		return err
	}
	for _, a := range r.algorithms {
		if err = a.CheckKey(key); err == nil {
			return nil
		}
	}
	return err
}

// decoy stands in for the key of a widget that does not exist, so that asking
// for one costs as much as for one that does.
var decoy = NewKey(Secret{})

// usable reports whether there is a key: a map of tenants has nil for one that it does
// not know.
func (k *Key) usable() bool { return k.signs() || k != nil && k.public != nil }

// signs reports whether the key is a secret's, which checks signatures.
func (k *Key) signs() bool { return k != nil && k.macs[0].New != nil }

// Public returns the description of a public key, false for a secret's.
func (k *Key) Public() (PublicKey, bool) {
	if k == nil || k.public == nil {
		return PublicKey{}, false
	}
	return PublicKey{Key: k.public, ID: k.ID, InSet: k.set, Algorithm: k.only, Verdicts: k.verdicts}, true
}

func (k *Key) inSet() bool { return k != nil && k.set }

// fits reports whether the key may verify tokens of the algorithm.
func (k *Key) fits(a jws.Algorithm) bool {
	switch {
	case !k.usable():
		return false
	case a.Symmetric():
		return k.signs()
	}
	return k.public != nil && (k.only == "" || k.only == a.Name) && a.CheckKey(k.public) == nil
}

// match reports in constant time whether signature encodes the MAC of the
// claim's message. A signature of another shape costs a MAC as well.
func (k *Key) match(m *message, c *claim, enc encoding, signature []byte) bool {
	s := k.macs[0].Get().(*macState)
	defer k.macs[0].Put(s)
	shape := enc.decode(&s.got, signature)
	s.hash.Reset()
	m.write(s.hash, c)
	return subtle.ConstantTimeCompare(s.hash.Sum(s.sum[:0]), s.got[:])&shape == 1
}

// mac returns the MAC of the claim's message.
func (k *Key) mac(m *message, c *claim) (sum [sha256.Size]byte) {
	s := k.macs[0].Get().(*macState)
	defer k.macs[0].Put(s)
	s.hash.Reset()
	m.write(s.hash, c)
	copy(sum[:], s.hash.Sum(s.sum[:0]))
	return sum
}

// verifies reports, for HMAC in constant time, whether the key signed the token. The
// algorithm must fit.
func (k *Key) verifies(a jws.Algorithm, t *tokenReading) bool {
	if !a.Symmetric() {
		return k.verifiesPublic(a, t)
	}
	macs := &k.macs[macOf(a.Hash())]
	s := macs.Get().(*macState)
	defer macs.Put(s)
	s.hash.Reset()
	_, _ = s.hash.Write(t.jws.Signed)
	return subtle.ConstantTimeCompare(s.hash.Sum(s.sum[:0]), t.jws.Signature) == 1
}

func (k *Key) verifiesPublic(a jws.Algorithm, t *tokenReading) bool {
	if k.verdicts == nil {
		return a.Verify(k.public, t.jws.Signed, t.jws.Signature)
	}
	// Two keys, two algorithms or two spellings are never one digest: the first two have
	// no newline, and the text is all that follows.
	h := sha256.New()
	_, _ = io.WriteString(h, k.thumbprint+a.Name+"\n")
	_, _ = h.Write(t.jws.Text)
	var digest [sha256.Size]byte
	h.Sum(digest[:0])
	if k.verdicts.Verified(digest) {
		return true
	}
	if !a.Verify(k.public, t.jws.Signed, t.jws.Signature) {
		return false
	}
	until := time.Now().Add(defaultLifetime)
	if t.has[expMember] {
		until = time.Unix(t.exp, 0)
	}
	k.verdicts.Remember(digest, until)
	return true
}
