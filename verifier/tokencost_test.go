package verifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// costOf returns what verifies a token as it comes in a header, and the token: some 250
// bytes, with an e-mail address and a name.
func costOf(t testing.TB, algorithm string, private any, key *Key) (v *Verifier, token []byte) {
	t.Helper()
	d := Dialect{Places: []Place{{Field: TokenField, Location: atHeader, Name: "Authorization"}}, Token: Token{Algorithms: []string{algorithm}, Email: "/email"}}
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims{
		"sub": "user-4711", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "iss": "https://shop.example", "jti": strings.Repeat("a", 20),
	}).SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	return v, []byte(text)
}

func verifyToken(t testing.TB, v *Verifier, r *Reading, token []byte, key *Key) {
	r.Reset()
	r.Text(Place{Field: TokenField}, token)
	if i, err := v.Verify(r, key); err != nil || i.user != "user-4711" {
		t.Fatal(err)
	}
}

func TestTokenAllocates(t *testing.T) {
	key := NewKey(WeakSecret(allocSecret))
	v, token := costOf(t, "HS256", []byte(allocSecret), key)
	var r Reading
	allocates(t, "HS256", 3, func() { verifyToken(t, v, &r, token, key) }) // the user id, and what else is signed
	forged := []byte(strings.Replace(string(token), ".", ".e", 1))
	allocates(t, "not JSON", 5, func() { // the error
		r.Reset()
		r.Text(Place{Field: TokenField}, forged)
		if _, err := v.Verify(&r, key); err == nil {
			t.Fatal("verified")
		}
	})
}

func BenchmarkToken(b *testing.B) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	public, err := NewPublicKey(PublicKey{Key: private.Public()})
	if err != nil {
		b.Fatal(err)
	}
	for _, test := range []struct {
		algorithm string
		private   any
		key       *Key
	}{{"HS256", []byte(allocSecret), NewKey(WeakSecret(allocSecret))}, {"ES256", private, public}} {
		v, token := costOf(b, test.algorithm, test.private, test.key)
		b.Run(fmt.Sprintf("%s/%dB", test.algorithm, len(token)), func(b *testing.B) {
			b.ReportAllocs()
			var r Reading
			for b.Loop() {
				verifyToken(b, v, &r, token, test.key)
			}
		})
	}
}
