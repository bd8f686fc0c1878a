package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// publicSite has handlers of each kind for widgets that requests name.
const publicSite = `
chat_identity /unbound* optional {
	widget {header.X-Widget-Key}
	claim token header Authorization
	token {
		algorithm ES256
	}
}
chat_identity /secret* optional {
	widget {header.X-Widget-Key}
	claim token header Authorization
}
chat_identity /no-token* optional {
	widget {header.X-Widget-Key}
}
chat_identity optional {
	widget {header.X-Widget-Key}
	claim token header Authorization` + bound + `
}
reverse_proxy UPSTREAM`

// jsonOf returns the body of a call.
func jsonOf(t testing.TB, members map[string]any) string {
	t.Helper()
	text, err := json.Marshal(members, json.Deterministic(true))
	must(t, err)
	return string(text)
}

// TestStoredPublicKeys: a stored widget has public keys or a key set in place of a secret.
func TestStoredPublicKeys(t *testing.T) {
	first, second, inSet := newPair(t, "ES256", ""), newPair(t, "ES256", ""), newPair(t, "ES256", "1")
	source := newKeySource(t, inSet)
	g := live(t, "encryption_key {env.TEST_KEY}\nallow_reveal", publicSite)
	verify := func(widget string, by *pair, want string) {
		t.Helper()
		equal(t, g.bearer(t, "/", by.token(t), "X-Widget-Key: "+widget), want, "%s", widget)
	}
	c := g.call(t, "POST", "widgets", jsonOf(t, map[string]any{"id": "shop", "public_keys": []string{first.pem(t)}}))
	if c.status != 201 || c.Secret != "" || len(c.Secrets) != 0 || len(c.PublicKeys) != 1 || c.PublicKeys[0].Kind != "ECDSA P-256" || len(c.PublicKeys[0].Thumbprint) != 43 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	verify("shop", first, "verified")
	verify("shop", second, "invalid invalid")
	c = g.call(t, "PATCH", "widgets/shop", jsonOf(t, map[string]any{"public_keys": []string{second.pem(t), first.pem(t)}}))
	equal(t, len(c.PublicKeys), 2, "%d %s", c.status, c.body)
	verify("shop", first, "verified")
	verify("shop", second, "verified")
	g.call(t, "PATCH", "widgets/shop", jsonOf(t, map[string]any{"public_keys": []string{second.pem(t)}}))
	verify("shop", first, "invalid invalid")
	verify("shop", second, "verified")
	if c = g.call(t, "GET", "widgets/shop", ""); c.PublicKeys[0].LastUsed.IsZero() {
		t.Errorf("it does not say that the key is used: %s", c.body)
	}
	c = g.call(t, "POST", "widgets", jsonOf(t, map[string]any{"id": "set", "jwks": source.URL}))
	if c.status != 201 || c.Secret != "" || c.JWKS != source.URL || c.Note != "" {
		t.Fatalf("%d %s", c.status, c.body)
	}
	verify("set", inSet, "verified")
	verify("set", first, "invalid invalid")
	c = g.call(t, "PATCH", "widgets/shop", jsonOf(t, map[string]any{"jwks": source.URL}))
	if c.status != 200 || c.JWKS != source.URL || len(c.PublicKeys) != 0 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	verify("shop", second, "invalid invalid")
	verify("shop", inSet, "verified")
	g.restart(t)
	verify("shop", inSet, "verified")
	if c = g.call(t, "DELETE", "widgets/set", ""); c.status != 204 {
		t.Errorf("%d %s", c.status, c.body)
	}
	verify("set", inSet, "invalid widget_unknown")
	var v adminapi.Overview
	g.askInto(t, "overview?sort=id", &v)
	if len(v.Widgets) != 1 || v.Widgets[0].JWKS != source.URL {
		t.Errorf("%+v", v.Widgets)
	}
}

// TestStoredPublicKeysRefused is what the API answers to a wrong call.
func TestStoredPublicKeysRefused(t *testing.T) {
	key := newPair(t, "ES256", "").pem(t)
	g := live(t, "encryption_key {env.TEST_KEY}", publicSite)
	g.create(t, `{"id":"secret"}`)
	for id, members := range map[string]map[string]any{"keys": {"id": "keys", "public_keys": []string{key}}, "set": {"id": "set", "jwks": "https://127.0.0.1:1/jwks"}} {
		if c := g.call(t, "POST", "widgets", jsonOf(t, members)); c.status != 201 || (id == "set") != strings.Contains(c.Note, "cannot be read yet") {
			t.Fatalf("%d %s", c.status, c.body)
		}
	}
	create := func(members map[string]any) string {
		members["id"] = "new"
		return jsonOf(t, members)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "widgets", create(map[string]any{"public_keys": []string{}}), 400, "1 to 4 keys"},
		{"POST", "widgets", create(map[string]any{"public_keys": []string{key, key}}), 400, "appears more than once"},
		{"POST", "widgets", create(map[string]any{"public_keys": []string{"x"}}), 400, "not a public key in PEM"},
		{"POST", "widgets", create(map[string]any{"public_keys": []string{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}}), 400, "this is a private key"},
		{"POST", "widgets", create(map[string]any{"public_keys": []string{key}, "jwks": "https://login.example.com/jwks"}), 400, "one of the two"},
		{"POST", "widgets", create(map[string]any{"public_keys": []string{key}, "secret": testSecret}), 400, "either a secret or public keys"},
		{"POST", "widgets", create(map[string]any{"jwks": ""}), 400, "must be an https URL"},
		{"POST", "widgets", create(map[string]any{"jwks": "/etc/passwd"}), 400, "must be an https URL"},
		{"POST", "widgets", create(map[string]any{"jwks": "http://login.example.com/jwks"}), 400, "use https"},
		{"POST", "widgets", create(map[string]any{"jwks": "file:///etc/passwd"}), 400, "not valid"},
		{"PATCH", "widgets/secret", jsonOf(t, map[string]any{"public_keys": []string{key}}), 409, "has a secret, which would be lost"},
		{"PATCH", "widgets/keys", `{"public_keys":[]}`, 400, "1 to 4 keys"},
		{"PATCH", "widgets/keys", `{}`, 400, "send mode, dialect, public_keys or jwks"},
		{"POST", "widgets/keys/rotate", "", 409, "set keys --public-key <file>"},
		{"POST", "widgets/set/rotate", `{"grace":"1h"}`, 409, "set set --jwks <url>"},
		{"POST", "widgets/keys/rotate", `{"end_grace":true}`, 409, "has no secret"},
		{"POST", "widgets/keys/reveal", "", 409, "has no secret"},
		{"POST", "widgets/set/reveal", "", 409, "has no secret"},
	} {
		if got := g.call(t, c.method, c.path, c.body); got.status != c.status || !strings.Contains(got.Error, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %q", c.method, c.path, c.body, got.status, got.body, c.status, c.says)
		}
	}
	if list := g.call(t, "GET", "widgets", "").body; strings.Contains(list, `"new"`) {
		t.Error(list)
	}
}

// TestStoredPublicKeysElsewhere: a widget is unknown to a handler that cannot verify what
// proves its users, and the log says why.
func TestStoredPublicKeysElsewhere(t *testing.T) {
	key, inSet := newPair(t, "ES256", ""), newPair(t, "ES256", "1")
	source := newKeySource(t, inSet)
	g := live(t, "encryption_key {env.TEST_KEY}", publicSite)
	g.create(t, `{"id":"secret","secret":"`+testSecret+`"}`)
	for _, members := range []map[string]any{{"id": "keys", "public_keys": []string{key.pem(t)}}, {"id": "set", "jwks": source.URL}} {
		if c := g.call(t, "POST", "widgets", jsonOf(t, members)); c.status != 201 {
			t.Fatalf("%d %s", c.status, c.body)
		}
	}
	hmac := jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
	const unknown = "invalid widget_unknown"
	for _, c := range []struct{ path, widget, token, want, log string }{
		{"/", "keys", key.token(t), "verified", ""},
		{"/", "set", inSet.token(t), "verified", ""},
		{"/", "secret", hmac, unknown, "The widget has a secret, and this handler's tokens are verified with public keys"},
		{"/unbound", "keys", key.token(t), "verified", ""},
		{"/unbound", "set", inSet.token(t), unknown, "add 'require /iss <issuer>' and 'require /aud <audience>'"},
		{"/secret", "secret", hmac, "verified", ""},
		{"/secret", "keys", key.token(t), unknown, "The widget has public keys, and this handler's claims are verified with a secret"},
		{"/secret", "set", inSet.token(t), unknown, "The widget has public keys, and this handler's claims are verified with a secret"},
	} {
		from, _ := caddyLog.Seek(0, io.SeekCurrent)
		equal(t, g.bearer(t, c.path, c.token, "X-Widget-Key: "+c.widget), c.want, "%s of %s", c.widget, c.path)
		to, _ := caddyLog.Seek(0, io.SeekCurrent)
		log, err := io.ReadAll(io.NewSectionReader(caddyLog, from, to-from))
		must(t, err)
		if n := strings.Count(string(log), `"reason":"widget_unknown"`); (n == 1) != (c.log != "") || !strings.Contains(string(log), c.log) {
			t.Errorf("%s of %s: %d lines, want %q in\n%s", c.widget, c.path, n, c.log, log)
		}
	}
	a := g.post(t, `{"user_id":"ada","user_hash":"`+signWith(testSecret, "ada")+`"}`, "X-Widget-Key: keys")
	equal(t, a.seen.Header.Get("X-Identity-Outcome"), "invalid", "a signature for a widget with public keys")
}

// TestPublicKeysMove: public keys are exported and imported sealed, sealed anew with another
// key, and logged when they change.
func TestPublicKeysMove(t *testing.T) {
	t.Setenv("NEXT_KEY", "bmV4dC1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcyE=")
	key := newPair(t, "ES256", "")
	from := live(t, "encryption_key {env.TEST_KEY}", publicSite)
	lines := audited(t, func() {
		from.call(t, "POST", "widgets", jsonOf(t, map[string]any{"id": "shop", "public_keys": []string{key.pem(t)}}))
		from.call(t, "PATCH", "widgets/shop", jsonOf(t, map[string]any{"jwks": "https://127.0.0.1:1/jwks"}))
		from.call(t, "PATCH", "widgets/shop", jsonOf(t, map[string]any{"public_keys": []string{key.pem(t)}}))
	})
	thumbprint := from.call(t, "GET", "widgets/shop", "").PublicKeys[0].Thumbprint
	if len(lines) != 3 || lines[0]["public_keys"].([]any)[0] != thumbprint || lines[1]["jwks"] != "https://127.0.0.1:1/jwks" || lines[1]["retired"] == nil || lines[2]["new"] == nil {
		t.Errorf("%v", lines)
	}
	export := from.call(t, "GET", "export", "").body
	der := strings.ReplaceAll(strings.Join(strings.Split(strings.TrimSpace(key.pem(t)), "\n")[1:2], ""), "\n", "")
	if strings.Contains(export, der) || !strings.Contains(export, `"kind":"public_keys"`) {
		t.Errorf("exported as %s", export)
	}
	to := live(t, "encryption_key {env.NEXT_KEY} {env.TEST_KEY}", publicSite)
	if c := to.call(t, "POST", "import", strings.Replace(export, `"kind":"public_keys"`, `"kind":"jwks"`, 1)); c.status != 200 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	equal(t, to.bearer(t, "/", key.token(t), "X-Widget-Key: shop"), "unavailable unavailable", "keys that were turned into a key set")
	if c := to.call(t, "GET", "widgets/shop", ""); !strings.Contains(c.Unavailable, "cannot be decrypted") {
		t.Error(c.body)
	}
	if c := to.call(t, "POST", "import?replace=true", export); c.status != 200 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	equal(t, to.bearer(t, "/", key.token(t), "X-Widget-Key: shop"), "verified", "imported")
	if c := to.call(t, "POST", "reseal", ""); !strings.Contains(c.body, `"resealed":1`) {
		t.Error(c.body)
	}
	equal(t, to.bearer(t, "/", key.token(t), "X-Widget-Key: shop"), "verified", "resealed")
	to.config = strings.Replace(to.config, "{env.NEXT_KEY} {env.TEST_KEY}", "{env.NEXT_KEY}", 1)
	load(t, to.config)
	equal(t, to.bearer(t, "/", key.token(t), "X-Widget-Key: shop"), "verified", "without the old encryption key")
}

// TestPublicKeysOffline: the command works on the store of a gateway that has no admin
// endpoint.
func TestPublicKeysOffline(t *testing.T) {
	key := newPair(t, "ES256", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "shop.pem")
	must(t, os.WriteFile(file, []byte(key.pem(t)), 0o600))
	g := live(t, "encryption_key {env.TEST_KEY}", publicSite+"\nchat_identity /own {\nwidget own\nclaim token header Authorization\ntoken {\nalgorithm ES256\n}\npublic_key {file."+file+"}\n}")
	config := filepath.Join(dir, "Caddyfile")
	must(t, os.WriteFile(config, []byte(g.config), 0o600))
	out, stderr, err := runCommand(t, "", "create", "shop", "--public-key", file, "--config", config)
	if err != nil || out != "" || !strings.Contains(stderr, "verified with 1 public key") {
		t.Fatalf("%v %s%s", err, out, stderr)
	}
	eventually(t, "the gateway does not follow", func() bool {
		return g.bearer(t, "/", key.token(t), "X-Widget-Key: shop") == "verified"
	})
	must(t, os.Rename(file, file+".away")) // which is the gateway's affair
	if _, stderr, err = runCommand(t, "", "delete", "own", "--yes", "--config", config); err == nil || !strings.Contains(stderr, "as a handler's own widget") {
		t.Errorf("%v %s", err, stderr)
	}
}

// TestFleetPublicKeys: gateways on one Redis have the same public keys, and a change holds
// on all.
func TestFleetPublicKeys(t *testing.T) {
	server := redistest.Start(t)
	first, second, inSet := newPair(t, "ES256", ""), newPair(t, "ES256", ""), newPair(t, "ES256", "1")
	source := newKeySource(t, inSet)
	site := "chat_identity required {\nwidget {header.X-Widget-Key}\nclaim token header Authorization" + bound + "}\nrespond {http.chat_identity.user}"
	var gateways []*process
	for range 2 {
		p := newProcess(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, site)
		p.run(t)
		gateways = append(gateways, p)
	}
	everywhere := func(by *pair, want int) {
		t.Helper()
		for i, p := range gateways {
			status := 0
			eventually(t, "Redis does not answer", func() bool {
				r, err := http.NewRequest(http.MethodGet, p.url, nil)
				must(t, err)
				r.Header = http.Header{"Authorization": {"Bearer " + by.token(t)}, "X-Widget-Key": {"shop"}}
				response, err := http.DefaultClient.Do(r)
				must(t, err)
				defer response.Body.Close()
				status = response.StatusCode
				return status != 503
			})
			equal(t, status, want, "gateway %d", i)
		}
	}
	change := func(method, path string, members map[string]any) {
		t.Helper()
		eventually(t, "Redis is not reached", func() bool {
			return gateways[0].call(t, method, path, jsonOf(t, members)).status < 300
		})
	}
	change("POST", "widgets", map[string]any{"id": "shop", "public_keys": []string{first.pem(t)}})
	everywhere(first, 200)
	everywhere(second, 401)
	change("PATCH", "widgets/shop", map[string]any{"public_keys": []string{second.pem(t)}})
	everywhere(first, 401)
	everywhere(second, 200)
	change("PATCH", "widgets/shop", map[string]any{"jwks": source.URL})
	everywhere(second, 401)
	everywhere(inSet, 200)
}
