package backends_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// bad returns assertions that are not the gateway's, though they say what the good one says.
func (s *stand) bad(t *testing.T, good string) map[string]string {
	t.Helper()
	_, text := ask(t, s.url+"/keys", nil, nil)
	var set struct{ Keys []json.RawMessage }
	var key struct{ KID, X, Y string }
	if err := json.Unmarshal([]byte(text), &set); err != nil || len(set.Keys) != 1 || json.Unmarshal(set.Keys[0], &key) != nil {
		t.Fatalf("%s: %v", text, err)
	}
	spki := bytes.Join([][]byte{unhex(t, "3059301306072a8648ce3d020106082a8648ce3d03010703420004"), decode(t, key.X), decode(t, key.Y)}, nil)
	pem := "-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(spki[:48]) + "\n" + base64.StdEncoding.EncodeToString(spki[48:]) + "\n-----END PUBLIC KEY-----\n"
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := own.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	parts := strings.Split(good, ".")
	payload := decode(t, parts[1])
	encode := base64.RawURLEncoding.EncodeToString
	sign := func(header map[string]any, payload []byte, sign func(text string) []byte) string {
		return testbed.Token(string(marshal(t, header)), string(payload), sign)
	}
	none := func(string) []byte { return nil }
	zeros := func(string) []byte { return make([]byte, 64) }
	foreign := func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, own, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	es256, hs256 := map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.KID}, map[string]any{"alg": "HS256", "typ": "JWT", "kid": key.KID}
	bad := map[string]string{
		"a foreign key":                        sign(map[string]any{"alg": "ES256", "typ": "JWT", "kid": "foreign"}, payload, foreign),
		"a foreign key under the gateway's id": sign(es256, payload, foreign),
		"a foreign key without an id":          sign(map[string]any{"alg": "ES256", "typ": "JWT"}, payload, foreign),
		"a foreign key that the header has": sign(map[string]any{"alg": "ES256", "typ": "JWT", "jwk": map[string]string{
			"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]),
		}}, payload, foreign),
		"no algorithm":                    sign(map[string]any{"alg": "none", "typ": "JWT", "kid": key.KID}, payload, none),
		"an algorithm called None":        sign(map[string]any{"alg": "None", "typ": "JWT", "kid": key.KID}, payload, none),
		"no signature":                    sign(es256, payload, none),
		"a signature of zeros":            sign(es256, payload, zeros),
		"HS256 with the public key":       sign(hs256, payload, testbed.MAC(pem)),
		"HS256 with the public key's JWK": sign(hs256, payload, testbed.MAC(string(set.Keys[0]))),
		"HS256 with the public key's DER": sign(hs256, payload, testbed.MAC(string(spki))),
		"HS256 with the empty key":        sign(hs256, payload, testbed.MAC("")),
		"the signature of other claims":   parts[0] + "." + encode(bytes.Replace(payload, []byte(`"shop"`), []byte(`"bank"`), 1)) + "." + parts[2],
		"a header of other bytes":         encode(marshal(t, map[string]any{"alg": "ES256", "kid": key.KID})) + "." + parts[1] + "." + parts[2],
		"two parts":                       parts[0] + "." + parts[1],
		"four parts":                      good + "." + parts[2],
		"a header that is no object":      encode([]byte(`"ES256"`)) + "." + parts[1] + "." + parts[2],
		"an id that is no text":           sign(map[string]any{"alg": "ES256", "kid": []int{1}}, payload, foreign),
		"text":                            "admin",
	}
	if changed := bad["the signature of other claims"]; changed == good {
		t.Fatal("the widget is not in the claims")
	}
	return bad
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
