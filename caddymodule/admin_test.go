package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// liveSite has requests name their widget, which the store has.
const liveSite = `chat_identity {
	widget {header.X-Widget-Key}
}
reverse_proxy UPSTREAM`

// called is an answer of the admin API.
type called struct {
	status int
	header http.Header
	body   string
	adminapi.Widget
	Error string `json:"error"`
}

// adminHTTP keeps no connection: each reload ends those of the admin endpoint.
var adminHTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// restart stops the gateway and starts it again.
func (g *gateway) restart(t testing.TB) {
	t.Helper()
	must(t, caddy.Stop())
	http.DefaultClient.CloseIdleConnections()
	load(t, g.config)
}

// call asks the admin API. A body is JSON.
func (g *gateway) call(t testing.TB, method, path, body string) *called {
	t.Helper()
	c, err := g.tryCall(method, path, body)
	must(t, err)
	return c
}

func (g *gateway) tryCall(method, path, body string) (*called, error) {
	r, err := http.NewRequest(method, "http://"+g.admin+adminapi.Path+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := adminHTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	c := &called{status: response.StatusCode, header: response.Header, body: string(text)}
	if strings.HasPrefix(c.body, "{") {
		err = json.Unmarshal(text, c)
	}
	return c, err
}

// create creates a widget and returns its secret.
func (g *gateway) create(t testing.TB, body string) string {
	t.Helper()
	c := g.call(t, "POST", "widgets", body)
	if c.status != http.StatusCreated || len(c.Secret) == 0 {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	return c.Secret
}

// createInRedis creates the widget shop as soon as Redis is reached, and returns its secret.
func (g *gateway) createInRedis(t testing.TB) (secret string) {
	t.Helper()
	eventually(t, "Redis is not reached", func() bool {
		c := g.call(t, "POST", "widgets", `{"id":"shop"}`)
		secret = c.Secret
		return c.status == http.StatusCreated
	})
	return secret
}

// rotate rotates a widget and returns its new secret.
func (g *gateway) rotate(t testing.TB, id, body string) string {
	t.Helper()
	c := g.call(t, "POST", "widgets/"+id+"/rotate", body)
	if c.status != http.StatusOK || len(c.Secret) != 64 {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	return c.Secret
}

// outcome sends a message of user-1 for the widget, signed with the secret, and
// returns the outcome that the upstream was sent, or the status of the refusal.
func (g *gateway) outcome(t testing.TB, widget, secret string) string {
	t.Helper()
	body := fmt.Sprintf(`{"user_id":"user-1","user_hash":"%s"}`, signWith(secret, "user-1"))
	a := g.post(t, body, "X-Widget-Key: "+widget)
	if a.seen == nil {
		return fmt.Sprint(a.StatusCode)
	}
	if outcome := a.seen.Header.Get("X-Identity-Outcome"); outcome != "verified" {
		return outcome + " " + a.seen.Header.Get("X-Identity-Reason")
	}
	if a.seen.user() != "user-1" || a.seen.Header.Get("X-Verified-Widget") != widget {
		t.Errorf("verified as %s of %s", a.seen.user(), a.seen.Header.Get("X-Verified-Widget"))
	}
	return "verified"
}

func TestAdminWidgetLife(t *testing.T) {
	g := live(t, "", liveSite)
	want := func(secret, want string) {
		t.Helper()
		equal(t, g.outcome(t, "shop", secret), want, "outcome")
	}
	want(testSecret, "invalid widget_unknown")

	c := g.call(t, "POST", "widgets", `{"id":"shop"}`)
	if c.status != 201 || c.ID != "shop" || c.Source != "stored" || len(c.Secret) != 64 || len(c.Secrets) != 1 || c.Created.IsZero() {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	if c.header.Get("Cache-Control") != "no-store" || c.header.Get("Location") != "/chat_identity/widgets/shop" {
		t.Errorf("headers %v", c.header)
	}
	first := c.Secret
	want(first, "verified")
	want(testSecret, "invalid invalid")

	second := g.rotate(t, "shop", "")
	want(first, "invalid invalid")
	want(second, "verified")

	c = g.call(t, "POST", "widgets/shop/rotate", `{"grace":"1h"}`)
	if len(c.Secrets) != 2 || !c.Secrets[0].Until.IsZero() || c.Secrets[1].Until.IsZero() ||
		time.Until(c.Secrets[1].Until) > time.Hour || time.Until(c.Secrets[1].Until) < 50*time.Minute {
		t.Errorf("secrets: %s", c.body)
	}
	want(second, "verified")
	want(c.Secret, "verified")
	want(first, "invalid invalid")

	third := g.rotate(t, "shop", "{}")
	want(second, "invalid invalid")
	want(third, "verified")

	if c = g.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`); c.status != 200 || c.Mode != "required" {
		t.Errorf("%d: %s", c.status, c.body)
	}
	want(second, "401") // bookbag's for whatever does not verify
	want(third, "verified")
	if c = g.call(t, "GET", "widgets/shop", ""); c.status != 200 || c.Mode != "required" || c.Secret != "" {
		t.Errorf("%d: %s", c.status, c.body)
	}
	if c = g.call(t, "DELETE", "widgets/shop", ""); c.status != 204 || c.body != "" {
		t.Errorf("%d: %s", c.status, c.body)
	}
	want(third, "invalid widget_unknown")

	again := g.create(t, `{"id":"shop","secret":"a-secret-brought-along"}`)
	if again != "a-secret-brought-along" {
		t.Errorf("secret %s", again)
	}
	want(third, "invalid invalid")
	want(again, "verified")
}

// A widget's own dialect counts from the moment it is set.
func TestAdminLiveDialect(t *testing.T) {
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	nextcap := fmt.Sprintf(`{"userId":"user-1","userHash":"%s"}`, signWith(secret, "user-1"))
	bookbag := fmt.Sprintf(`{"user_id":"user-1","user_hash":"%s"}`, signWith(secret, "user-1"))
	check := func(body, want string) {
		t.Helper()
		a := g.post(t, body, "X-Widget-Key: shop")
		equal(t, a.seen.Header.Get("X-Identity-Outcome"), want, "%s", body)
	}
	check(bookbag, "verified")
	check(nextcap, "anonymous")
	if c := g.call(t, "PATCH", "widgets/shop", `{"dialect":"nextcap"}`); c.status != 200 || c.Dialect != "nextcap" {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	check(bookbag, "anonymous")
	check(nextcap, "verified")

	// The request of an unknown widget loses claims in the dialect of any widget.
	a := g.post(t, nextcap, "X-Widget-Key: unknown")
	if strings.Contains(a.seen.Body, "userHash") || strings.Contains(a.seen.Body, "user-1") {
		t.Errorf("the claim was left: %s", a.seen.Body)
	}
	if c := g.call(t, "PATCH", "widgets/shop", `{"dialect":""}`); c.status != 200 || c.Dialect != "" {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	check(bookbag, "verified")
	if a := g.post(t, nextcap, "X-Widget-Key: unknown"); a.seen.Body != nextcap {
		t.Errorf("cut in a dialect that no widget has: %s", a.seen.Body)
	}
}

// A mode in the Caddyfile is a minimum for a stored widget's mode.
func TestAdminModeFloor(t *testing.T) {
	g := live(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy UPSTREAM")
	g.create(t, `{"id":"shop","mode":"off"}`)
	equal(t, g.outcome(t, "shop", testSecret), "401", "a stored widget is laxer than the Caddyfile")
}

// A handler that names one widget finds it once it is created.
func TestAdminLiteralWidget(t *testing.T) {
	g := live(t, "", "chat_identity required {\nwidget shop\n}\nreverse_proxy UPSTREAM")
	equal(t, g.outcome(t, "shop", testSecret), "403", "before")
	secret := g.create(t, `{"id":"shop"}`)
	if c := g.call(t, "POST", "widgets", `{"id":"bank"}`); !strings.Contains(c.Note, "No request can use it. No handler's requests can name this widget") {
		t.Errorf("a widget that no request can name: %s", c.body)
	}
	if c := g.call(t, "POST", "widgets", `{"id":"doubtful","secret":"`+secret+`;"}`); !strings.Contains(c.Note, "may not be what was meant") {
		t.Errorf("a secret with a semicolon: %s", c.body)
	}
	if c := g.call(t, "POST", "widgets", `{"id":"`+secret+`"}`); !strings.Contains(c.Note, "The id looks like a secret") {
		t.Errorf("a widget whose id is a secret: %s", c.body)
	}
	equal(t, g.outcome(t, "shop", secret), "verified", "after")
}

func TestAdminRefuses(t *testing.T) {
	g := live(t, "widget declared {\nsecret {env.TEST_SECRET}\n}", liveSite+"\nchat_identity /own {\nwidget own\nsecret {env.TEST_SECRET}\n}")
	g.create(t, `{"id":"shop"}`)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "widgets", `{"id":"shop"}`, 409, "rotate shop for a new secret"},
		{"POST", "widgets", `{"id":"declared"}`, 409, "defined in the configuration"},
		{"POST", "widgets", `{"id":"own"}`, 409, "the own widget of a handler: change it there, then reload, or choose another id"},
		{"GET", "widgets/default", "", 404, "cannot be created here"},
		{"POST", "widgets/default/rotate", "", 404, "cannot be created"},
		{"GET", "widgets/default/readiness", "", 404, "cannot be created"},
		{"POST", "widgets", `{"id":"default"}`, 400, "reserved"},
		{"POST", "widgets", `{"id":"a/b"}`, 400, "1 to 128 of"},
		{"POST", "widgets", `{"id":"` + strings.Repeat("x", 129) + `"}`, 400, "1 to 128 of"},
		{"POST", "widgets", ``, 400, "needs an id"},
		{"POST", "widgets", `{"id":"new","mode":"strict"}`, 400, "one of off, optional, required"},
		{"POST", "widgets", `{"id":"new","dialect":"klingon"}`, 400, "unknown dialect"},
		{"POST", "widgets", `{"id":"new","secret":"short"}`, 400, "shorter than 16 bytes"},
		{"POST", "widgets", `{"id":"new","secret":"$CHAT_IDENTITY_SECRET"}`, 400, "variable that nothing has replaced"},
		{"POST", "widgets", `{"id":"new","secret":"` + strings.Repeat("x", 1025) + `"}`, 400, "longer than 1024 bytes"},
		{"POST", "widgets", `{"id":"new","secret":1234567890123456}`, 400, "/secret has the wrong type"},
		{"POST", "widgets", `["new"]`, 400, "the body has the wrong type"},
		{"POST", "widgets", `{"id":"new","color":"red"}`, 400, "/color, which this call does not accept"},
		{"POST", "widgets", `{"id":"new","id":"other"}`, 400, "not valid JSON"},
		{"POST", "widgets", `{"id":"new"`, 400, "not valid JSON"},
		{"POST", "widgets", `["new"]`, 400, "wrong type"},
		{"POST", "widgets", `{"id":"` + strings.Repeat("x", 70_000) + `"}`, 413, "larger than 65536 bytes"},
		{"GET", "widgets/nobody", "", 404, "'caddy chat-identity list' has the ids"},
		{"DELETE", "widgets/shpo", "", 404, "no widget with that id: did you mean shop?"},
		{"POST", "widgets/Declared/rotate", "", 404, "did you mean declared?"},
		{"DELETE", "widgets/" + strings.Repeat("5d41402abc4b2a76", 4), "", 404, "no widget with that id: 'caddy"},
		{"PATCH", "widgets/nobody", `{"mode":"off"}`, 404, "no widget"},
		{"DELETE", "widgets/nobody", "", 404, "no widget"},
		{"POST", "widgets/nobody/rotate", "", 404, "no widget"},
		{"POST", "widgets/nobody/reveal", "", 403, "allow_reveal"},
		{"PATCH", "widgets/shop", `{}`, 400, "send mode, dialect, public_keys or jwks"},
		{"PATCH", "widgets/shop", `{"mode":"strict"}`, 400, "one of off"},
		{"PATCH", "widgets/shop", `{"secret":"another-secret-of-16"}`, 400, "/secret, which this call does not accept"},
		{"PATCH", "widgets/declared", `{"mode":"off"}`, 409, "then reload"},
		{"DELETE", "widgets/declared", "", 409, "then reload"},
		{"POST", "widgets/declared/rotate", "", 409, "then reload"},
		{"POST", "widgets/own/rotate", "", 409, "then reload"},
		{"POST", "widgets/shop/rotate", `{"grace":"soon"}`, 400, "such as 24h or 7d"},
		{"POST", "widgets/shop/rotate", `{"grace":"-1h"}`, 400, "such as 24h"},
		{"POST", "widgets/shop/rotate", `{"grace":"1000d"}`, 400, "up to a year"},
		{"POST", "widgets/shop/rotate", `{"grace":""}`, 400, "leave it out"},
		{"POST", "widgets/shop/rotate", `{"grace":null}`, 400, "leave it out"},
		{"POST", "widgets/shop/rotate", `{"grace":"0"}`, 400, "leave it out"},
		{"POST", "widgets/shop/rotate", `{"grace":5}`, 400, "leave it out"},
		{"POST", "widgets/shop/rotate", `null`, 400, "the body is null"},
		{"POST", "widgets/shop/reveal", "", 403, "allow_reveal"},
		{"GET", "widgets?limit=0", "", 400, "1 to 10000"},
		{"GET", "widgets/.hidden", "", 400, "invalid widget id"},
		{"GET", "widgets/a%2Fb", "", 404, "nothing at this path"},
		{"GET", "elsewhere", "", 404, "nothing at this path"},
		{"PUT", "widgets", "{}", 405, "GET or POST"},
		{"GET", "widgets/shop/rotate", "", 405, "the method here is POST"},
		{"POST", "stats", "", 405, "the method here is GET"},
	} {
		got := g.call(t, c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(got.Error, c.says) {
			t.Errorf("%s %s %.40s: %d %s, want %d, %s", c.method, c.path, c.body, got.status, got.body, c.status, c.says)
		}
		if got.status == 405 && got.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
		if strings.Contains(got.body, "1234567890123456") || strings.Contains(got.body, "5d41402abc4b2a76") || strings.Contains(got.body, "another-secret") {
			t.Errorf("%s %s: the error quotes a secret: %s", c.method, c.path, got.body)
		}
	}
	if c := g.call(t, "GET", "widgets/own", ""); c.status != 200 || c.Source != "handler" {
		t.Errorf("a handler's own: %d %s", c.status, c.body)
	}
}

func TestAdminReveal(t *testing.T) {
	g := live(t, "allow_reveal", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	if c := g.call(t, "POST", "widgets/shop/reveal", ""); c.status != 200 || c.Secret != secret {
		t.Errorf("%d: %s", c.status, c.body)
	}
	if c := g.call(t, "POST", "widgets/nobody/reveal", ""); c.status != 404 {
		t.Errorf("%d: %s", c.status, c.body)
	}
}

// TestAdminList: pages are whole and in order, whatever their size, and an id
// that is declared and stored appears once.
func TestAdminList(t *testing.T) {
	var declared strings.Builder
	for _, id := range []string{"a-inline", "m-inline", "w-03", "zz-inline"} {
		fmt.Fprintf(&declared, "widget %s {\nsecret {env.TEST_SECRET}\n}\n", id)
	}
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	g := live(t, "widgets file "+path, liveSite)
	if c := g.call(t, "GET", "widgets", ""); c.body != "[]\n" {
		t.Errorf("no widgets: %s", c.body)
	}
	want := []string{"a-inline", "m-inline"}
	for i := range 10 {
		id := fmt.Sprintf("w-%02d", i)
		want = append(want, id)
		g.create(t, `{"id":"`+id+`"}`)
	}
	want = append(want, "zz-inline")
	g = live(t, declared.String()+"widgets file "+path, liveSite)
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		next := fmt.Sprintf("widgets?limit=%d", limit)
		for next != "" {
			c := g.call(t, "GET", next, "")
			var page []adminapi.Widget
			if err := json.Unmarshal([]byte(c.body), &page); err != nil || len(page) > limit {
				t.Fatalf("%v: %s", err, c.body)
			}
			for _, w := range page {
				if got = append(got, w.ID); (w.Source == "inline") != (strings.HasSuffix(w.ID, "inline") || w.ID == "w-03") {
					t.Errorf("%s is %s", w.ID, w.Source)
				}
			}
			link, _, _ := strings.Cut(strings.TrimPrefix(c.header.Get("Link"), "<"+adminapi.Path), ">")
			next = link
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("by %d: %v", limit, got)
		}
	}
}

// A declared widget hides the stored one of its id.
func TestAdminInlineHidesStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	g := live(t, "widgets file "+path, liveSite)
	stored := g.create(t, `{"id":"shop"}`)
	g = live(t, "widgets file "+path+"\nwidget shop {\nsecret {env.TEST_SECRET}\n}", liveSite)
	equal(t, g.outcome(t, "shop", testSecret), "verified", "declared")
	equal(t, g.outcome(t, "shop", stored), "invalid invalid", "stored")
	// A handler's own widget is not the store's widget of that id in other handlers.
	g = live(t, "widgets file "+path, liveSite+"\nchat_identity /own {\nwidget shop\nsecret {env.TEST_SECRET}\n}")
	equal(t, g.outcome(t, "shop", stored), "invalid widget_unknown", "one id with two secrets")
}

func TestAdminStats(t *testing.T) {
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	for range 3 {
		g.outcome(t, "shop", secret)
	}
	g.outcome(t, "shop", testSecret)
	g.outcome(t, "nobody", testSecret)
	var got traffic.Stats
	must(t, json.Unmarshal([]byte(g.call(t, "GET", "stats", "").body), &got))
	if len(got.Widgets) != 1 || got.Widgets[0].ID != "shop" || got.Widgets[0].Requests != 4 || got.Widgets[0].Rate != 0.75 ||
		got.Widgets[0].Outcomes["verified"] != 3 || got.Widgets[0].Outcomes["invalid"] != 1 {
		t.Errorf("widgets %+v", got.Widgets)
	}
	if got.Unknown == nil || got.Unknown.Requests != 1 || got.Total.Requests != 5 || got.Total.Rate != 0.6 || got.Since.IsZero() {
		t.Errorf("%+v", got)
	}
}

// After a reload that failed, Caddy's admin endpoint still has the routes of
// the configuration that never ran.
func TestAdminAfterFailedReload(t *testing.T) {
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	broken := adapted(t, strings.Replace(g.config, "widget {header.X-Widget-Key}", "secret {env.NOT_SET}", 1))
	if err := caddy.Load(broken, true); err == nil || !strings.Contains(err.Error(), "NOT_SET") {
		t.Fatalf("the broken configuration loads: %v", err)
	}
	equal(t, g.outcome(t, "shop", secret), "verified", "after the failed reload")
	next := g.rotate(t, "shop", "")
	equal(t, g.outcome(t, "shop", secret), "invalid invalid", "the old secret")
	equal(t, g.outcome(t, "shop", next), "verified", "the new secret")
}

// Grace ends by itself, and a restart does not prolong it.
func TestGraceEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets file "+path, liveSite)
	old := g.create(t, `{"id":"shop"}`)
	eventually(t, "in grace the old secret fails", func() bool { // on a busy machine the grace may end first
		g.rotate(t, "shop", `{"grace":"2s"}`)
		if g.outcome(t, "shop", old) == "verified" {
			return true
		}
		old = g.rotate(t, "shop", "")
		return false
	})
	g.restart(t)
	eventually(t, "the grace does not end", func() bool { return g.outcome(t, "shop", old) != "verified" })
}

// The key that was created is its owner's alone, and decrypts after a restart. Lost, it
// is not replaced by another, which would only hide that.
func TestCreatedEncryptionKey(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	path := filepath.Join(data, "caddy", "chat_identity", "encryption.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	g.restart(t)
	equal(t, g.outcome(t, "shop", secret), "verified", "after a restart")
	key := read(t, path)
	must(t, os.Remove(path))
	g.restart(t)
	equal(t, g.outcome(t, "shop", secret), "unavailable unavailable", "without its key")
	if c := g.call(t, "GET", "widgets/shop", ""); !strings.Contains(c.Unavailable, "is missing") {
		t.Errorf("%s", c.body)
	}
	for _, call := range [][2]string{{"widgets", `{"id":"new"}`}, {"widgets/shop/rotate", ""}, {"reseal", ""}} {
		if c := g.call(t, "POST", call[0], call[1]); c.status != 503 || !strings.Contains(c.Error, "put "+path+" back from a backup and restart") {
			t.Errorf("%s: %d %s", call[0], c.status, c.body)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("another key was created")
	}
	must(t, os.WriteFile(path, key, 0o600))
	g.restart(t)
	equal(t, g.outcome(t, "shop", secret), "verified", "with its key again")
}

// TestReseal changes the encryption key, and drops the old one.
func TestReseal(t *testing.T) {
	t.Setenv("NEXT_KEY", "bmV4dC1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcyE=")
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	options := "\nwidgets file " + path
	g := live(t, "encryption_key {env.TEST_KEY}"+options, liveSite)
	old := g.create(t, `{"id":"shop"}`)
	current := g.rotate(t, "shop", `{"grace":"1h"}`)
	check := func(want string) {
		t.Helper()
		for _, secret := range []string{old, current} {
			equal(t, g.outcome(t, "shop", secret), want, "outcome")
		}
	}
	g = live(t, "encryption_key {env.NEXT_KEY}"+options, liveSite)
	check("unavailable unavailable")
	if c := g.call(t, "POST", "reseal", ""); c.status != 200 || !strings.Contains(c.body, `"failed":[{"id":"shop"`) {
		t.Errorf("%d %s", c.status, c.body)
	}
	g = live(t, "encryption_key {env.NEXT_KEY} {env.TEST_KEY}"+options, liveSite)
	check("verified")
	if c := g.call(t, "POST", "reseal", ""); c.status != 200 || !strings.Contains(c.body, `"resealed":1,"unchanged":0`) {
		t.Errorf("%d %s", c.status, c.body)
	}
	check("verified")
	if c := g.call(t, "POST", "reseal", ""); !strings.Contains(c.body, `"resealed":0,"unchanged":1`) {
		t.Errorf("%d %s", c.status, c.body)
	}
	g = live(t, "encryption_key {env.NEXT_KEY}"+options, liveSite)
	check("verified")
}
