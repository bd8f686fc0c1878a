package command

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

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
func (f *claimFormat) signToken(cmd *cobra.Command, c *checker, claim map[verifier.Field]string, o tokenOptions) (*verifier.Key, []sent, error) {
	fail := func(err error) (*verifier.Key, []sent, error) { return nil, nil, err }
	if claim[verifier.UserID] == "" {
		return fail(errNoUser)
	}
	text, from, err := given(cmd, secretVariable, "the secret, or the private key in PEM")
	if err != nil {
		return fail(err)
	}
	var private crypto.Signer
	if strings.Contains(text, "-----BEGIN") {
		if private, err = parsePrivateKey(text); err != nil {
			return fail(fmt.Errorf("%s: %w", from, err))
		}
		if err = f.token.suit(&c.dialect, private.Public()); err != nil {
			return fail(err)
		}
		suited, err := f.checker(f.dialect)
		if err != nil {
			return fail(err)
		}
		*c = *suited
	}
	if !c.dialect.TakesToken() {
		return fail(fmt.Errorf("the dialect %s takes no token: name another, such as %s", f.dialect, tokenDialect))
	}
	var key *verifier.Key
	var symmetric []byte
	if private != nil {
		key, err = verifier.NewPublicKey(verifier.PublicKey{Key: private.Public()})
	} else if strings.Contains(text, "\n") {
		err = fmt.Errorf("%s has several lines: pass only the secret, or a private key in PEM", from)
	} else {
		key, symmetric, err = c.secretKey(cmd, text)
	}
	if err != nil {
		return fail(err)
	}
	rules := c.verifier.Dialect().Token
	algorithm := rules.Algorithms[0]
	if private == nil && !strings.HasPrefix(algorithm, "HS") {
		return fail(fmt.Errorf("%s is signed with a private key: pass it in PEM ('keygen --token-key --algorithm %[1]s' makes one for tests), or name the algorithm of the gateway's token block with --algorithm", algorithm))
	}
	payload, err := c.payload(&rules, claim, o.expires)
	if err != nil {
		return fail(err)
	}
	signed, err := segments(algorithm, o.kid, payload)
	if err != nil {
		return fail(err)
	}
	signature, err := signWith(algorithm, private, symmetric, signed)
	if err != nil {
		return fail(err)
	}
	token := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	return key, []sent{{c.first(verifier.TokenField), token}}, nil
}

// secretKey returns what a secret writes, as a key and as its bytes.
func (c *checker) secretKey(cmd *cobra.Command, text string) (*verifier.Key, []byte, error) {
	secret, err := weakSecret(cmd, text)
	if err != nil {
		return nil, nil, err
	}
	key, err := c.decode(secret)
	if err != nil {
		return nil, nil, err
	}
	decoded, err := secret.Decoded(c.verifier.Dialect().KeyEncoding)
	return key, []byte(decoded.Reveal()), err
}

// payload returns the claims of a token that verifies: the user, what is required, and the
// times.
func (c *checker) payload(rules *verifier.Token, claim map[verifier.Field]string, expires time.Duration) (map[string]any, error) {
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
	for _, signed := range []struct {
		field   verifier.Field
		pointer string
	}{{verifier.UserID, rules.UserID[0]}, {verifier.Email, rules.Email}, {verifier.Name, rules.Name}} {
		text := claim[signed.field]
		if text == "" {
			continue
		}
		if signed.pointer == "" && rules.Attributes == "rest" {
			signed.pointer = "/" + signed.field.String()
		}
		if signed.pointer == "" {
			return nil, fmt.Errorf("--%s: a token of the dialect %s does not sign it", signed.field, c.dialect.Name)
		}
		set(payload, signed.pointer, text)
	}
	return payload, nil
}

// set sets what a JSON pointer points to.
func set(object map[string]any, pointer string, value any) {
	names := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, name := range names {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		if i == len(names)-1 {
			object[name] = value
			return
		}
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = make(map[string]any)
			object[name] = inner
		}
		object = inner
	}
}

// segments returns the text that is signed (RFC 7515 section 5.1).
func segments(algorithm, kid string, payload map[string]any) (string, error) {
	header := struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid,omitempty"`
	}{algorithm, "JWT", kid}
	var parts []string
	for _, part := range []any{header, payload} {
		text, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	return strings.Join(parts, "."), nil
}

// signWith signs a text by an algorithm of RFC 7518 or RFC 8037.
func signWith(algorithm string, private crypto.Signer, symmetric []byte, text string) ([]byte, error) {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[algorithm[2:]]
	if private == nil {
		mac := hmac.New(hash.New, symmetric)
		mac.Write([]byte(text))
		return mac.Sum(nil), nil
	}
	if key, ok := private.(ed25519.PrivateKey); ok {
		return ed25519.Sign(key, []byte(text)), nil
	}
	h := hash.New()
	h.Write([]byte(text))
	digest := h.Sum(nil)
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			return nil, err
		}
		size := (key.Curve.Params().BitSize + 7) / 8
		signature := make([]byte, 2*size)
		r.FillBytes(signature[:size])
		s.FillBytes(signature[size:])
		return signature, nil
	default:
		var options crypto.SignerOpts = hash
		if strings.HasPrefix(algorithm, "PS") {
			options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		return key.Sign(rand.Reader, digest, options)
	}
}

// parsePrivateKey reads the first private key in PEM: "PRIVATE KEY" (RFC 5958), "RSA PRIVATE
// KEY" (RFC 8017) or "EC PRIVATE KEY" (RFC 5915). Errors do not quote it.
func parsePrivateKey(text string) (crypto.Signer, error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted: decrypt it with 'openssl pkey'")
		default: // the curve's parameters, or a public key besides
			continue
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return nil, errors.New("the private key cannot be read: its PEM is damaged, encrypted, or of a kind that signs no token")
		}
		return signer, nil
	}
	return nil, errors.New("this is not a private key in PEM, which begins with -----BEGIN PRIVATE KEY-----")
}
