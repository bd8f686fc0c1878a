package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // registers the hashes of the algorithms
	_ "crypto/sha512"
	"fmt"
	"math/big"
	"slices"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// Algorithm is how a token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
type Algorithm struct {
	Name string
	hash crypto.Hash
	kind kind
	// curve is ECDSA's: the algorithm has one, so that no key of another verifies.
	curve elliptic.Curve
}

type kind uint8

const (
	hmacKind kind = iota
	pkcs1Kind
	pssKind
	ecdsaKind
	ed25519Kind
)

var algorithms = []Algorithm{
	{"HS256", crypto.SHA256, hmacKind, nil}, {"HS384", crypto.SHA384, hmacKind, nil}, {"HS512", crypto.SHA512, hmacKind, nil},
	{"RS256", crypto.SHA256, pkcs1Kind, nil}, {"RS384", crypto.SHA384, pkcs1Kind, nil}, {"RS512", crypto.SHA512, pkcs1Kind, nil},
	{"PS256", crypto.SHA256, pssKind, nil}, {"PS384", crypto.SHA384, pssKind, nil}, {"PS512", crypto.SHA512, pssKind, nil},
	{"ES256", crypto.SHA256, ecdsaKind, elliptic.P256()}, {"ES384", crypto.SHA384, ecdsaKind, elliptic.P384()}, {"ES512", crypto.SHA512, ecdsaKind, elliptic.P521()},
	{"EdDSA", 0, ed25519Kind, nil},
}

// Lookup returns the algorithm of exactly that name. "none" is not one.
func Lookup(name string) (Algorithm, error) {
	i := slices.IndexFunc(algorithms, func(a Algorithm) bool { return a.Name == name })
	if i < 0 {
		var names []string
		for _, a := range algorithms {
			names = append(names, a.Name)
		}
		return Algorithm{}, choice.Unknown("algorithm", name, names)
	}
	return algorithms[i], nil
}

// Symmetric reports whether the key is a secret.
func (a Algorithm) Symmetric() bool { return a.kind == hmacKind }

// SameKey reports whether one key serves both algorithms.
func (a Algorithm) SameKey(b Algorithm) bool {
	rsaKind := func(k kind) bool { return k == pkcs1Kind || k == pssKind }
	return (a.kind == b.kind || rsaKind(a.kind) && rsaKind(b.kind)) && a.curve == b.curve
}

// Hash is that of the algorithm's HMAC.
func (a Algorithm) Hash() crypto.Hash { return a.hash }

// The sizes of RSA keys, in bits: below, one can be factored within reach; above, to
// verify costs milliseconds.
const (
	minRSA = 2048
	maxRSA = 8192
)

// CheckKey returns an error for a public key that is none of the algorithm's.
func (a Algorithm) CheckKey(key crypto.PublicKey) error {
	var what string
	switch key := key.(type) {
	case *rsa.PublicKey:
		if a.kind != pkcs1Kind && a.kind != pssKind {
			what = "an RSA key"
		} else if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return fmt.Errorf("the RSA key has %d bits, and must have %d to %d", bits, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if a.kind != ecdsaKind || key.Curve != a.curve {
			what = "an ECDSA key on the curve " + key.Curve.Params().Name
		}
	case ed25519.PublicKey:
		if a.kind != ed25519Kind {
			what = "an Ed25519 key"
		}
	default:
		what = fmt.Sprintf("a key of an unsupported kind (%T)", key)
	}
	if what != "" {
		return fmt.Errorf("%s takes %s, and this is %s", a.Name, a.wants(), what)
	}
	return nil
}

func (a Algorithm) wants() string {
	switch a.kind {
	case hmacKind:
		return "a secret"
	case ecdsaKind:
		return "an ECDSA key on the curve " + a.curve.Params().Name
	case ed25519Kind:
		return "an Ed25519 key"
	}
	return "an RSA key"
}

// Verify reports whether the key, which CheckKey has checked, signed the text.
func (a Algorithm) Verify(key crypto.PublicKey, signed, signature []byte) bool {
	var digest []byte
	if a.hash != 0 {
		h := a.hash.New()
		h.Write(signed)
		digest = h.Sum(nil)
	}
	switch a.kind {
	case pkcs1Kind:
		return rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), a.hash, digest, signature) == nil
	case pssKind:
		// RFC 7518 section 3.5: the salt is as long as the hash.
		return rsa.VerifyPSS(key.(*rsa.PublicKey), a.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case ecdsaKind:
		// RFC 7518 section 3.4: two numbers as long as the curve's order, one after the other.
		size := (a.curve.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(key.(*ecdsa.PublicKey), digest, r, s)
	case ed25519Kind:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(key.(ed25519.PublicKey), signed, signature)
	}
	return false
}
