package caddymodule

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// sessionWidgets has requests name their widget.
const sessionWidgets = `chat_identity required {
	widget {header.X-Widget-Key}
	identify /identify
	session 1h
}
chat_identity /later required {
	widget {header.X-Widget-Key}
	session 1h
}
reverse_proxy UPSTREAM`

// claimWith is a claim of ada's that another secret than the tests' signs.
func claimWith(secret string) string {
	return fmt.Sprintf(`{"user_id":"ada","user_hash":"%s"}`, signWith(secret, "ada"))
}

// sessionVerdict sends a session of a widget.
func (g *gateway) sessionVerdict(t testing.TB, widget, session string) string {
	t.Helper()
	return verdict(t, g.do(t, "GET", "/later", "", "X-Widget-Key: "+widget, "X-Chat-Session: "+session))
}

// TestSessionDiesWithItsSecret follows sessions of a stored widget through its life.
func TestSessionDiesWithItsSecret(t *testing.T) {
	g := live(t, "", sessionWidgets)
	first := g.create(t, `{"id":"shop"}`)
	g.create(t, `{"id":"other","secret":"`+first+`"}`)
	session := func(secret string) string { return g.session(t, claimWith(secret), "X-Widget-Key: shop") }
	want := func(session, want string) {
		t.Helper()
		equal(t, g.sessionVerdict(t, "shop", session), want, "session")
	}
	s1 := session(first)
	want(s1, "ada")
	equal(t, g.sessionVerdict(t, "other", s1), "401 invalid", "at a widget with the same secret")
	equal(t, g.sessionVerdict(t, "nobody", s1), "403 widget_unknown", "at a widget that is not there")
	equal(t, g.sessionVerdict(t, "shop", "other"+strings.TrimPrefix(g.session(t, claimWith(first), "X-Widget-Key: other"), "other")), "401 invalid", "another widget's")

	second := g.rotate(t, "shop", `{"grace":"1h"}`)
	s2 := session(second)
	inGrace := session(first)
	for _, s := range []string{s1, s2, inGrace} {
		want(s, "ada")
	}
	load(t, g.config) // a reload keeps them
	want(s1, "ada")
	// The end of the grace ends the sessions that it has proved.
	g.call(t, "POST", "widgets/shop/rotate", `{"end_grace":true}`)
	want(s1, "401 invalid")
	want(inGrace, "401 invalid")
	want(s2, "ada")
	third := g.rotate(t, "shop", "{}")
	for _, s := range []string{s1, s2, inGrace} {
		want(s, "401 invalid")
		// ... and locks no page out that has a new claim beside it.
		a := g.post(t, claimWith(third), "X-Widget-Key: shop", "X-Chat-Session: "+s)
		equal(t, verdict(t, a), "ada", "an old session beside a new claim")
	}
	s3 := session(third)
	g.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`)
	want(s3, "ada")
	g.call(t, "DELETE", "widgets/shop", "")
	want(s3, "403 widget_unknown")
	if again := g.create(t, `{"id":"shop","secret":"`+third+`"}`); again != third {
		t.Fatal(again)
	}
	want(s3, "401 invalid") // the same secret, in another version
	want(session(third), "ada")
}

// TestSessionGraceEnds: the secret of a session ends by itself.
func TestSessionGraceEnds(t *testing.T) {
	g := live(t, "", sessionWidgets)
	session := g.session(t, claimWith(g.create(t, `{"id":"shop"}`)), "X-Widget-Key: shop")
	g.rotate(t, "shop", `{"grace":"2s"}`)
	equal(t, g.sessionVerdict(t, "shop", session), "ada", "in the grace")
	eventually(t, "the grace does not end", func() bool { return g.sessionVerdict(t, "shop", session) == "401 invalid" })
}

// TestSessionOfInlineSecret: sessions of an inline secret hold on every gateway that has it,
// and over restarts.
func TestSessionOfInlineSecret(t *testing.T) {
	options := func(secrets string) string { return "widget shop {\nsecret " + secrets + "\n}" }
	one, two := newProcess(t, options("{env.TEST_SECRET}"), sessionWidgets), newProcess(t, options(otherSecret+" {env.TEST_SECRET}"), sessionWidgets)
	one.run(t)
	two.run(t)
	session := one.session(t, claim("ada"), "X-Widget-Key: shop")
	equal(t, one.sessionVerdict(t, "shop", session), "ada", "at the gateway that gave it")
	equal(t, two.sessionVerdict(t, "shop", session), "ada", "at another gateway, where the secret is in a grace")
	one.kill(t)
	one.run(t)
	equal(t, one.sessionVerdict(t, "shop", session), "ada", "after a restart")
	one.kill(t)
	one.config = strings.Replace(one.config, "{env.TEST_SECRET}", otherSecret, 1)
	one.run(t)
	equal(t, one.sessionVerdict(t, "shop", session), "401 invalid", "without the secret")
	for _, p := range []*process{one, two} {
		if log := p.log.String(); strings.Contains(log, session) {
			t.Error("the log has the session")
		}
	}
}

// TestSessionReload: a handler's own secret that a reload removes takes its sessions with it.
func TestSessionReload(t *testing.T) {
	throughReloads(t)
	g := start(t, "", fmt.Sprintf(sessionSite, ""))
	session := g.session(t, claim("ada"))
	for _, c := range []struct{ secrets, want string }{
		{"{env.TEST_SECRET}", "ada"}, {otherSecret + " {env.TEST_SECRET}", "ada"}, {otherSecret, "401 invalid"}, {"{env.TEST_SECRET}", "ada"},
	} {
		load(t, strings.Replace(g.config, "{env.TEST_SECRET}", c.secrets, 1))
		equal(t, verdict(t, g.post(t, "{}", "X-Chat-Session: "+session)), c.want, "secrets %s", c.secrets)
	}
	load(t, strings.Replace(g.config, "session 1h", "", 1))
	equal(t, verdict(t, g.post(t, "{}", "X-Chat-Session: "+session)), "401 missing", "a handler without session")
}

// publicSession has a widget with public keys.
func publicSession(keys string) string {
	return fmt.Sprintf(strings.Replace(sessionSite, "secret {env.TEST_SECRET}", keys, 1), "claim token body /token"+bound)
}

// TestSessionOfPublicKey: sessions of a public key are signed with the encryption key, and end
// with either.
func TestSessionOfPublicKey(t *testing.T) {
	throughReloads(t)
	first, second := newPair(t, "ES256", ""), newPair(t, "ES256", "")
	newer := widgets.NewEncryptionKey()
	base := func(p *pair) string { return "public_key " + base64.StdEncoding.EncodeToString([]byte(p.pem(t))) }
	both := base(second) + " " + strings.TrimPrefix(base(first), "public_key ")
	g := live(t, "encryption_key {env.TEST_KEY}", publicSession(base(first)))
	body := `{"token":"` + first.token(t) + `"}`
	session := g.session(t, body)
	with := func(name, key, keys, want string) {
		t.Helper()
		config := strings.Replace(g.config, "{env.TEST_KEY}", key, 1)
		load(t, strings.Replace(config, base(first), keys, 1))
		equal(t, verdict(t, g.post(t, "{}", "X-Chat-Session: "+session)), want, "%s", name)
	}
	with("the same", "{env.TEST_KEY}", base(first), "ada")
	with("another key is added", "{env.TEST_KEY}", both, "ada")
	with("the key has left", "{env.TEST_KEY}", base(second), "401 invalid")
	with("a new encryption key before the old one", newer+" {env.TEST_KEY}", base(first), "ada")
	with("another encryption key", newer, base(first), "401 invalid")
	with("without the old key, both are other", newer, base(second), "401 invalid")
	with("as it was", "{env.TEST_KEY}", base(first), "ada")

	// A key set's, whose publisher gives the kid to another key.
	one, two := newPair(t, "ES256", "1"), newPair(t, "ES256", "1")
	source := newKeySource(t, one)
	g = live(t, "encryption_key {env.TEST_KEY}", publicSession("jwks "+source.URL))
	session = g.session(t, `{"token":"`+one.token(t)+`"}`)
	header := "X-Chat-Session: " + session
	equal(t, verdict(t, g.post(t, "{}", header)), "ada", "of a key set")
	source.fails()
	_ = reread(t, source.URL)
	equal(t, verdict(t, g.post(t, "{}", header)), "ada", "while the set cannot be read")
	source.holds(t, two)
	must(t, reread(t, source.URL))
	equal(t, verdict(t, g.post(t, "{}", header)), "401 invalid", "another key with the kid")
	source.holds(t, two, newPair(t, "ES256", "2"), one)
	must(t, reread(t, source.URL))
	equal(t, verdict(t, g.post(t, "{}", header)), "401 invalid", "two keys with one kid are not used")
	one.kid = "3"
	source.holds(t, two, one)
	must(t, reread(t, source.URL))
	equal(t, verdict(t, g.post(t, "{}", header)), "ada", "the key under another kid")
}

// TestSessionWithoutEncryptionKey: one is created when Caddy starts, and that it is this
// gateway's alone is warned of.
func TestSessionWithoutEncryptionKey(t *testing.T) {
	one := newPair(t, "ES256", "")
	keys := "public_key " + base64.StdEncoding.EncodeToString([]byte(one.pem(t)))
	p := newProcess(t, "", publicSession(keys))
	p.run(t)
	session := p.session(t, `{"token":"`+one.token(t)+`"}`)
	p.kill(t)
	p.run(t)
	equal(t, verdict(t, p.post(t, "{}", "X-Chat-Session: "+session)), "ada", "after a restart")
	if log := p.log.String(); !strings.Contains(log, "session_key_local") || !strings.Contains(log, "so one was created") {
		t.Errorf("no warning in %s", log)
	}
	other := newProcess(t, "", publicSession(keys))
	other.run(t)
	equal(t, verdict(t, other.post(t, "{}", "X-Chat-Session: "+session)), "401 invalid", "at another gateway")
	for options, want := range map[string]bool{publicSession(keys): true, fmt.Sprintf(sessionSite, ""): false, strings.Replace(publicSession(keys), "session 1h", "", 1): false} {
		live(t, "", options)
		found := false
		for _, f := range active(t).found.Findings {
			found = found || f.Kind == findings.SessionKeyLocal
		}
		equal(t, found, want, "finding")
		live(t, "encryption_key {env.TEST_KEY}", options)
		for _, f := range active(t).found.Findings {
			if f.Kind == findings.SessionKeyLocal {
				t.Error("a finding with an encryption key")
			}
		}
	}
}

// TestSessionInTokenWidget: where a token names the widget, its session does.
func TestSessionInTokenWidget(t *testing.T) {
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget other {\nsecret "+otherSecret+"\n}", `chat_identity required {
	widget token /aud
	claim token header Authorization
	identify /identify
	session 1h
}
reverse_proxy UPSTREAM`)
	bearer := func(secret, widget string) string {
		return "Authorization: Bearer " + jwt(secret, fmt.Sprintf(`{"sub":"ada","aud":"%s","exp":%d}`, widget, inAnHour()))
	}
	session := g.session(t, "", bearer(testSecret, "shop"))
	header := "X-Chat-Session: " + session
	_, signed, _ := strings.Cut(session, "~")
	for _, c := range []struct {
		name, want string
		headers    []string
	}{
		{"alone", "ada", []string{header}},
		{"beside its token", "ada", []string{header, bearer(testSecret, "shop")}},
		{"beside another widget's token", "ada", []string{header, bearer(otherSecret, "other")}},
		{"beside a forged token", "400 ambiguous", []string{header, bearer(otherSecret, "shop")}},
		{"of another widget", "401 invalid", []string{"X-Chat-Session: other~" + signed}},
		{"of no widget", "403 widget_unknown", []string{"X-Chat-Session: nobody~" + signed}},
		{"without a widget", "403 widget_unknown", []string{"X-Chat-Session: ~" + signed}},
		{"of the reserved widget", "403 widget_unknown", []string{"X-Chat-Session: default~" + signed}},
	} {
		a := g.do(t, "GET", "/chat", "", c.headers...)
		equal(t, verdict(t, a), c.want, "%s", c.name)
	}
	a := g.do(t, "GET", "/chat", "", header)
	equal(t, a.seen.Header.Get("X-Verified-Widget"), "shop", "widget")
}

// TestSessionInFleet: a session holds on every gateway of a fleet, ends on all of them with its
// secret, and does not need the store.
func TestSessionInFleet(t *testing.T) {
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	one, two := newProcess(t, options, sessionWidgets), newProcess(t, options, sessionWidgets)
	one.run(t)
	two.run(t)
	secret := one.createInRedis(t)
	var session string
	eventually(t, "the widget is not known everywhere", func() bool {
		a, _ := two.identified(t, "/identify", claimWith(secret), "X-Widget-Key: shop")
		if a.Session != nil {
			session = a.Session.Token
		}
		return session != ""
	})
	for _, p := range []*process{one, two} {
		eventually(t, "the session does not verify", func() bool { return p.sessionVerdict(t, "shop", session) == "ada" })
	}
	server.Kill()
	for range 3 {
		equal(t, one.sessionVerdict(t, "shop", session), "ada", "while Redis is away")
		time.Sleep(10 * time.Millisecond)
	}
	server.Restart()
	var rotated string
	eventually(t, "Redis is not reached again", func() bool {
		c := one.call(t, "POST", "widgets/shop/rotate", "{}")
		rotated = c.Secret
		return c.status == http.StatusOK
	})
	for _, p := range []*process{one, two} {
		eventually(t, "the session verifies after the rotation", func() bool { return p.sessionVerdict(t, "shop", session) == "401 invalid" })
		eventually(t, "the new secret does not verify", func() bool {
			return verdict(t, p.post(t, claimWith(rotated), "X-Widget-Key: shop", "X-Chat-Session: "+session)) == "ada"
		})
	}
}
