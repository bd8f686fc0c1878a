package caddymodule

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// allAlgorithms are those that a handler may name.
var allAlgorithms = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// longSecret is long enough for go-jose's HS512.
const longSecret = "a-secret-of-64-bytes-and-more-which-another-library-wants-for-HS512"

// customer has a key for each algorithm. Those of one kind share it.
type customer struct {
	rsa     *rsa.PrivateKey
	ec      map[string]*ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

func newCustomer(t testing.TB) *customer {
	t.Helper()
	c := &customer{ec: make(map[string]*ecdsa.PrivateKey)}
	var err error
	c.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	_, c.ed25519, err = ed25519.GenerateKey(rand.Reader)
	must(t, err)
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		c.ec[name], err = ecdsa.GenerateKey(curve, rand.Reader)
		must(t, err)
	}
	return c
}

// signer returns the private key of an algorithm, nil where it is a secret.
func (c *customer) signer(algorithm string) crypto.Signer {
	switch algorithm[:2] {
	case "HS":
		return nil
	case "ES":
		return c.ec[algorithm]
	case "Ed":
		return c.ed25519
	}
	return c.rsa
}

// token returns ada's token of another library's.
func (c *customer) token(t testing.TB, algorithm string) string {
	t.Helper()
	key := any([]byte(longSecret))
	if signer := c.signer(algorithm); signer != nil {
		key = signer
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, nil)
	must(t, err)
	signed, err := signer.Sign(fmt.Appendf(nil, `{"sub":"ada","jti":"1","exp":%d}`, inAnHour()))
	must(t, err)
	text, err := signed.CompactSerialize()
	must(t, err)
	return text
}

// pem returns the public key of an algorithm.
func (c *customer) pem(t testing.TB, algorithm string) string {
	return (&pair{Signer: c.signer(algorithm)}).pem(t)
}

// site has a handler for each algorithm, at /HS256/ and so on.
func (c *customer) site(t testing.TB, options string) string {
	t.Helper()
	var site strings.Builder
	for _, algorithm := range allAlgorithms {
		key := "secret " + longSecret
		if c.signer(algorithm) != nil {
			key = "public_key " + base64.StdEncoding.EncodeToString([]byte(c.pem(t, algorithm)))
		}
		fmt.Fprintf(&site, "chat_identity /%[1]s/* optional {\nwidget %[1]s\n%[2]s\nclaim token header X-User-Token\nproof token\ntoken {\nalgorithm %[1]s\n}\n%[3]s\n}\n", algorithm, key, options)
	}
	return site.String() + "reverse_proxy UPSTREAM"
}

// found sends a token to an algorithm's handler.
func (g *gateway) found(t testing.TB, algorithm, token string) string {
	t.Helper()
	return verdict(t, g.do(t, "GET", "/"+algorithm+"/chat", "", "X-User-Token: "+token))
}

// TestTokenAlgorithms sends a token of each algorithm to each: it counts where it is the
// configured one, with the same key, too.
func TestTokenAlgorithms(t *testing.T) {
	c := newCustomer(t)
	g := start(t, "", c.site(t, ""))
	for _, signed := range allAlgorithms {
		token := c.token(t, signed)
		_, rest, _ := strings.Cut(token, ".")
		for _, configured := range allAlgorithms {
			want := "invalid invalid"
			if signed == configured {
				want = "ada"
			}
			equal(t, g.found(t, configured, token), want, "%s where %s is configured", signed, configured)
			if signed != configured { // which the header says now
				renamed := segment(`{"alg":"`+configured+`"}`) + "." + rest
				equal(t, g.found(t, configured, renamed), "invalid invalid", "%s as %s", signed, configured)
			}
		}
	}
}

// TestTokenForgeries are signatures by which other verifiers were deceived.
func TestTokenForgeries(t *testing.T) {
	c, other := newCustomer(t), newCustomer(t)
	g := start(t, "", c.site(t, ""))
	payload := segment(fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
	with := func(algorithm string, sign func(head []byte) []byte) string {
		head := segment(`{"alg":"`+algorithm+`"}`) + "." + payload
		return head + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(head)))
	}
	constant := func(signature []byte) func([]byte) []byte { return func([]byte) []byte { return signature } }
	sum := func(head []byte) []byte { digest := sha256.Sum256(head); return digest[:] }
	by := func(key crypto.Signer, options crypto.SignerOpts) func([]byte) []byte {
		return func(head []byte) []byte {
			signature, err := key.Sign(rand.Reader, sum(head), options)
			must(t, err)
			return signature
		}
	}
	fixed := func(size int, numbers ...*big.Int) (signature []byte) {
		for _, n := range numbers {
			signature = append(signature, n.FillBytes(make([]byte, size))...)
		}
		return signature
	}
	zero, one, order := new(big.Int), big.NewInt(1), elliptic.P256().Params().N
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	rs := by(c.rsa, crypto.SHA256)

	for name, test := range map[string]struct {
		configured, token, want string
	}{
		"RS256":                       {"RS256", with("RS256", rs), "ada"},
		"RS256 with a zero before":    {"RS256", with("RS256", func(h []byte) []byte { return append([]byte{0}, rs(h)...) }), "invalid invalid"},
		"RS256 without its last":      {"RS256", with("RS256", func(h []byte) []byte { return rs(h)[:255] }), "invalid invalid"},
		"RS256, empty":                {"RS256", with("RS256", constant(nil)), "invalid invalid"},
		"RS256, zeros":                {"RS256", with("RS256", constant(make([]byte, 256))), "invalid invalid"},
		"RS256, one":                  {"RS256", with("RS256", constant(one.FillBytes(make([]byte, 256)))), "invalid invalid"},
		"RS256 by another key":        {"RS256", with("RS256", by(other.rsa, crypto.SHA256)), "invalid invalid"},
		"RS256, another hash inside":  {"RS256", with("RS256", func(h []byte) []byte { s, _ := rsa.SignPKCS1v15(nil, c.rsa, 0, sum(h)); return s }), "invalid invalid"},
		"PS256":                       {"PS256", with("PS256", by(c.rsa, pss)), "ada"},
		"PS256 with a salt of a byte": {"PS256", with("PS256", by(c.rsa, &rsa.PSSOptions{SaltLength: 1, Hash: crypto.SHA256})), "invalid invalid"},
		"PS256 with a longer salt":    {"PS256", with("PS256", by(c.rsa, &rsa.PSSOptions{SaltLength: 64, Hash: crypto.SHA256})), "invalid invalid"},
		"PS256 signed as RS256":       {"PS256", with("PS256", rs), "invalid invalid"},
		"ES256 in DER":                {"ES256", with("ES256", by(c.ec["ES256"], crypto.SHA256)), "invalid invalid"},
		"ES256, zeros":                {"ES256", with("ES256", constant(make([]byte, 64))), "invalid invalid"},
		"ES256, r and s the order":    {"ES256", with("ES256", constant(fixed(32, order, order))), "invalid invalid"},
		"ES256, r zero":               {"ES256", with("ES256", constant(fixed(32, zero, one))), "invalid invalid"},
		"ES256 by a key of P-384":     {"ES256", with("ES256", func(h []byte) []byte { return joined(t, c.ec["ES384"], 48, sum(h)) }), "invalid invalid"},
		"ES384 by a key of P-256":     {"ES384", with("ES384", func(h []byte) []byte { return joined(t, c.ec["ES256"], 48, sum(h)) }), "invalid invalid"},
		"ES256":                       {"ES256", with("ES256", func(h []byte) []byte { return joined(t, c.ec["ES256"], 32, sum(h)) }), "ada"},
		"ES256 of 66 bytes":           {"ES256", with("ES256", func(h []byte) []byte { return joined(t, c.ec["ES256"], 33, sum(h)) }), "invalid invalid"},
		"ES256, one number":           {"ES256", with("ES256", func(h []byte) []byte { return joined(t, c.ec["ES256"], 32, sum(h))[:32] }), "invalid invalid"},
		"EdDSA":                       {"EdDSA", with("EdDSA", func(h []byte) []byte { return ed25519.Sign(c.ed25519, h) }), "ada"},
		"EdDSA, zeros":                {"EdDSA", with("EdDSA", constant(make([]byte, 64))), "invalid invalid"},
		"EdDSA, S plus the order":     {"EdDSA", with("EdDSA", func(h []byte) []byte { return respelledEd25519(ed25519.Sign(c.ed25519, h)) }), "invalid invalid"},
		"EdDSA by another key":        {"EdDSA", with("EdDSA", func(h []byte) []byte { return ed25519.Sign(other.ed25519, h) }), "invalid invalid"},
		"EdDSA of the digest":         {"EdDSA", with("EdDSA", func(h []byte) []byte { return ed25519.Sign(c.ed25519, sum(h)) }), "invalid invalid"},
	} {
		equal(t, g.found(t, test.configured, test.token), test.want, "%s", name)
	}

	// Whatever is public of a key is no secret of an HMAC, whichever algorithm is named.
	for _, algorithm := range allAlgorithms[3:] {
		text := c.pem(t, algorithm)
		der := (&pair{Signer: c.signer(algorithm)}).der(t)
		jwk, err := json.Marshal(jose.JSONWebKey{Key: c.signer(algorithm).Public()})
		must(t, err)
		for name, secret := range map[string]string{
			"PEM": text, "PEM without a newline": strings.TrimSpace(text), "PEM with CR LF": strings.ReplaceAll(text, "\n", "\r\n"),
			"DER": string(der), "base64 of the PEM": base64.StdEncoding.EncodeToString([]byte(text)), "JWK": string(jwk), "nothing": "",
		} {
			mac := func(head []byte) []byte { return testbed.MAC(secret)(string(head)) }
			for _, named := range []string{"HS256", algorithm, "none"} {
				equal(t, g.found(t, algorithm, with(named, mac)), "invalid invalid", "%s of %s as a secret, named %s", name, algorithm, named)
			}
		}
	}
}

// joined returns r and s, of so many bytes each.
func joined(t testing.TB, key *ecdsa.PrivateKey, size int, digest []byte) []byte {
	t.Helper()
	r, s, err := ecdsa.Sign(rand.Reader, key, digest)
	must(t, err)
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature
}

// respelledEd25519 adds the group's order to S, which a lenient verifier takes.
func respelledEd25519(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(signature[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	return append(slices.Clone(signature[:32]), s...)
}

// TestTokenOnceHoweverSigned: a token is spent with every other signature over its claims, of which
// ECDSA has two for anyone to compute and the customer as many as it likes.
func TestTokenOnceHoweverSigned(t *testing.T) {
	c := newCustomer(t)
	g := ledgered(t, c.site(t, "one_time"))
	for _, algorithm := range []string{"ES256", "ES384", "PS256", "HS256"} {
		token := c.token(t, algorithm)
		again := c.token(t, algorithm)
		if algorithm[:2] == "ES" {
			at := strings.LastIndexByte(token, '.') + 1
			signature, err := base64.RawURLEncoding.DecodeString(token[at:])
			must(t, err)
			half := len(signature) / 2
			s := new(big.Int).Sub(c.ec[algorithm].Params().N, new(big.Int).SetBytes(signature[half:]))
			s.FillBytes(signature[half:])
			again = token[:at] + base64.RawURLEncoding.EncodeToString(signature)
			if again == token {
				t.Fatal("the second signature is the first")
			}
		}
		equal(t, g.found(t, algorithm, token), "ada", "%s", algorithm)
		equal(t, g.found(t, algorithm, again), "replayed replayed", "%s, signed differently", algorithm)
		equal(t, g.found(t, algorithm, token), "replayed replayed", "%s again", algorithm)
	}
	claims := fmt.Sprintf(`"sub":"ada","exp":%d`, inAnHour())
	for jti, want := range map[string]string{
		`,"jti":"2"`: "ada", `,"jti":2`: "400 malformed", `,"jti":""`: "400 malformed", `,"jti":null`: "400 malformed", ``: "400 malformed",
		`,"jti":"` + strings.Repeat("é", 255) + `"`: "ada", `,"jti":"` + strings.Repeat("a", 256) + `"`: "400 malformed",
	} {
		equal(t, g.found(t, "HS256", jwt(longSecret, "{"+claims+jti+"}")), want, "%s", jti)
	}
	// One that does not verify spends nothing.
	forged := jwt(otherSecret, "{"+claims+`,"jti":"3"}`)
	equal(t, g.found(t, "HS256", forged), "invalid invalid", "forged")
	equal(t, g.found(t, "HS256", jwt(longSecret, "{"+claims+`,"jti":"3"}`)), "ada", "whose jti was forged")
	equal(t, g.found(t, "HS256", jwt(longSecret, "{"+claims+`,"jti":"\u0033"}`)), "replayed replayed", "whose jti is escaped")
}
