package caddymodule

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// keySet is what backends read of the published keys.
type keySet struct {
	Keys []map[string]string
}

// jwks reads the published keys.
func (g *gateway) jwks(t testing.TB, path string) (set keySet) {
	t.Helper()
	a := g.do(t, "GET", path, "")
	if a.StatusCode != 200 {
		t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	must(t, json.Unmarshal([]byte(a.body), &set))
	return set
}

// spkiP256 is what precedes the point in the DER of a public key on P-256 (RFC 5480).
const spkiP256 = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"

// verify has openssl verify an assertion with the published key that it names, and returns
// its claims. It checks what all assertions have in common.
func (set keySet) verify(t testing.TB, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	decode := func(text string) []byte {
		t.Helper()
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		must(t, err)
		return b
	}
	var header map[string]string
	must(t, json.Unmarshal(decode(parts[0]), &header))
	if len(header) != 3 || header["alg"] != "ES256" || header["typ"] != "JWT" || header["kid"] == "" {
		t.Errorf("header %v", header)
	}
	i := slices.IndexFunc(set.Keys, func(k map[string]string) bool { return k["kid"] == header["kid"] })
	if i < 0 {
		t.Fatalf("key %q is not published: %v", header["kid"], set)
	}
	signature := decode(parts[2])
	if len(signature) != 64 {
		t.Fatalf("a signature of %d bytes", len(signature))
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	must(t, err)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"public.der": spkiP256 + string(decode(set.Keys[i]["x"])) + string(decode(set.Keys[i]["y"])), "signature": string(der), "signed": parts[0] + "." + parts[1],
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	check := exec.Command("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "public.der", "-signature", "signature", "signed")
	check.Dir = dir
	if said, err := check.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, said)
	}
	must(t, json.Unmarshal(decode(parts[1]), &claims))
	return claims
}

// asserted returns the claims of a request's assertion as JSON, without its times, which it
// checks; "" if there is none.
func (set keySet) asserted(t testing.TB, a *answered) string {
	t.Helper()
	if a.seen == nil {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	tokens := a.seen.Header["X-Verified-Assertion"]
	if len(tokens) == 0 {
		return ""
	}
	claims := set.verify(t, tokens[0])
	iat, exp, now := claims["iat"].(float64), claims["exp"].(float64), float64(time.Now().Unix())
	if len(tokens) > 1 || exp-iat != 60 || iat > now || iat < now-16 || iat != float64(int64(iat)) {
		t.Errorf("%d assertions, from %v to %v, now %v", len(tokens), iat, exp, now)
	}
	delete(claims, "iat")
	delete(claims, "exp")
	for claim, header := range map[string]string{"outcome": "X-Identity-Outcome", "reason": "X-Identity-Reason", "sub": "X-Verified-User", "widget": "X-Verified-Widget"} {
		said, err := url.PathUnescape(a.seen.Header.Get(header))
		must(t, err)
		if claimed, _ := claims[claim].(string); claimed != said {
			t.Errorf("the assertion says %s %q, the header %q", claim, claimed, said)
		}
	}
	text, err := json.Marshal(claims)
	must(t, err)
	return string(text)
}

// assertionSite has a handler per path.
const assertionSite = `
chat_identity /sign/* {
	widget sign
	secret {env.TEST_SECRET}
	assertion backend
	jwks_path /keys
}
chat_identity /time/* {
	dialect snapengage
	widget time
	secret {env.TEST_SECRET}
	assertion https://time.internal
}
chat_identity /token/* {
	dialect jwt
	widget tok
	secret {env.TEST_SECRET}
	assertion backend
	token {
		user_id /sub
		email /email
		name /name
		attributes rest
	}
}
chat_identity /strict/* required {
	widget sign
	secret {env.TEST_SECRET}
	assertion strict
}
chat_identity /off/* off {
	assertion unused
}
chat_identity /plain/* {
	widget sign
	secret {env.TEST_SECRET}
}`

// TestAssertion: every request that is forwarded says in its assertion what was found and
// nothing else, and openssl verifies it with the published key.
func TestAssertion(t *testing.T) {
	g := chat(t, assertionSite)
	keys := g.jwks(t, "/keys")
	forged := []string{jsonType, "X-Verified-Assertion: forged", "x_verified_assertion: forged", "X-Verified-Assertion: forged, too"}
	const iss = `"iss":"chat-identity"`
	json42 := fmt.Sprintf(`{"user_id":42,"user_hash":"%s"}`, sign("42"))
	at := time.Now().Add(-7 * time.Second).Truncate(time.Second)
	old := tokenAt("zoe", time.Now().Add(-time.Hour))
	bad := newToken("zoe")
	bad.signature = sign("zoe")
	bearing := func(claims string) []string { return []string{"Authorization: Bearer " + jwt(testSecret, claims)} }
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		want                     string
	}{
		{"signed", "POST", "/sign/a", claim("zoé <&>/%"), nil, `{"aud":"backend","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"zoé \u003c\u0026\u003e/%","widget":"sign"}`},
		{"a number", "POST", "/sign/a", json42, nil, `{"aud":"backend","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"42","widget":"sign"}`},
		{"by query", "GET", "/sign/a?user_id=zoe&user_hash=" + sign("zoe"), "", nil, `{"aud":"backend","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"zoe","widget":"sign"}`},
		{"with what nobody signed", "POST", "/sign/a", strings.Replace(claim("zoe"), "{", `{"user_metadata":{"email":"e@example.com","name":"Zoe","plan":"gold"},`, 1), nil,
			`{"aud":"backend","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"zoe","widget":"sign"}`},
		{"nobody", "POST", "/sign/a", `{"text":"hi"}`, nil, `{"aud":"backend",` + iss + `,"outcome":"anonymous","reason":"missing"}`},
		{"nobody, by GET", "GET", "/sign/a", "", nil, `{"aud":"backend",` + iss + `,"outcome":"anonymous","reason":"missing"}`},
		{"half a claim", "POST", "/sign/a", `{"user_id":"zoe"}`, nil, `{"aud":"backend",` + iss + `,"outcome":"anonymous","reason":"partial"}`},
		{"a forger", "POST", "/sign/a", `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`, nil, `{"aud":"backend",` + iss + `,"outcome":"invalid","reason":"invalid"}`},
		{"OPTIONS that is no preflight", "OPTIONS", "/sign/a", "", nil, `{"aud":"backend",` + iss + `,"outcome":"anonymous","reason":"missing"}`},
		{"a WebSocket", "GET", "/sign/a?user_id=zoe&user_hash=" + sign("zoe"), "", []string{"Connection: Upgrade, X-Verified-Assertion", "Upgrade: websocket"},
			`{"aud":"backend","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"zoe","widget":"sign"}`},
		{"a forger's WebSocket", "GET", "/sign/a?user_id=zoe&user_hash=" + sign("ada"), "", []string{"Connection: Upgrade", "Upgrade: websocket"},
			`{"aud":"backend",` + iss + `,"outcome":"invalid","reason":"invalid"}`},
		{"a preflight", "OPTIONS", "/sign/a", "", []string{page, "Access-Control-Request-Method: POST"}, ""},
		{"of the time", "POST", "/time/a", tokenAt("zoe", at).json(), nil,
			fmt.Sprintf(`{"aud":"https://time.internal","auth_time":%d,"dialect":"snapengage",%s,"outcome":"verified","sub":"zoe","widget":"time"}`, at.Unix(), iss)},
		{"too old", "POST", "/time/a", old.json(), nil, `{"aud":"https://time.internal",` + iss + `,"outcome":"expired","reason":"expired"}`},
		{"a forger of the time", "POST", "/time/a", bad.json(), nil, `{"aud":"https://time.internal",` + iss + `,"outcome":"invalid","reason":"invalid"}`},
		{"a token", "POST", "/token/a", "", bearing(fmt.Sprintf(`{"sub":"zoe","exp":%d}`, inAnHour())), `{"aud":"backend","dialect":"jwt",` + iss + `,"outcome":"verified","sub":"zoe","widget":"tok"}`},
		{"a token with everything", "POST", "/token/a", "", bearing(fmt.Sprintf(`{"sub":7,"exp":%d,"iat":%d.9,"email":"e@example.com","name":"Zo\u00e9","plan":"g\"old","tags":["a",1,null]}`, inAnHour(), at.Unix())),
			fmt.Sprintf(`{"attributes":{"plan":"g\"old","tags":["a",1,null]},"aud":"backend","auth_time":%d,"dialect":"jwt","email":"e@example.com",%s,"name":"Zoé","outcome":"verified","sub":"7","widget":"tok"}`, at.Unix(), iss)},
		{"an expired token", "POST", "/token/a", "", bearing(`{"sub":"zoe","exp":1}`), `{"aud":"backend",` + iss + `,"outcome":"expired","reason":"expired"}`},
		{"required", "POST", "/strict/a", claim("zoe"), nil, `{"aud":"strict","dialect":"bookbag",` + iss + `,"outcome":"verified","sub":"zoe","widget":"sign"}`},
		{"mode off", "POST", "/off/a", claim("zoe"), nil, ""},
		{"without the option", "POST", "/plain/a", claim("zoe"), nil, ""},
		{"not matched", "POST", "/elsewhere", claim("zoe"), nil, ""},
	} {
		a := g.do(t, c.method, c.path, c.body, append(c.headers, forged...)...)
		if got := keys.asserted(t, a); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if strings.Contains(fmt.Sprint(a.seen.Header), "forged") {
			t.Errorf("%s: %v", c.name, a.seen.Header)
		}
	}
	for _, path := range []string{"/strict/a", "/off/../strict/a"} {
		if a := g.do(t, "POST", path, `{"text":"hi"}`, forged...); a.seen != nil || a.StatusCode != 401 || strings.Contains(fmt.Sprint(a.Header), "Assertion") {
			t.Errorf("%s: %d, %v", path, a.StatusCode, a.Header)
		}
	}
}

// TestAssertionReused: the same content has the same assertion, whatever the claim, on every
// site and after a reload; no other content has it.
func TestAssertionReused(t *testing.T) {
	g := chat(t, assertionSite)
	requests := []func() *answered{
		func() *answered { return g.do(t, "POST", "/time/a", newToken("zoe").json(), jsonType) },
		func() *answered { return g.do(t, "POST", "/time/b", newToken("ada").json(), jsonType) },
		func() *answered { return g.do(t, "POST", "/sign/a", claim("zoe"), jsonType) },
		func() *answered { return g.do(t, "POST", "/strict/a", claim("zoe"), jsonType) },
		func() *answered { return g.do(t, "POST", "/sign/a", "", jsonType) },
		func() *answered { return g.do(t, "POST", "/sign/a", `{"user_id":"zoe"}`, jsonType) },
		func() *answered { return g.do(t, "POST", "/time/a", "", jsonType) },
	}
	of := make(map[string]int)
	var first []string
	began := time.Now()
	for i, send := range requests {
		token := send().seen.Header.Get("X-Verified-Assertion")
		if before, twice := of[token]; twice || token == "" {
			t.Errorf("requests %d and %d have the assertion %q", before, i, token)
		}
		of[token] = i
		first = append(first, token)
	}
	same := func(when string) {
		t.Helper()
		for i, send := range requests {
			if token := send().seen.Header.Get("X-Verified-Assertion"); token != first[i] && time.Since(began) < 14*time.Second {
				t.Errorf("%s: request %d has another assertion", when, i)
			}
		}
	}
	same("again")
	must(t, activate(adapted(t, strings.Replace(g.config, "/plain/*", "/bare/*", 1))))
	same("after a reload")
}

// TestAssertionOptions: issuer and lifetime are the app's, the header is the handler's.
func TestAssertionOptions(t *testing.T) {
	g := start(t, "chat_identity {\nassertion {\nissuer https://gateway.example\nlifetime 1h\n}\n}", `
	chat_identity /renamed {
		secret {env.TEST_SECRET}
		assertion backend
		header assertion X-Chat-Proof
		jwks_path /keys
	}
	chat_identity /silent {
		secret {env.TEST_SECRET}
		assertion backend
		header assertion off
	}
	reverse_proxy UPSTREAM`)
	forged := []string{jsonType, "X-Verified-Assertion: forged", "X-Chat-Proof: forged", "x-chat-proof: forged"}
	a := g.do(t, "POST", "/renamed", claim("zoe"), forged...)
	claims := g.jwks(t, "/keys").verify(t, a.seen.Header.Get("X-Chat-Proof"))
	if a.seen.Header.Get("X-Verified-Assertion") != "" || claims["iss"] != "https://gateway.example" || claims["exp"].(float64)-claims["iat"].(float64) != 3600 {
		t.Errorf("%v: %v", claims, a.seen.Header)
	}
	for _, path := range []string{"/silent", "/other"} {
		if a := g.do(t, "POST", path, claim("zoe"), forged...); a.seen.Header.Get("X-Verified-Assertion")+a.seen.Header.Get("X-Chat-Proof") != "" {
			t.Errorf("%s: %v", path, a.seen.Header)
		}
	}
}

// TestAssertionTwoHandlers: what the handler that decided has set stays, and a later one adds
// nothing of its own.
func TestAssertionTwoHandlers(t *testing.T) {
	for name, second := range map[string]string{
		"another audience": "assertion other",
		"another name":     "assertion other\nheader assertion X-Other",
		"no assertion":     "",
		"off":              "assertion other\nheader assertion off",
	} {
		g := start(t, "", "route {\nchat_identity {\nsecret {env.TEST_SECRET}\nassertion first\njwks_path /keys\n}\n"+
			"chat_identity required {\nsecret {env.TEST_SECRET}\n"+second+"\n}\nreverse_proxy UPSTREAM\n}")
		keys := g.jwks(t, "/keys")
		for body, want := range map[string]string{
			claim("zoe"): `{"aud":"first","dialect":"bookbag","iss":"chat-identity","outcome":"verified","sub":"zoe","widget":"default"}`,
			`{}`:         `{"aud":"first","iss":"chat-identity","outcome":"anonymous","reason":"missing"}`,
		} {
			a := g.post(t, body, "X-Verified-Assertion: forged", "X-Other: forged")
			equal(t, keys.asserted(t, a), want, "%s", name)
			if a.seen.Header.Get("X-Other") != "" && strings.Contains(second, "X-Other") {
				t.Errorf("%s: %v", name, a.seen.Header)
			}
		}
	}
}

// TestAssertionErrorRoutes: a request that is refused takes none to the error routes, and
// neither does a client's.
func TestAssertionErrorRoutes(t *testing.T) {
	g := start(t, "", `
	chat_identity /chat required {
		secret {env.TEST_SECRET}
		assertion backend
		refuse error
	}
	basic_auth /private {
		bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	reverse_proxy UPSTREAM
	handle_errors {
		chat_identity off
		reverse_proxy UPSTREAM
	}`)
	for _, path := range []string{"/chat", "/private"} {
		a := g.do(t, "POST", path, `{"user_id":"zoe"}`, jsonType, "X-Verified-Assertion: forged")
		if a.seen == nil || len(a.seen.Header["X-Verified-Assertion"]) > 0 {
			t.Errorf("%s: %d %+v", path, a.StatusCode, a.seen)
		}
	}
}

// TestAssertionBeyondHeaders: what a token signs and has no room in headers of its own is in
// the assertion all the same, which takes no room of theirs.
func TestAssertionBeyondHeaders(t *testing.T) {
	g := chat(t, assertionSite)
	keys := g.jwks(t, "/keys")
	for _, size := range []int{3000, 5000} {
		note := strings.Repeat("é", size/2)
		a := g.do(t, "GET", "/token/a", "", "Authorization: Bearer "+jwt(testSecret, fmt.Sprintf(`{"sub":"zoe","exp":%d,"name":"Zoe","note":"%s"}`, inAnHour(), note)))
		claims := keys.verify(t, a.seen.Header.Get("X-Verified-Assertion"))
		if !reflect.DeepEqual(claims["attributes"], map[string]any{"note": note}) || a.seen.Header.Get("X-Verified-Name") != "Zoe" {
			t.Errorf("%d: %v", size, claims["attributes"])
		}
	}
}

// TestAssertionIdentify: an answer of the gateway's own takes no assertion along.
func TestAssertionIdentify(t *testing.T) {
	g := chat(t, "chat_identity /chat {\nsecret {env.TEST_SECRET}\nassertion backend\nidentify /me\njwks_path /keys\n}")
	checkIdentified(t, g.do(t, "POST", "/me", claim("zoe"), jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
	if a := g.do(t, "GET", "/me", "", "X-Verified-Assertion: forged"); a.seen == nil || a.seen.Header.Get("X-Verified-Assertion") != "" {
		t.Errorf("%+v", a.seen)
	}
	g.jwks(t, "/keys")
}

// TestJWKSPath: anybody may read the keys, by GET and HEAD, whatever the matcher, and there is
// nothing private in them.
func TestJWKSPath(t *testing.T) {
	for name, site := range map[string]string{
		"a matcher":    "chat_identity /chat required {\nsecret {env.TEST_SECRET}\njwks_path /keys\n}",
		"none":         "chat_identity required {\nsecret {env.TEST_SECRET}\njwks_path /keys\nassertion backend\n}",
		"off":          "chat_identity off {\njwks_path /keys\n}",
		"with errors":  "chat_identity required {\nsecret {env.TEST_SECRET}\njwks_path /keys\nrefuse error\n}",
		"and identify": "chat_identity /chat {\nsecret {env.TEST_SECRET}\njwks_path /keys\nidentify /me\n}",
		"a second one": "route {\nchat_identity {\nsecret {env.TEST_SECRET}\nconversation query c\n}\nrequest_header X-A 1\nchat_identity off {\njwks_path /keys\n}\nreverse_proxy UPSTREAM\n}",
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, "chat_identity {\n"+ownLedger(t)+"\n}", site+"\nreverse_proxy UPSTREAM")
			get := g.do(t, "GET", "/keys?c=1", "", page)
			var set struct{ Keys []map[string]any }
			must(t, json.Unmarshal([]byte(get.body), &set))
			if len(set.Keys) != 1 {
				t.Fatalf("%d keys", len(set.Keys))
			}
			key := set.Keys[0]
			for _, member := range []string{"kid", "x", "y"} {
				if text, _ := key[member].(string); len(text) != 43 {
					t.Errorf("%s %v", member, key[member])
				}
				delete(key, member)
			}
			if !reflect.DeepEqual(key, map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}) {
				t.Errorf("key %v", key)
			}
			head := g.do(t, "HEAD", "/keys", "")
			if head.body != "" {
				t.Errorf("HEAD has a body: %s", head.body)
			}
			for _, a := range []*answered{get, head} {
				for name, want := range map[string]string{
					"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "Content-Length": fmt.Sprint(len(get.body)),
				} {
					equal(t, a.Header.Get(name), want, "%s %s", a.Request.Method, name)
				}
				if a.StatusCode != 200 || a.seen != nil {
					t.Errorf("%d, %+v", a.StatusCode, a.seen)
				}
			}
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
				a := g.do(t, method, "/keys", "", page, "Access-Control-Request-Method: GET")
				if a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" || a.seen != nil {
					t.Errorf("%s: %d %v", method, a.StatusCode, a.Header)
				}
			}
			for _, path := range []string{"/keys/", "/Keys", "/keys/more", "//keys"} {
				if a := g.do(t, "GET", path, ""); strings.Contains(a.body, "kty") {
					t.Errorf("%s: %s", path, a.body)
				}
			}
			if answer := g.raw(t, g.wire("CONNECT", "/keys", "")); statusOf(answer) == 200 {
				t.Errorf("CONNECT: %s", answer)
			}
		})
	}
}

// TestAdminJWKS: the admin endpoint has the same keys, for Caddy's origins alone.
func TestAdminJWKS(t *testing.T) {
	g := live(t, "", "chat_identity {\nsecret {env.TEST_SECRET}\nassertion backend\njwks_path /keys\n}\nreverse_proxy UPSTREAM")
	own := fetch(t, "GET", "http://"+g.admin+"/chat_identity/jwks", "")
	equal(t, own.body, g.do(t, "GET", "/keys", "").body+"\n", "the set")
	equal(t, own.Header.Get("Content-Type"), "application/jwk-set+json", "type")
	equal(t, own.Header.Get("Cache-Control"), "public, max-age=300", "cache")
	equal(t, own.Header.Get("Access-Control-Allow-Origin"), "", "origins")
	if a := fetch(t, "GET", "http://"+g.admin+"/chat_identity/jwks", "", "Origin: https://evil.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another origin: %d %s", a.StatusCode, a.body)
	}
	if a := fetch(t, "POST", "http://"+g.admin+"/chat_identity/jwks", ""); a.StatusCode != 405 || a.Header.Get("Allow") != "GET" {
		t.Errorf("POST: %d %v", a.StatusCode, a.Header)
	}
}

// TestAssertionWithoutKey: while there is no key to sign with, what would be forwarded with an
// assertion is refused, in optional mode, too, and uses nothing up. Keys that were known once
// sign on when the store is away again.
func TestAssertionWithoutKey(t *testing.T) {
	store := redistest.Start(t)
	store.Kill()
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+store.Addr+"\n"+ownLedger(t), `
	chat_identity /once/* required {
		dialect snapengage
		widget once
		secret {env.TEST_SECRET}
		one_time
		assertion backend
		jwks_path /keys
		identify /me
	}
	chat_identity /open/* {
		widget open
		secret {env.TEST_SECRET}
		conversation query c
		assertion backend
	}
	chat_identity /plain/* {
		widget open
		secret {env.TEST_SECRET}
	}
	chat_identity /off/* off {
		assertion backend
	}
	reverse_proxy UPSTREAM`)
	k := newToken("zoe")
	query := "user_id=zoe&user_hash=" + sign("zoe")
	for _, c := range []struct {
		method, path, body, want string
		headers                  []string
	}{
		{"POST", "/once/a", k.json(), "503 unavailable", nil},
		{"POST", "/once/a", `{"text":"hi"}`, "401 missing", nil},
		{"POST", "/once/a", `{"user_id":`, "400 malformed", nil},
		{"GET", "/open/a", "", "503 unavailable", nil},
		{"GET", "/open/a?c=mine&" + query, "", "503 unavailable", nil},
		{"GET", "/open/a?user_id=zoe&user_hash=" + sign("ada"), "", "503 unavailable", nil},
		{"GET", "/plain/a?" + query, "", "zoe", nil},
		{"POST", "/off/a", claim("zoe"), "disabled", nil},
		{"OPTIONS", "/once/a", "", "", []string{page, "Access-Control-Request-Method: POST"}},
	} {
		a := g.do(t, c.method, c.path, c.body, append(c.headers, jsonType, "X-Verified-Assertion: forged")...)
		equal(t, verdict(t, a), c.want, "%s %s", c.method, c.path)
		if a.seen != nil && a.seen.Header.Get("X-Verified-Assertion") != "" {
			t.Errorf("%s %s: %v", c.method, c.path, a.seen.Header)
		}
		if a.StatusCode == 503 && (a.Header.Get("Retry-After") == "" || a.Header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s %s: %v", c.method, c.path, a.Header)
		}
	}
	checkIdentified(t, g.do(t, "POST", "/me", newToken("zoe").json(), jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
	for _, method := range []string{"GET", "HEAD"} {
		a := g.do(t, method, "/keys", "")
		if a.StatusCode != 503 || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Retry-After") == "" || a.seen != nil {
			t.Errorf("%s: %d %v %s", method, a.StatusCode, a.Header, a.body)
		}
	}
	equal(t, g.do(t, "POST", "/keys", "").StatusCode, 405, "POST")
	if a := fetch(t, "GET", "http://"+g.admin+"/chat_identity/jwks", ""); a.StatusCode != 503 || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("admin: %d %v %s", a.StatusCode, a.Header, a.body)
	}

	store.Launch()
	g.healthy(t, adminapi.OK, "") // the ledger, too
	keys := g.jwks(t, "/keys")
	a := g.do(t, "POST", "/once/a", k.json(), jsonType)
	equal(t, verdict(t, a), "zoe", "the one-time signature")
	contains(t, keys.asserted(t, a), `"sub":"zoe"`)
	equal(t, verdict(t, g.do(t, "POST", "/once/a", k.json(), jsonType)), "403 replayed", "the one-time signature again")
	equal(t, verdict(t, g.do(t, "GET", "/open/a?c=mine&user_id=ada&user_hash="+sign("ada"), "")), "ada", "the conversation that nobody has claimed")

	store.Kill()
	contains(t, keys.asserted(t, g.do(t, "GET", "/open/a?user_id=bob&user_hash="+sign("bob"), "")), `"sub":"bob"`)
	equal(t, fmt.Sprint(g.jwks(t, "/keys")), fmt.Sprint(keys), "the keys while the store is away")
}
