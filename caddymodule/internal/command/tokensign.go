package command

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// tokenOptions are the flags of a token that is signed.
type tokenOptions struct {
	expires time.Duration
	kid     string
}

// signToken returns a claim whose proof is a token, and the key that verifies it. What
// reads it follows from a private key.
func (f *claimFormat) signToken(cmd *cobra.Command, c *checker, claim map[verifier.Field]string, o tokenOptions) (key *verifier.Key, fields []sent, err error) {
	if claim[verifier.UserID] == "" {
		return nil, nil, errNoUser
	}
	if !c.dialect.TakesToken() {
		return nil, nil, fmt.Errorf("the dialect %s takes no token: name another, such as %s", f.dialect, tokenDialect)
	}
	text, from, err := given(cmd, secretVariable, "the secret, or the private key in PEM")
	if err != nil {
		return nil, nil, err
	}
	var signs any // a private key, or the bytes of a secret
	switch {
	case strings.Contains(text, "-----BEGIN"):
		private, err := parsePrivateKey(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", from, err)
		}
		if err = f.token.suit(&c.dialect, private.Public()); err != nil {
			return nil, nil, err
		}
		suited, err := f.checker(f.dialect)
		if err != nil {
			return nil, nil, err
		}
		*c, signs = *suited, private
		key, err = verifier.NewPublicKey(verifier.PublicKey{Key: private.Public()})
		if err != nil {
			return nil, nil, err
		}
	case strings.Contains(text, "\n"):
		return nil, nil, fmt.Errorf("%s has several lines: pass only the secret, or a private key in PEM", from)
	default:
		secret, err := weakSecret(cmd, text)
		if err == nil {
			secret, err = c.decode(secret)
		}
		if err != nil {
			return nil, nil, err
		}
		key, signs = verifier.NewKey(secret), []byte(secret.Reveal())
	}
	rules := c.verifier.Dialect().Token
	algorithm := rules.Algorithms[0]
	if _, secret := signs.([]byte); secret && !strings.HasPrefix(algorithm, "HS") {
		return nil, nil, fmt.Errorf("%s is signed with a private key: pass it in PEM ('keygen --token-key --algorithm %[1]s' makes one for tests), or name the algorithm of the gateway's token block with --algorithm", algorithm)
	}
	if raw, symmetric := signs.([]byte); symmetric {
		if bits, _ := strconv.Atoi(algorithm[2:]); len(raw) < bits/8 {
			return nil, nil, fmt.Errorf("the secret in %s has %d bytes, and %s takes at least %d (RFC 7518, section 3.2): sign with a longer one, as 'keygen' prints", from, len(raw), algorithm, bits/8)
		}
	}
	payload, err := c.payload(&rules, claim, o.expires)
	if err != nil {
		return nil, nil, err
	}
	options := new(jose.SignerOptions).WithType("JWT")
	if o.kid != "" {
		options.WithHeader("kid", o.kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: signs}, options)
	if err != nil {
		return nil, nil, err
	}
	signature, err := signer.Sign(payload)
	if err != nil {
		return nil, nil, err
	}
	token, err := signature.CompactSerialize()
	return key, []sent{{c.first(verifier.TokenField), token}}, err
}

// payload returns the claims of a token that verifies: the user, what is required, and the
// times.
func (c *checker) payload(rules *verifier.Token, claim map[verifier.Field]string, expires time.Duration) ([]byte, error) {
	payload := make(map[string]any)
	now := time.Now()
	set(payload, "/iat", now.Unix())
	if expires != 0 {
		set(payload, "/exp", now.Add(expires).Unix())
	}
	set(payload, "/jti", newNonce())
	for pointer, values := range rules.Require {
		set(payload, pointer, values[0])
	}
	pointers := map[verifier.Field]string{verifier.UserID: rules.UserID[0], verifier.Email: rules.Email, verifier.Name: rules.Name}
	for _, field := range slices.Sorted(maps.Keys(pointers)) {
		pointer := pointers[field]
		if pointer == "" && rules.Attributes == "rest" {
			pointer = "/" + field.String()
		}
		if text := claim[field]; text != "" && pointer == "" {
			return nil, fmt.Errorf("--%s: a token of the dialect %s does not sign it", field, c.dialect.Name)
		} else if text != "" {
			set(payload, pointer, text)
		}
	}
	return json.Marshal(payload)
}

// set sets what a JSON pointer points to.
func set(object map[string]any, pointer string, value any) {
	at := jsontext.Pointer(pointer)
	for name := range at.Parent().Tokens() {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = make(map[string]any)
			object[name] = inner
		}
		object = inner
	}
	object[at.LastToken()] = value
}

// privateKeys parse private keys by the type of their PEM.
var privateKeys = map[string]func([]byte) (any, error){
	"PRIVATE KEY":     x509.ParsePKCS8PrivateKey,
	"RSA PRIVATE KEY": func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	"EC PRIVATE KEY":  func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
}

// parsePrivateKey reads the first private key in PEM: "PRIVATE KEY" (RFC 5958), "RSA PRIVATE
// KEY" (RFC 8017) or "EC PRIVATE KEY" (RFC 5915). Errors do not quote it.
func parsePrivateKey(text string) (crypto.Signer, error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		parse, ok := privateKeys[block.Type]
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			return nil, errors.New("the private key is encrypted: decrypt it with 'openssl pkey'")
		}
		if !ok {
			continue // the curve's parameters, or a public key besides
		}
		key, err := parse(block.Bytes)
		if signer, ok := key.(crypto.Signer); err == nil && ok {
			return signer, nil
		}
		return nil, errors.New("the private key cannot be read: its PEM is damaged, encrypted, or of a kind that signs no token")
	}
	return nil, errors.New("this is not a private key in PEM, which begins with -----BEGIN PRIVATE KEY-----")
}
