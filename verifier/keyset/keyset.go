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
// signatures, that no algorithm takes, or whose kid appears more than once are left out;
// unused names each, and says why. A secret key in a set is one that was published.
func Parse(text []byte) (keys []verifier.PublicKey, unused []string, err error) {
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
	read := make([]jwk, len(set.Keys))
	ids := map[string]int{}
	for i, raw := range set.Keys {
		k := &read[i]
		if k.err = json.Unmarshal(raw, k); k.err != nil {
			k.err = errors.New("it is not a JWK")
			continue
		}
		ids[k.ID]++
		k.key, k.err = k.public(raw)
	}
	for i, k := range read {
		if k.err == nil && k.ID != "" && ids[k.ID] > 1 {
			k.err = errors.New("its kid appears more than once")
		}
		switch {
		case k.err == nil:
			keys = append(keys, verifier.PublicKey{Key: k.key, ID: k.ID, InSet: true, Algorithm: k.Algorithm})
		case k.ID == "":
			unused = append(unused, fmt.Sprintf("number %d, without a kid: %v", i+1, k.err))
		default:
			unused = append(unused, fmt.Sprintf("'%.64s': %v", k.ID, k.err))
		}
	}
	return keys, unused, nil
}

// jwk is one key of a set.
type jwk struct {
	Kind       string          `json:"kty"`
	ID         string          `json:"kid"`
	Use        string          `json:"use"`
	Operations []string        `json:"key_ops"`
	Algorithm  string          `json:"alg"`
	N          string          `json:"n"` // of an RSA key
	E          string          `json:"e"`
	D          json.RawMessage `json:"d"` // of a private key

	key crypto.PublicKey
	err error // why it is not used
}

// public returns the key, of which raw is the text.
func (k *jwk) public(raw []byte) (crypto.PublicKey, error) {
	switch {
	case k.Use != "" && k.Use != "sig":
		return nil, fmt.Errorf("its use is '%.16s'", k.Use)
	case k.Operations != nil && !slices.Contains(k.Operations, "verify"):
		return nil, errors.New("its key_ops do not have 'verify'")
	}
	var key jose.JSONWebKey
	err := key.UnmarshalJSON(raw)
	if errors.Is(err, jose.ErrUnsupportedKeyType) && k.Kind == "RSA" && k.D == nil {
		key.Key, err = k.largeRSA() // above 4,096 bits, which go-jose does not read
	}
	switch {
	case err != nil:
		return nil, errors.New("it is damaged, or of a kind that is not supported")
	case !key.IsPublic():
		return nil, errors.New("it is no public key, and whoever can read the set can sign with it")
	case k.Algorithm != "":
		return key.Key, (&verifier.Token{Algorithms: []string{k.Algorithm}}).CheckKey(key.Key)
	}
	return key.Key, check(key.Key)
}

// largeRSA reads an RSA key by RFC 7518 section 6.3.1.
func (k *jwk) largeRSA() (*rsa.PublicKey, error) {
	n, err := base64.RawURLEncoding.DecodeString(k.N)
	if err != nil {
		return nil, err
	}
	e, err := base64.RawURLEncoding.DecodeString(k.E)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.BitLen() > 31 || exponent.Cmp(big.NewInt(2)) < 0 { // as crypto/rsa has it
		return nil, errors.New("the exponent is out of range")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// SayUnused says how many keys of a set are not used, and why; "" if all are.
func SayUnused(keys []verifier.PublicKey, unused []string) string {
	if len(unused) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d keys are not used: %s", len(unused), len(keys)+len(unused), strings.Join(unused, "; "))
}

// Keys returns the keys of a widget that has public keys without ids. Each is named by its
// thumbprint.
func Keys(public []crypto.PublicKey, verdicts verifier.Verdicts) (keys []*verifier.Key, err error) {
	for _, k := range public {
		key, err := verifier.NewPublicKey(verifier.PublicKey{Key: k, Verdicts: verdicts})
		if err != nil {
			return nil, err
		}
		key.ID = key.Thumbprint()
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

// Thumbprint is that of [verifier.Key.Thumbprint].
func Thumbprint(key crypto.PublicKey) (string, error) {
	k, err := verifier.NewPublicKey(verifier.PublicKey{Key: key})
	return k.Thumbprint(), err
}
