package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
)

// TestExplainAssertions: who asks about an assertion runs a backend, and signs nothing.
func TestExplainAssertions(t *testing.T) {
	key := func() *assertion.Key {
		keys, err := assertion.First(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return keys.Signer(time.Now())
	}
	own, other := key(), key()
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(by *assertion.Key, at time.Duration, user string) string {
		s := assertion.Statement{Audience: "backend", Outcome: "verified", User: user, Widget: "shop", Dialect: "bookbag"}
		if user == "" {
			s = assertion.Statement{Audience: "backend", Outcome: "anonymous", Reason: "missing"}
		}
		text, err := assertion.NewMinter("chat-identity", time.Minute, func() time.Time { return time.Now().Add(at) }).Mint(by, &s)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: own.Private.Public(), KeyID: own.ID, Algorithm: "ES256", Use: "sig"},
		{Key: other.Private.Public(), KeyID: "another", Algorithm: "ES256", Use: "sig"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	good := mint(own, 0, "u")
	for _, c := range []struct{ name, in, args, mistake, text string }{
		{"good", good, "--require /aud=backend --require /iss=chat-identity", "", "verifies"},
		{"with its header", "x-verified-assertion:  " + good + "\n", "", "", "verifies"},
		{"another audience", good, "--require /aud=other", "assertion_require_aud", "what the gateway's option 'assertion' says"},
		{"another issuer", good, "--require /iss=other", "assertion_require_iss", "'issuer' in the gateway's global assertion block"},
		{"expired", mint(own, -time.Hour, "u"), "", "assertion_token_expired", "allow 30 seconds"},
		{"ahead", mint(own, 2*time.Minute, "u"), "", "assertion_iat", "allow 30 seconds"},
		{"another gateway's", mint(key(), 0, "u"), "", "assertion_unknown_kid", "read the gateway's jwks_path again"},
		{"a key of another kid", mint(other, 0, "u"), "", "assertion_other_kid", "read the gateway's jwks_path again"},
		{"forged", mint(&assertion.Key{ID: own.ID, Private: foreign}, 0, "u"), "", "assertion_signature", "has not signed this text"},
		{"a visitor's", mint(own, 0, ""), "", "assertion_no_user_id", "answers without a user"},
		{"in quotes", `"` + good + `"`, "", "token_quoted", ""},
	} {
		got, text := explained(t, run{args: append([]string{"--jwks", file}, strings.Fields(c.args)...), in: c.in})
		if got.Mistake.ID != c.mistake || !strings.Contains(text, c.text) || got.Verified != (c.mistake == "") {
			t.Errorf("%s: %+v\n%s", c.name, got, text)
		}
	}
	if got, text := explained(t, run{secret: commandSecret, in: good}); got.Mistake.ID != "assertion_alg_private" || !strings.Contains(text, "--jwks") {
		t.Errorf("with a secret: %+v\n%s", got, text)
	}
}
