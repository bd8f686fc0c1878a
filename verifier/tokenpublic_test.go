package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// signers are a private key for each algorithm that has one.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"RS256": rsaKey, "RS384": rsaKey, "RS512": rsaKey, "PS256": rsaKey, "PS384": rsaKey, "PS512": rsaKey,
		"ES256": p256, "ES384": p384, "ES512": p521, "EdDSA": ed,
	}
})

// signed returns a token as another library signs it.
func signed(t testing.TB, algorithm, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func publicKey(t testing.TB, k verifier.PublicKey) *verifier.Key {
	t.Helper()
	key, err := verifier.NewPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestTokenAlgorithms has each algorithm verified with the key of each: its own alone does.
func TestTokenAlgorithms(t *testing.T) {
	for algorithm, signer := range signers() {
		text := signed(t, algorithm, "", signer, jwt.MapClaims{"sub": "ada"})
		for configured, other := range signers() {
			v := tokenVerifier(t, verifier.Token{NoExpiry: true, Algorithms: []string{configured}})
			_, err := verifyJSON(v, bodyOf(t, text), publicKey(t, verifier.PublicKey{Key: other.Public()}))
			want := "invalid"
			if algorithm == configured {
				want = "verified"
			}
			if got := outcome(err); got != want {
				t.Errorf("%s under %s: %s (%v), want %s", algorithm, configured, got, err, want)
			}
		}
		hmacToo := tokenVerifier(t, verifier.Token{NoExpiry: true, Algorithms: []string{"HS256"}})
		if _, err := verifyJSON(hmacToo, bodyOf(t, text), publicKey(t, verifier.PublicKey{Key: signer.Public()}), secretKey(t, tokenSecret)); outcome(err) != "invalid" {
			t.Errorf("%s under HS256: %v", algorithm, err)
		}
	}
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		text := signed(t, algorithm, "", []byte(tokenSecret), jwt.MapClaims{"sub": "ada"})
		for _, configured := range []string{"HS256", "HS384", "HS512"} {
			v := tokenVerifier(t, verifier.Token{NoExpiry: true, Algorithms: []string{configured}})
			if _, err := verifyJSON(v, bodyOf(t, text), secretKey(t, tokenSecret)); (err == nil) != (algorithm == configured) {
				t.Errorf("%s under %s: %v", algorithm, configured, err)
			}
		}
	}
}

// TestTokenSets is which keys of a set a token is tried with.
func TestTokenSets(t *testing.T) {
	var keys []*verifier.Key
	var privates []*ecdsa.PrivateKey
	for range 5 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		privates = append(privates, key)
		keys = append(keys, publicKey(t, verifier.PublicKey{Key: key.Public(), ID: "k" + string(rune('0'+len(privates))), InSet: true}))
	}
	v := tokenVerifier(t, verifier.Token{NoExpiry: true, Algorithms: []string{"ES256"}})
	user := jwt.MapClaims{"sub": "ada"}
	for _, test := range []struct {
		name, token, want string
		keys              []*verifier.Key
	}{
		{"named", signed(t, "ES256", "k3", privates[2], user), "verified", keys},
		{"another named", signed(t, "ES256", "k4", privates[2], user), "invalid", keys},
		{"an unknown one named", signed(t, "ES256", "k9", privates[2], user), "invalid", keys},
		{"unnamed of four", signed(t, "ES256", "", privates[3], user), "verified", keys[:4]},
		{"unnamed of five", signed(t, "ES256", "", privates[0], user), "invalid", keys},
		{"for another algorithm", signed(t, "ES256", "a", privates[0], user), "invalid",
			[]*verifier.Key{publicKey(t, verifier.PublicKey{Key: privates[0].Public(), ID: "a", InSet: true, Algorithm: "ES384"})}},
		{"kid without a set", signed(t, "ES256", "whatever", privates[0], user), "verified",
			[]*verifier.Key{publicKey(t, verifier.PublicKey{Key: privates[0].Public()})}},
	} {
		_, err := verifyJSON(v, bodyOf(t, test.token), test.keys...)
		if got := outcome(err); got != test.want {
			t.Errorf("%s: %s (%v), want %s", test.name, got, err, test.want)
		}
	}
}

// TestTokenConfigurations is what is refused of rules and keys.
func TestTokenConfigurations(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for want, rules := range map[string]verifier.Token{
		"unknown algorithm 'none'":      {Algorithms: []string{"none"}},
		"unknown algorithm 'rs256'":     {Algorithms: []string{"rs256"}},
		"different kinds of keys":       {Algorithms: []string{"RS256", "ES256"}},
		"HS256 and RS256 are verified":  {Algorithms: []string{"HS256", "RS256"}},
		"is no JSON pointer":            {UserID: []string{"sub"}},
		"needs at least one value":      {Require: map[string][]string{"/iss": nil}},
		"max_lifetime must be positive": {MaxLifetime: -1},
		"accepted once must expire":     {ID: true, NoExpiry: true},
		"different kinds of keys: a":    {Algorithms: []string{"ES256", "ES384"}},
	} {
		if _, err := tokenDialect(rules).Verifier(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", rules, err, want)
		}
	}
	for _, test := range []struct {
		algorithm string
		key       crypto.PublicKey
		want      string
	}{
		{"RS256", weak.Public(), "the RSA key has 1024 bits"},
		{"RS256", signers()["ES256"].Public(), "RS256 takes an RSA key, and this is an ECDSA key on the curve P-256"},
		{"ES384", signers()["ES256"].Public(), "ES384 takes an ECDSA key on the curve P-384, and this is an ECDSA key on the curve P-256"},
		{"EdDSA", signers()["RS256"].Public(), "EdDSA takes an Ed25519 key, and this is an RSA key"},
		{"HS256", signers()["RS256"].Public(), "HS256 takes a secret, and this is an RSA key"},
	} {
		rules := verifier.Token{Algorithms: []string{test.algorithm}}
		if err := rules.CheckKey(test.key); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.algorithm, err, test.want)
		}
	}
}

// verdicts counts what is asked and remembered.
type verdicts struct {
	known map[[sha256.Size]byte]time.Time
	hits  int
}

func (v *verdicts) Verified(digest [sha256.Size]byte) bool {
	_, ok := v.known[digest]
	if ok {
		v.hits++
	}
	return ok
}

func (v *verdicts) Remember(digest [sha256.Size]byte, until time.Time) { v.known[digest] = until }

// TestTokenVerdictsAreRemembered: a good token once, a bad one never, and each by its key,
// its algorithm and its exact text.
func TestTokenVerdictsAreRemembered(t *testing.T) {
	memory := &verdicts{known: map[[sha256.Size]byte]time.Time{}}
	private := signers()["RS256"]
	key := publicKey(t, verifier.PublicKey{Key: private.Public(), Verdicts: memory})
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	good := signed(t, "RS256", "", private, jwt.MapClaims{"sub": "ada", "exp": exp.Unix()})
	v := tokenVerifier(t, verifier.Token{Algorithms: []string{"RS256", "PS256"}})
	for range 3 {
		if i, err := verifyJSON(v, bodyOf(t, good), key); err != nil || i.User() != "ada" {
			t.Fatal(err)
		}
	}
	if len(memory.known) != 1 || memory.hits != 2 {
		t.Fatalf("%d remembered, %d hits", len(memory.known), memory.hits)
	}
	for _, until := range memory.known {
		if !until.Equal(exp) {
			t.Errorf("remembered until %v, want %v", until, exp)
		}
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		token string
		key   *verifier.Key
	}{
		"another key":       {good, publicKey(t, verifier.PublicKey{Key: other.Public(), Verdicts: memory})},
		"another signature": {good[:len(good)-8] + "AAAAAAAA", key},
	} {
		if _, err := verifyJSON(v, bodyOf(t, try.token), try.key); outcome(err) != "invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := verifyJSON(v, bodyOf(t, signed(t, "PS256", "", private, jwt.MapClaims{"sub": "ada", "exp": exp.Unix()})), key); err != nil {
		t.Error(err)
	}
	if len(memory.known) != 2 || memory.hits != 2 {
		t.Errorf("%d remembered, %d hits", len(memory.known), memory.hits)
	}
}
