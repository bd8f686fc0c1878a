package keyset_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
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

// rsaOf returns an RSA key with a modulus of so many bits, which nothing is signed with.
func rsaOf(bits int, e, more string) json.RawMessage {
	n := make([]byte, bits/8)
	n[0], n[len(n)-1] = 0x80, 1
	if more != "" {
		more = "," + more
	}
	return fmt.Appendf(nil, `{"kty":"RSA","n":"%s","e":"%s"%s}`, base64.RawURLEncoding.EncodeToString(n), e, more)
}

func TestParse(t *testing.T) {
	key := newKey(t)
	public := key.Public()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key  json.RawMessage
		want string // why it is not used
	}{
		"plain":                 {jwk(t, public, nil), ""},
		"for signatures":        {jwk(t, public, map[string]any{"use": "sig", "kid": "1", "alg": "ES256"}), ""},
		"for encryption":        {jwk(t, public, map[string]any{"use": "enc", "kid": "1"}), "'1': its use is 'enc'"},
		"to verify":             {jwk(t, public, map[string]any{"key_ops": []string{"verify"}}), ""},
		"to sign":               {jwk(t, public, map[string]any{"key_ops": []string{"sign"}}), "number 1, without a kid: its key_ops"},
		"for nothing":           {jwk(t, public, map[string]any{"key_ops": []string{}}), "its key_ops"},
		"RSA":                   {jwk(t, rsaKey.Public(), nil), ""},
		"a small RSA key":       {jwk(t, small.Public(), nil), "has 1024 bits"},
		"RSA of 4096 bits":      {rsaOf(4096, "AQAB", ""), ""},
		"RSA of 4104 bits":      {rsaOf(4104, "AQAB", ""), ""},
		"RSA of 8192 bits":      {rsaOf(8192, "AQAB", ""), ""},
		"RSA of 8200 bits":      {rsaOf(8200, "AQAB", ""), "has 8200 bits"},
		"large with a large e":  {rsaOf(6144, "gAAAAQ", ""), "it is damaged"},
		"large without e":       {rsaOf(6144, "", ""), "it is damaged"},
		"large, e not base64":   {rsaOf(6144, "AQAB=", ""), "it is damaged"},
		"large and private":     {rsaOf(6144, "AQAB", `"d":"AQAB"`), "it is damaged"},
		"for RSA encryption":    {rsaOf(6144, "AQAB", `"alg":"RSA-OAEP"`), "RSA-OAEP"},
		"of another curve":      {jwk(t, public, map[string]any{"alg": "ES384"}), "ES384 takes"},
		"private":               {jwk(t, key, nil), "it is no public key"},
		"a secret":              {json.RawMessage(`{"kty":"oct","k":"AAAA"}`), "it is no public key"},
		"of an unknown kind":    {json.RawMessage(`{"kty":"AKP","pub":"AAAA"}`), "a kind that is not supported"},
		"off the curve":         {jwk(t, public, map[string]any{"x": strings.Repeat("A", 43)}), "it is damaged"},
		"kid that is no string": {jwk(t, public, map[string]any{"kid": 7}), "it is not a JWK"},
		"no object":             {json.RawMessage(`7`), "it is not a JWK"},
	} {
		set := fmt.Sprintf(`{"keys":[%s],"more":1}`, test.key)
		keys, unused, err := keyset.Parse([]byte(set))
		if err != nil || len(keys)+len(unused) != 1 || len(keys) == 1 != (test.want == "") || len(unused) == 1 && !strings.Contains(unused[0], test.want) {
			t.Errorf("%s: %d keys, unused %q, want %q: %v", name, len(keys), unused, test.want, err)
		}
	}
	twice := fmt.Sprintf(`{"keys":[%s,%s,%s]}`, jwk(t, public, map[string]any{"kid": "a"}), jwk(t, newKey(t).Public(), map[string]any{"kid": "a", "use": "enc"}), jwk(t, newKey(t).Public(), map[string]any{"kid": "b"}))
	keys, unused, err := keyset.Parse([]byte(twice))
	if err != nil || len(keys) != 1 || keys[0].ID != "b" || !keys[0].InSet {
		t.Errorf("a kid that appears twice: %v, %v", keys, err)
	}
	if got := keyset.SayUnused(keys, unused); got != "2 of 3 keys are not used: 'a': its kid appears more than once; 'a': its use is 'enc'" {
		t.Error(got)
	}
	if got := keyset.SayUnused(keys, nil); got != "" {
		t.Error(got)
	}
	for want, set := range map[string]string{
		"is not a JWK Set":  `[]`,
		"this is not a JWK": `{"keys":null}`,
		"has 33 keys":       `{"keys":[` + strings.Repeat(`1,`, 32) + `1]}`,
		"larger than":       `{"keys":[` + strings.Repeat(` `, 150<<10) + `]}`,
	} {
		if _, _, err := keyset.Parse([]byte(set)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", set, err, want)
		}
	}
	if keys, _, err := keyset.Parse([]byte(`{"keys":[]}`)); err != nil || len(keys) != 0 {
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
	keys, _, err := keyset.Parse([]byte(set))
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if got, err := keyset.Thumbprint(keys[0].Key); err != nil || got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := keyset.Thumbprint(crypto.PublicKey(7)); err == nil {
		t.Error("a number has a thumbprint")
	}
	ed, _, _ := ed25519.GenerateKey(rand.Reader)
	others := []crypto.PublicKey{ed}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, private.Public())
	}
	for _, key := range others {
		want, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
		if got, _ := keyset.Thumbprint(key); err != nil || got != base64.RawURLEncoding.EncodeToString(want) {
			t.Errorf("%s: %s, %v", keyset.Describe(key), got, err)
		}
	}
}

// TestLargeRSA: keys of more than 4,096 bits count, which go-jose does not read.
func TestLargeRSA(t *testing.T) {
	n := new(big.Int).SetBit(big.NewInt(1), 6143, 1) // no key of anybody's: its size is what matters
	text := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"a","e":"AQAB","n":"%s"}]}`, base64.RawURLEncoding.EncodeToString(n.Bytes()))
	keys, _, err := keyset.Parse([]byte(text))
	if err != nil || len(keys) != 1 || keyset.Describe(keys[0].Key) != "RSA 6144" {
		t.Fatalf("%v, %v", keys, err)
	}
	if _, err := verifier.NewPublicKey(keys[0]); err != nil {
		t.Error(err)
	}
	private := strings.Replace(text, `"e":`, `"d":"AQAB","e":`, 1)
	if keys, _, err := keyset.Parse([]byte(private)); err != nil || len(keys) != 0 {
		t.Errorf("a private key: %v, %v", keys, err)
	}
}
