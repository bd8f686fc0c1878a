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
		{"POST", "widgets", create(map[string]any{"public_key": key}), 400, "did you mean public_keys"},
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
		{"/", "secret", hmac, unknown, "The widget has a secret, and its tokens are verified with public keys"},
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

// TestStoredPublicKeyOfAnotherKind: a widget none of whose keys the handler's algorithms take
// is refused with a note, where it is created and where it is changed.
func TestStoredPublicKeyOfAnotherKind(t *testing.T) {
	fits, other := newPair(t, "ES256", ""), newPair(t, "ES384", "")
	g := live(t, "encryption_key {env.TEST_KEY}", publicSite)
	const note = "The widget has public keys of another kind than this handler's tokens are signed with, ES256"
	for _, c := range []struct {
		method, path string
		keys         []string
		noted        bool
		outcome      string
	}{
		{"POST", "widgets", []string{newPair(t, "RS256", "").pem(t)}, true, "invalid widget_unknown"},
		{"PATCH", "widgets/shop", []string{other.pem(t)}, true, "invalid widget_unknown"},
		{"PATCH", "widgets/shop", []string{other.pem(t), fits.pem(t)}, false, "verified"},
		{"PATCH", "widgets/shop", []string{other.pem(t)}, true, "invalid widget_unknown"},
	} {
		members := map[string]any{"public_keys": c.keys}
		if c.method == "POST" {
			members["id"] = "shop"
		}
		answer := g.call(t, c.method, c.path, jsonOf(t, members))
		if answer.status >= 300 || strings.Contains(answer.body, note) != c.noted || (answer.EffectiveMode == "") != c.noted {
			t.Errorf("%s with %d keys: %d %s", c.method, len(c.keys), answer.status, answer.body)
		}
		equal(t, g.bearer(t, "/", fits.token(t), "X-Widget-Key: shop"), c.outcome, "%s with %d keys", c.method, len(c.keys))
	}
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

// TestPublicKeysOffline: the command works on the store itself, and does not need what only
// the gateway does.
func TestPublicKeysOffline(t *testing.T) {
	key := newPair(t, "ES256", "")
	file := filepath.Join(t.TempDir(), "shop.pem")
	must(t, os.WriteFile(file, []byte(key.pem(t)), 0o600))
	p := newProcess(t, "encryption_key {env.TEST_KEY}", publicSite+"\nchat_identity /own {\nwidget own\nclaim token header Authorization\ntoken {\nalgorithm ES256\n}\npublic_key {file."+file+".own}\n}")
	out, stderr, err := p.offline(t, "create", "shop", "--public-key", file)
	if err != nil || out != "" || !strings.Contains(stderr, "verified with 1 public key") {
		t.Fatalf("%v %s%s", err, out, stderr)
	}
	if _, stderr, err = p.offline(t, "delete", "own", "--yes"); err == nil || !strings.Contains(stderr, "as the own widget of a handler") {
		t.Errorf("%v %s", err, stderr)
	}
	must(t, os.Rename(file, file+".own"))
	p.run(t)
	equal(t, p.bearer(t, "/", key.token(t), "X-Widget-Key: shop"), "verified", "by the gateway")
	if out, stderr, err = p.offline(t, "set", "shop", "--jwks", "https://127.0.0.1:1/jwks"); err != nil || !strings.Contains(out, "https://127.0.0.1:1/jwks") {
		t.Errorf("%v %s%s", err, out, stderr)
	}
	eventually(t, "the gateway does not follow", func() bool {
		return p.bearer(t, "/", key.token(t), "X-Widget-Key: shop") == "unavailable unavailable"
	})
}

// TestPublicKeysRetire: a request whose body began before a change is not verified by what
// that removed.
func TestPublicKeysRetire(t *testing.T) {
	key, other := newPair(t, "ES256", ""), newPair(t, "ES256", "1")
	source := newKeySource(t, other)
	dir := t.TempDir()
	file := func(name string, p *pair) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(p.pem(t)), 0o600))
		return "{file." + path + "}"
	}
	old, next := file("old.pem", key), file("next.pem", other)
	own := func(option string) string {
		return "chat_identity /own* required {\nwidget own\nclaim token body /token" + bound + option + "\n}\n"
	}
	const named = "chat_identity required {\nwidget {header.X-Widget-Key}\nclaim token body /token" + bound + "}\nreverse_proxy UPSTREAM"
	patch := func(members map[string]any) func(*gateway) {
		return func(g *gateway) { g.call(t, "PATCH", "widgets/shop", jsonOf(t, members)) }
	}
	reload := func(option string) func(*gateway) {
		return func(g *gateway) {
			must(t, activate(adapted(t, strings.Replace(g.config, own("public_key "+old), own(option), 1))))
		}
	}
	for _, c := range []struct {
		name, path string
		change     func(*gateway)
		status     int
	}{
		{"own keys stay", "/own", reload("public_key " + next + " " + old), 200},
		{"own keys are replaced", "/own", reload("public_key " + next), 401},
		{"own keys become a key set", "/own", reload("jwks " + source.URL), 401},
		{"stored keys stay", "/", patch(map[string]any{"public_keys": []string{other.pem(t), key.pem(t)}}), 200},
		{"stored keys are replaced", "/", patch(map[string]any{"public_keys": []string{other.pem(t)}}), 401},
		{"stored keys become a key set", "/", patch(map[string]any{"jwks": source.URL}), 401},
		{"the widget is deleted", "/", func(g *gateway) { g.call(t, "DELETE", "widgets/shop", "") }, 403},
		{"the widget is created again with a secret", "/", func(g *gateway) {
			g.call(t, "DELETE", "widgets/shop", "")
			g.create(t, `{"id":"shop"}`)
		}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := live(t, "encryption_key {env.TEST_KEY}", own("public_key "+old)+named)
			g.call(t, "POST", "widgets", jsonOf(t, map[string]any{"id": "shop", "public_keys": []string{key.pem(t)}}))
			text := `{"token":"` + key.token(t) + `"}`
			client := g.begin(t, c.path, text, jsonType, "X-Widget-Key: shop")
			client.write(text[:10]) // the handler is at the body
			c.change(g)
			client.write(text[10:])
			response, said := client.answer()
			if response.StatusCode != c.status {
				t.Errorf("%s %s", response.Status, said)
			}
			if seen := g.upstream.take(); (seen != nil) != (c.status == 200) {
				t.Errorf("the upstream was sent %+v", seen)
			}
		})
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
