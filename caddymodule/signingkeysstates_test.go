package caddymodule

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
)

// TestSigningKeysStates: in each state of a rotation, whenever it was, a gateway signs with
// the current key, and go-jose and openssl verify that by what it publishes. A restart changes
// nothing.
func TestSigningKeysStates(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}", assertingSite)
	g.upstream.echo()
	for _, c := range []struct {
		states  string
		rotated time.Duration // ago, 0 for never
	}{
		{"current", 0},
		{"next current", time.Minute},
		{"current previous", assertion.Notice + time.Minute},
		{"current", 3 * assertion.Notice},
	} {
		keys, err := assertion.First(time.Now().Add(-time.Hour))
		if must(t, err); c.rotated > 0 {
			keys, err = keys.Rotate(time.Now().Add(-c.rotated), time.Minute)
			must(t, err)
		}
		a := active(t)
		a.signing.changing.Lock()
		_, err = a.changeSigningKeys(context.Background(), func(*assertion.Keys, error) (*assertion.Keys, error) { return keys, nil })
		a.signing.changing.Unlock()
		must(t, err)

		check := func(when string) (published string) {
			t.Helper()
			var states []string
			current := ""
			for key := range strings.SplitSeq(g.keys(t), ", ") {
				kid, state, _ := strings.Cut(key, " ")
				if states = append(states, state); state == "current" {
					current = kid
				}
			}
			equal(t, strings.Join(states, " "), c.states, "%s", when)
			response := g.do(t, "GET", "/jwks", "")
			token := g.do(t, "GET", "/", "").Header.Get("Echo")
			var set jose.JSONWebKeySet
			must(t, json.Unmarshal([]byte(response.body), &set))
			signed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
			must(t, err)
			equal(t, signed.Headers[0].KeyID, current, "the key that signs, %s, with %s", when, c.states)
			var claims josejwt.Claims
			must(t, signed.Claims(&set, &claims))
			must(t, claims.Validate(josejwt.Expected{Issuer: "chat-identity", AnyAudience: josejwt.Audience{"backend"}}))
			g.jwks(t, "/jwks").verify(t, token)
			equal(t, len(set.Keys), len(states), "keys published")
			return response.body
		}
		before := check("before a restart")
		g.restart(t)
		equal(t, check("after a restart"), before, "the key set with %s", c.states)
	}
}
