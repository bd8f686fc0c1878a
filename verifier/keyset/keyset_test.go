package keyset_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// jwk returns a key with changed members.
func jwk(t testing.TB, key any, change map[string]any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		members[name] = value
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParse(t *testing.T) {
	key := newKey(t)
	public := key.Public()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key  json.RawMessage
		read bool
	}{
		"plain":                 {jwk(t, public, nil), true},
		"for signatures":        {jwk(t, public, map[string]any{"use": "sig", "kid": "1", "alg": "ES256"}), true},
		"for encryption":        {jwk(t, public, map[string]any{"use": "enc"}), false},
		"to verify":             {jwk(t, public, map[string]any{"key_ops": []string{"verify"}}), true},
		"to sign":               {jwk(t, public, map[string]any{"key_ops": []string{"sign"}}), false},
		"for nothing":           {jwk(t, public, map[string]any{"key_ops": []string{}}), false},
		"RSA":                   {jwk(t, rsaKey.Public(), nil), true},
		"private":               {jwk(t, key, nil), false},
		"a secret":              {json.RawMessage(`{"kty":"oct","k":"AAAA"}`), false},
		"of an unknown kind":    {json.RawMessage(`{"kty":"AKP","pub":"AAAA"}`), false},
		"off the curve":         {jwk(t, public, map[string]any{"x": strings.Repeat("A", 43)}), false},
		"kid that is no string": {jwk(t, public, map[string]any{"kid": 7}), false},
		"no object":             {json.RawMessage(`7`), false},
	} {
		set := fmt.Sprintf(`{"keys":[%s],"more":1}`, test.key)
		keys, err := keyset.Parse([]byte(set))
		if err != nil || len(keys) == 1 != test.read {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	twice := fmt.Sprintf(`{"keys":[%s,%s,%s]}`, jwk(t, public, map[string]any{"kid": "a"}), jwk(t, newKey(t).Public(), map[string]any{"kid": "a", "use": "enc"}), jwk(t, newKey(t).Public(), map[string]any{"kid": "b"}))
	if keys, err := keyset.Parse([]byte(twice)); err != nil || len(keys) != 1 || keys[0].ID != "b" || !keys[0].InSet {
		t.Errorf("a kid that appears twice: %v, %v", keys, err)
	}
	if why := keyset.LeftOut([]byte(twice)); !strings.Contains(why, "the kid 'a' 2 times") {
		t.Errorf("a kid that appears twice: %q", why)
	}
	if why := keyset.LeftOut(fmt.Appendf(nil, `{"keys":[%s]}`, jwk(t, key, nil))); !strings.Contains(why, "1 private or secret keys") {
		t.Errorf("a private key: %q", why)
	}
	if why := keyset.LeftOut(fmt.Appendf(nil, `{"keys":[%s]}`, jwk(t, public, nil))); why != "" {
		t.Errorf("a set without mistakes: %q", why)
	}
	for want, set := range map[string]string{
		"is not a JWK Set":  `[]`,
		"this is not a JWK": `{"keys":null}`,
		"has 33 keys":       `{"keys":[` + strings.Repeat(`1,`, 32) + `1]}`,
		"larger than":       `{"keys":[` + strings.Repeat(` `, 150<<10) + `]}`,
	} {
		if _, err := keyset.Parse([]byte(set)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", set, err, want)
		}
	}
	if keys, err := keyset.Parse([]byte(`{"keys":[]}`)); err != nil || len(keys) != 0 {
		t.Errorf("an empty set: %v, %v", keys, err)
	}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParsePEM(t *testing.T) {
	key := newKey(t)
	pkix, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		block("PUBLIC KEY", pkix): "",
		"\n" + block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)) + "\n": "",
		block("PRIVATE KEY", private):                         "this is a private key",
		block("EC PRIVATE KEY", nil):                          "this is a private key",
		block("CERTIFICATE", pkix):                            "a PEM block of type 'CERTIFICATE'",
		block("PUBLIC KEY", pkix[:20]):                        "cannot be read",
		block("PUBLIC KEY", pkix) + block("PUBLIC KEY", pkix): "more than one PEM block",
		"0123456789abcdef0123456789abcdef":                    "not a public key in PEM",
		"":                                                    "not a public key in PEM",
		strings.ReplaceAll(block("PUBLIC KEY", pkix), "\n", `\n`):    `has \n written in place of line breaks`,
		strings.ReplaceAll(block("PUBLIC KEY", pkix), "\n", " "):     "this PEM is on one line",
		`"` + block("PUBLIC KEY", pkix) + `"`:                        "has quotes around it",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n":                         "this PEM is damaged",
		base64.StdEncoding.EncodeToString(pkix):                      "without its PEM",
		strings.ReplaceAll(block("PRIVATE KEY", private), "\n", " "): "this is a private key",
	} {
		public, err := keyset.ParsePEM([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
		if err == nil && public == nil {
			t.Errorf("%.30q: no key", text)
		}
	}
}

// TestThumbprint is the example of RFC 7638 section 3.1.
func TestThumbprint(t *testing.T) {
	const set = `{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}`
	keys, err := keyset.Parse([]byte(set))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if got, err := keyset.Thumbprint(keys[0].Key); err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := keyset.Thumbprint(crypto.PublicKey(7)); err == nil {
		t.Error("a number has a thumbprint")
	}
}

// TestLargeRSA: keys of more than 4,096 bits count, which go-jose does not read.
func TestLargeRSA(t *testing.T) {
	n := new(big.Int).SetBit(big.NewInt(1), 6143, 1) // no key of anybody's: its size is what matters
	text := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"a","e":"AQAB","n":"%s"}]}`, base64.RawURLEncoding.EncodeToString(n.Bytes()))
	keys, err := keyset.Parse([]byte(text))
	if err != nil || len(keys) != 1 || keyset.Describe(keys[0].Key) != "RSA 6144" {
		t.Fatalf("%v, %v", keys, err)
	}
	if _, err := verifier.NewPublicKey(keys[0]); err != nil {
		t.Error(err)
	}
	private := strings.Replace(text, `"e":`, `"d":"AQAB","e":`, 1)
	if keys, err := keyset.Parse([]byte(private)); err != nil || len(keys) != 0 {
		t.Errorf("a private key: %v, %v", keys, err)
	}
}
