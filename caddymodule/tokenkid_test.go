package caddymodule

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// TestTokenKid: a kid chooses among the secrets of a stored widget by their versions, and
// one that none has is ignored.
func TestTokenKid(t *testing.T) {
	g := live(t, "", "chat_identity optional {\nwidget {header.X-Widget-Key}\nclaim token header Authorization\n}\nreverse_proxy UPSTREAM")
	old := g.create(t, `{"id":"shop"}`)
	current := g.rotate(t, "shop", `{"grace":"1h"}`)
	stranger := g.create(t, `{"id":"other"}`)
	var shop, other adminapi.Widget
	g.askInto(t, "widgets/shop", &shop)
	g.askInto(t, "widgets/other", &other)
	first, second, foreign := shop.Secrets[0].Version, shop.Secrets[1].Version, other.Secrets[0].Version
	for _, test := range []struct{ name, secret, kid, want string }{
		{"the current secret, named", current, first, "ada"},
		{"the secret in grace, named", old, second, "ada"},
		{"the current secret, named as the other", current, second, "invalid invalid"},
		{"the secret in grace, named as the current", old, first, "invalid invalid"},
		{"a version in another case", old, strings.ToLower(first), "ada"},
		{"another widget's version", old, foreign, "ada"},
		{"another widget's secret and version", stranger, foreign, "invalid invalid"},
		{"nonsense", current, "' OR 1=1 --", "ada"},
		{"a path", current, "../../../dev/null", "ada"},
		{"an address", current, "https://evil.example/jwks", "ada"},
		{"empty", current, "", "ada"},
	} {
		token := signedAs(sha256.New, test.secret, fmt.Sprintf(`{"alg":"HS256","kid":%q}`, test.kid), fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
		equal(t, verdict(t, g.do(t, http.MethodGet, "/", "", "Authorization: Bearer "+token, "X-Widget-Key: shop")), test.want, "%s", test.name)
	}
}

// TestTokenKidInSet: a key set demands its own kid, and a token without one is tried with
// four keys at most.
func TestTokenKidInSet(t *testing.T) {
	var pairs []*pair
	for i := range 6 {
		pairs = append(pairs, newPair(t, "ES256", fmt.Sprint(i)))
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	g := newGateway(t, "off", "", "chat_identity optional {\nclaim token header Authorization"+bound+"jwks "+path+"\n}\nreverse_proxy UPSTREAM")
	// holds loads a set of keys with a member of each changed.
	holds := func(pairs []*pair, change func(key map[string]any)) {
		t.Helper()
		var set struct {
			Keys []map[string]any `json:"keys"`
		}
		must(t, json.Unmarshal(jwksOf(t, pairs...), &set))
		for _, key := range set.Keys {
			change(key)
		}
		text, err := json.Marshal(set)
		must(t, err)
		must(t, os.WriteFile(path, text, 0o600))
		load(t, g.config)
	}
	found := func(p *pair, kid string) string {
		token := (&pair{p.Signer, p.algorithm, kid}).token(t)
		return verdict(t, g.do(t, http.MethodGet, "/", "", "Authorization: Bearer "+token))
	}
	const refused = "invalid invalid"
	holds(pairs[:4], func(map[string]any) {})
	equal(t, found(pairs[3], "3"), "ada", "named")
	equal(t, found(pairs[3], ""), "ada", "the last of four, without a kid")
	equal(t, found(pairs[3], "2"), refused, "named as another")
	equal(t, found(pairs[3], "9"), refused, "unknown")
	equal(t, found(pairs[5], "3"), refused, "another key under the name")
	holds(pairs[:5], func(map[string]any) {})
	equal(t, found(pairs[0], "0"), "ada", "named, one of five")
	equal(t, found(pairs[0], ""), refused, "the first of five, without a kid")
	for name, change := range map[string]func(map[string]any){
		"for encryption":        func(key map[string]any) { key["use"] = "enc" },
		"for signing alone":     func(key map[string]any) { key["key_ops"] = []string{"sign"} },
		"for another algorithm": func(key map[string]any) { key["alg"] = string(jose.ES384) },
		"for an HMAC":           func(key map[string]any) { key["alg"] = string(jose.HS256) },
		"of a curve of its own": func(key map[string]any) { key["crv"] = "secp256k1" },
		"with another's kid":    func(key map[string]any) { key["kid"] = "0" },
	} {
		holds(pairs[:3], func(key map[string]any) {
			if key["kid"] == "0" || key["kid"] == "1" && name == "with another's kid" {
				change(key)
			}
		})
		equal(t, found(pairs[0], "0"), refused, "a key %s", name)
	}
}
