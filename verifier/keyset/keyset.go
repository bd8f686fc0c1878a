// Package keyset reads public keys for tokens: in PEM, and as a JWK Set (RFC 7517). It is
// apart from package verifier, which has none of its dependencies.
package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bounds of a key set. Application load balancers have the first (AWS, "Verify the
// token" of user claims), and nobody rotates through more keys than the second.
const (
	MaxBytes = 150 << 10
	MaxKeys  = 32
)

// Parse reads a JWK Set (RFC 7517 section 5). Keys that are not for verifying
// signatures, of a kind that is not supported, or whose kid appears more than once are
// left out. A secret key in a set is one that was published.
func Parse(text []byte) ([]verifier.PublicKey, error) {
	keys, _, err := parse(text)
	return keys, err
}

// LeftOut says which keys of a set [Parse] leaves out for a mistake, "" for none: those that
// share a kid, and private ones.
func LeftOut(text []byte) string {
	_, why, _ := parse(text)
	return strings.Join(why, "; ")
}

func parse(text []byte) (keys []verifier.PublicKey, leftOut []string, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(text) > MaxBytes {
		return nil, nil, fmt.Errorf("the key set is larger than %d bytes", MaxBytes)
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil, nil, errors.New("this is not a JWK Set: a JSON object with the list \"keys\"")
	}
	if len(set.Keys) > MaxKeys {
		return nil, nil, fmt.Errorf("the key set has %d keys, and at most %d are read", len(set.Keys), MaxKeys)
	}
	private := 0
	ids := map[string]int{}
	for _, raw := range set.Keys {
		var use struct {
			ID         string   `json:"kid"`
			Use        string   `json:"use"`
			Operations []string `json:"key_ops"`
			Algorithm  string   `json:"alg"`
		}
		if json.Unmarshal(raw, &use) != nil {
			continue
		}
		ids[use.ID]++
		if use.Use != "" && use.Use != "sig" || use.Operations != nil && !slices.Contains(use.Operations, "verify") {
			continue
		}
		var key jose.JSONWebKey
		switch err := key.UnmarshalJSON(raw); {
		case err != nil:
			key.Key = largeRSA(raw)
		case !key.IsPublic():
			private++
			continue
		}
		if key.Key != nil {
			keys = append(keys, verifier.PublicKey{Key: key.Key, ID: use.ID, InSet: true, Algorithm: use.Algorithm})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if id != "" && ids[id] > 1 {
			leftOut = append(leftOut, fmt.Sprintf("the kid '%s' %d times, so that none of its keys counts", id, ids[id]))
		}
	}
	if private > 0 {
		leftOut = append(leftOut, fmt.Sprintf("%d private or secret keys, which only the signing server may have: publish the public ones, and replace those that were shared", private))
	}
	return slices.DeleteFunc(keys, func(k verifier.PublicKey) bool { return k.ID != "" && ids[k.ID] > 1 }), leftOut, nil
}

// largeRSA reads a public RSA key (RFC 7518 section 6.3.1) of more than 4,096 bits, which
// go-jose refuses. It returns nil for any other.
func largeRSA(raw []byte) crypto.PublicKey {
	var jwk struct{ Kty, N, E, D string }
	if json.Unmarshal(raw, &jwk) != nil || jwk.Kty != "RSA" || jwk.D != "" {
		return nil
	}
	n, errN := base64.RawURLEncoding.DecodeString(jwk.N)
	e, errE := base64.RawURLEncoding.DecodeString(jwk.E)
	exponent := new(big.Int).SetBytes(e)
	if errN != nil || errE != nil || len(n) <= 4096/8 || exponent.BitLen() > 31 {
		return nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}
}

// Keys returns the keys of a widget that has public keys without ids. Each is named by its
// thumbprint.
func Keys(public []crypto.PublicKey, verdicts verifier.Verdicts) (keys []*verifier.Key, err error) {
	for _, k := range public {
		id, err := Thumbprint(k)
		if err != nil {
			return nil, err
		}
		key, err := verifier.NewPublicKey(verifier.PublicKey{Key: k, ID: id, Verdicts: verdicts})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Describe says of which kind a key is: "RSA 2048", "ECDSA P-256", "Ed25519".
func Describe(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", key)
}

// ParsePEM reads one public key: "PUBLIC KEY" (RFC 5280) or "RSA PUBLIC KEY" (RFC 8017), or
// the base64 of one, for what holds a single line.
func ParsePEM(text []byte) (crypto.PublicKey, error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err == nil {
		text = decoded
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, notPEM(string(text))
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errPrivate
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, errors.New("there is more than one PEM block: give each key separately")
	}
	var key crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block of type '%s' is not a public key: give one of type 'PUBLIC KEY' ('openssl x509 -pubkey' prints that of a certificate)", block.Type)
	}
	if err != nil {
		return nil, errors.New("the public key cannot be read: its PEM is damaged, or its kind is unknown")
	}
	return key, check(key)
}

// notPEM says why a text is not PEM, in the ways that PEM is commonly spoiled where a variable
// holds it.
func notPEM(text string) error {
	const oneLine = ": keep its line breaks, or give the base64 of the whole PEM file, which is one line ('base64 -w0 key.pem')"
	_, der := x509.ParsePKIXPublicKey([]byte(text)) // ParsePEM has decoded base64
	_, rsaDER := x509.ParsePKCS1PublicKey([]byte(text))
	switch trimmed := strings.TrimSpace(text); {
	case strings.Contains(text, "PRIVATE KEY-----"):
		return errPrivate
	case der == nil || rsaDER == nil:
		return errors.New("this is a public key without its PEM: give the PEM file, or the base64 of all of it with the line -----BEGIN PUBLIC KEY-----")
	case !strings.Contains(text, "-----BEGIN"):
		return errors.New("this is not a public key in PEM: a text that begins with -----BEGIN PUBLIC KEY-----")
	case strings.Contains(text, `\n`):
		return errors.New(`this PEM has \n written in place of line breaks` + oneLine)
	case strings.HasPrefix(trimmed, `"`) || strings.HasPrefix(trimmed, "'"):
		return errors.New("this PEM has quotes around it: give it without them")
	case !strings.Contains(trimmed, "\n"):
		return errors.New("this PEM is on one line" + oneLine)
	}
	return errors.New("this PEM is damaged" + oneLine)
}

var errPrivate = errors.New("this is a private key, which only the signing server may have: give its public key ('openssl pkey -pubout'), and replace the pair if this file was shared")

// check refuses a key that no algorithm takes.
func check(key crypto.PublicKey) (err error) {
	names := []string{"RS256"}
	if _, ok := key.(*rsa.PublicKey); !ok {
		names = []string{"ES384", "ES512", "EdDSA", "ES256"}
	}
	for _, name := range names {
		if err = (&verifier.Token{Algorithms: []string{name}}).CheckKey(key); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no algorithm takes this key: %w", err)
}

// Thumbprint is the key's id by RFC 7638, with SHA-256, in base64url.
func Thumbprint(key crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
