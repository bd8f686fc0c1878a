package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// visiting is a directive whose requests name the visitor in their query.
func visiting(mode, options string) string {
	return "chat_identity " + mode + " {\nsecret {env.TEST_SECRET}\nvisitor query v\n" + options + "\n}\n"
}

// mergedFrom sends a visitor's request, and returns whom the upstream is to merge into
// the user.
func (g *gateway) mergedFrom(t testing.TB, method, user, visitor string, headers ...string) string {
	t.Helper()
	a := g.do(t, method, "/chat?v="+visitor, claim(user), append(headers, jsonType)...)
	if a.seen == nil || a.seen.user() != user {
		t.Fatalf("%s as %s: %d %s", method, user, a.StatusCode, a.body)
	}
	if n := len(a.seen.Header["X-Identity-Merge-From"]); n > 1 {
		t.Errorf("%d headers", n)
	}
	return a.seen.Header.Get("X-Identity-Merge-From")
}

// TestVisitor: the header comes with every request until the upstream has confirmed it.
func TestVisitor(t *testing.T) {
	g := newLive(t, ownLedger(t), visiting("", "")+"reverse_proxy UPSTREAM")
	config := adapted(t, g.config)
	reload := func() {
		must(t, activate(config))
	}
	load(t, g.config)
	throughReloads(t)
	for _, c := range []struct {
		method   string
		status   int
		confirms bool
	}{
		{"GET", 200, false}, {"GET", 204, false}, {"OPTIONS", 200, false},
		{"POST", 500, false}, {"POST", 503, false}, {"POST", 400, false}, {"POST", 403, false}, {"POST", 302, false}, {"PUT", 404, false},
		{"POST", 200, true}, {"POST", 201, true}, {"POST", 204, true}, {"PUT", 200, true}, {"PATCH", 200, true}, {"DELETE", 200, true}, {"PROPPATCH", 207, true},
	} {
		visitor := fmt.Sprintf("%s-%d", c.method, c.status)
		g.answersWith(c.status)
		for i := range 3 {
			want := visitor
			if i > 0 && c.confirms {
				want = ""
			}
			equal(t, g.mergedFrom(t, c.method, "zoe", visitor), want, "%s, request %d", visitor, i)
		}
		g.answersWith(200)
		if !c.confirms {
			equal(t, g.mergedFrom(t, "POST", "zoe", visitor), visitor, "%s, before it is confirmed", visitor)
		}
		for name, between := range map[string]func(){"at once": func() {}, "reload": reload, "restart": func() { g.restart(t) }} {
			if c.status > 201 && name != "at once" {
				continue // takes its time
			}
			between()
			for _, method := range []string{"GET", "POST"} {
				if got := g.mergedFrom(t, method, "zoe", visitor); got != "" {
					t.Errorf("%s, confirmed, %s: %s says %q again", visitor, name, method, got)
				}
			}
		}
		// Letter case makes no other visitor; another id does.
		equal(t, g.mergedFrom(t, "POST", "zoe", strings.ToLower(visitor)), "", "%s in small letters", visitor)
		equal(t, g.mergedFrom(t, "GET", "zoe", visitor+"-2"), visitor+"-2", "the user's second visitor")
	}
}

// throughReloads has requests sent again that no server has read, as retried says.
func throughReloads(t *testing.T) {
	http.DefaultClient.Transport = retried{&http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() { http.DefaultClient.Transport = nil })
}

// TestVisitorHead: a HEAD request confirms nothing, either.
func TestVisitorHead(t *testing.T) {
	g := ledgered(t, visiting("", "")+"reverse_proxy UPSTREAM")
	for range 2 {
		a := g.do(t, "HEAD", "/chat?v=v1&"+signedQuery("zoe"), "")
		if a.seen == nil || a.seen.Header.Get("X-Identity-Merge-From") != "v1" {
			t.Errorf("%d %+v", a.StatusCode, a.seen)
		}
	}
}

// TestVisitorDead: an upstream that is not reached confirms nothing.
func TestVisitorDead(t *testing.T) {
	g := ledgered(t, visiting("", "")+fmt.Sprintf("@dead method PUT\nreverse_proxy @dead 127.0.0.1:%d\nreverse_proxy UPSTREAM", freePort(t)))
	for range 2 {
		equal(t, g.do(t, "PUT", "/chat?v=v1", claim("zoe"), jsonType).StatusCode, 502, "status")
	}
	for _, want := range []string{"v1", ""} {
		equal(t, g.mergedFrom(t, "POST", "zoe", "v1"), want, "merged from")
	}
}

// TestVisitorSurvives: what was confirmed stays so after kill -9, and what was
// not comes again.
func TestVisitorSurvives(t *testing.T) {
	t.Parallel()
	p := newProcess(t, ownLedger(t), visiting("", "")+"reverse_proxy UPSTREAM")
	p.run(t)
	for _, step := range []struct{ method, visitor string }{{"POST", "confirmed"}, {"GET", "read"}} {
		equal(t, p.mergedFrom(t, step.method, "zoe", step.visitor), step.visitor, "%s", step.visitor)
	}
	p.kill(t)
	http.DefaultClient.CloseIdleConnections()
	p.run(t)
	for _, step := range []struct{ user, visitor, want string }{
		{"zoe", "confirmed", ""}, {"ada", "confirmed", ""}, {"ada", "read", ""}, {"zoe", "read", "read"}, {"zoe", "read", ""},
	} {
		equal(t, p.mergedFrom(t, "POST", step.user, step.visitor), step.want, "%+v", step)
	}
}

// mergingBackend is a websocketBackend that says whom it is to merge, and refuses one
// conversation.
func mergingBackend(t *testing.T) (*httptest.Server, <-chan string) {
	t.Helper()
	merged := make(chan string, 1)
	u := websocketBackend(t)
	backend := u.Config.Handler
	u.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		merged <- r.Header.Get("X-Identity-Merge-From")
		if r.URL.Query().Get("c") == "refused" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		backend.ServeHTTP(w, r)
	})
	return u, merged
}

// TestVisitorUpgrade: a WebSocket confirms, although it begins with a GET.
func TestVisitorUpgrade(t *testing.T) {
	u, merged := mergingBackend(t)
	g := ledgered(t, visiting("", "")+"reverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	for i, step := range []struct {
		upgrade, want string
		status        int
	}{{"h2c", "v1", 418}, {"websocket", "v1", 101}, {"websocket", "", 101}} {
		c, response := g.upgrade(t, "/ws?v=v1&"+signedQuery("zoe"), step.upgrade)
		equal(t, response.StatusCode, step.status, "step %d", i)
		equal(t, <-merged, step.want, "step %d", i)
		_ = c.Close()
	}
}

// TestVisitorOverHTTP3: a WebSocket over HTTP/3 confirms as well, although it
// begins with a CONNECT and a 200. It takes its conversation and its token along.
func TestVisitorOverHTTP3(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	u, merged := mergingBackend(t)
	address, _ := secure(t, oneTime("required", "visitor query v\nconversation query c"), u.URL)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h3 := dialHTTP3(ctx, t, strings.TrimPrefix(address, "https://"))
	first := newToken("zoe")
	for i, step := range []struct {
		token        ticket
		conversation string
		status       int
		from         string
	}{
		{newToken("zoe"), "refused", 418, "v1"}, {first, "c1", 200, "v1"}, {first, "c1", 403, ""}, {newToken("zoe"), "c1", 200, ""},
		{newToken("ada"), "c1", 403, ""}, {newToken("ada"), "refused", 418, ""},
	} {
		stream := extendedConnect(ctx, t, h3, address+"/ws?v=v1&c="+step.conversation+"&"+step.token.query(), "websocket", nil)
		response, err := stream.ReadResponse()
		if err != nil || response.StatusCode != step.status {
			t.Fatalf("step %d: %v, %v; want %d", i, response, err, step.status)
		}
		if step.status != 403 {
			equal(t, <-merged, step.from, "step %d", i)
		}
		stream.CancelRead(0)
		_ = stream.Close()
	}
}

// TestVisitorOfAnother: a visitor who is merged into one user is not merged
// into another. The operator is warned, a few lines a second.
func TestVisitorOfAnother(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	g, lines := logged(t, "INFO", visiting("", "")+"reverse_proxy UPSTREAM")
	equal(t, g.mergedFrom(t, "POST", "zoe", "visitor-7f3a"), "visitor-7f3a", "at first")
	// One that is not merged yet is reserved as well.
	equal(t, g.mergedFrom(t, "GET", "zoe", "visitor-8f3a"), "visitor-8f3a", "at first")
	const attempts = 100
	for i := range attempts {
		if got := g.mergedFrom(t, "POST", "mallory", []string{"visitor-7f3a", "VISITOR-7F3A", "visitor-8f3a"}[i%3]); got != "" {
			t.Fatalf("merged into mallory: %q", got)
		}
	}
	equal(t, g.mergedFrom(t, "POST", "zoe", "visitor-8f3a"), "visitor-8f3a", "merged into its user")
	warned := 0
	for _, line := range lines() {
		if !strings.Contains(line, ourLogger) {
			continue
		}
		if strings.Contains(line, "is not merged") {
			warned++
		}
		if strings.Contains(strings.ToLower(line), "visitor-") || strings.Contains(line, "mallory") {
			t.Errorf("the log says of whom: %s", line)
		}
	}
	if warned == 0 || warned > attempts/2 {
		t.Errorf("%d warnings", warned)
	}
}

// TestVisitorUnverified: only a verified user's visitor is merged, whoever asks.
func TestVisitorUnverified(t *testing.T) {
	for _, mode := range []string{"off", "optional", "required"} {
		for _, global := range []string{"", allowAll + "\n"} {
			g := start(t, global+"chat_identity {\n"+ownLedger(t)+"\n}", visiting(mode, "")+"reverse_proxy UPSTREAM")
			for name, body := range map[string]string{
				"anonymous": `{"text":"hi"}`, "partial": `{"user_id":"zoe"}`, "invalid": `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`, "verified": claim("zoe"),
			} {
				for _, forged := range append(spellings("X-Identity-Merge-From"), "X-Nothing") {
					a := g.do(t, "POST", "/chat?v="+name, body, jsonType, forged+": victim")
					if a.seen == nil {
						if mode != "required" || name == "verified" {
							t.Errorf("%s, %s: %d", mode, name, a.StatusCode)
						}
						continue
					}
					a.seen.Header.Del("X-Nothing")
					if all := fmt.Sprint(a.seen.Header); strings.Contains(all, "victim") {
						t.Errorf("%s, %s, %q: %s", mode, name, forged, all)
					}
					if got := a.seen.Header.Get("X-Identity-Merge-From"); got != "" && (name != "verified" || mode == "off" || forged != "X-Identity-Merge-From") {
						t.Errorf("%s, %s: merged from %q", mode, name, got)
					}
				}
			}
			// Requests without a verified user have reserved no visitor.
			for _, name := range []string{"anonymous", "partial", "invalid"} {
				if mode == "off" {
					continue
				}
				equal(t, g.mergedFrom(t, "POST", "ada", name), name, "%s, %s, of ada", mode, name)
			}
		}
	}
}

// TestVisitorRefused: a request that is refused has merged nobody.
func TestVisitorRefused(t *testing.T) {
	g := ledgered(t, visiting("", "conversation body /c")+"reverse_proxy UPSTREAM")
	g.say(t, "zoe", "c1")
	a := g.do(t, "POST", "/chat?v=v1", in("c1", claim("ada")), jsonType)
	checkProblem(t, a, 403, "conversation_claimed", "bookbag")
	a = g.do(t, "POST", "/chat?v=v1", in("c1", claim("zoe")), jsonType)
	equal(t, a.seen.Header.Get("X-Identity-Merge-From"), "v1", "ada's refused request has taken the visitor")
	// Both are settled by one answer.
	for i, want := range []string{"v2", ""} {
		a = g.do(t, "POST", "/chat?v=v2", in("c2", claim("zoe")), jsonType)
		equal(t, a.seen.Header.Get("X-Identity-Merge-From"), want, "request %d", i)
	}
	equal(t, verdict(t, g.say(t, "ada", "c2")), "403 conversation_claimed", "another user")
}

// TestVisitorHeader: the header has the name that the operator gives it, and
// no other comes through.
func TestVisitorHeader(t *testing.T) {
	forged := []string{"X-Old-Visitor: victim", "x_old_visitor: victim", "X-Identity-Merge-From: victim"}
	g := ledgered(t, visiting("", "header merge_from X-Old-Visitor")+"reverse_proxy UPSTREAM")
	for _, want := range []string{"v1", ""} {
		a := g.do(t, "POST", "/chat?v=v1", claim("zoe"), append(forged, jsonType)...)
		if got := strings.Join(a.seen.Header["X-Old-Visitor"], ","); got != want || strings.Contains(fmt.Sprint(a.seen.Header), "victim") {
			t.Errorf("renamed: %v", a.seen.Header)
		}
		if _, old := a.seen.Header["X-Identity-Merge-From"]; old {
			t.Errorf("renamed: %v", a.seen.Header)
		}
	}
	g = ledgered(t, visiting("", "header merge_from off")+"reverse_proxy UPSTREAM")
	a := g.do(t, "POST", "/chat?v=v1", claim("zoe"), append(forged[2:], jsonType)...)
	want := map[string]string{"X-Verified-User": "zoe", "X-Verified-Widget": "default", "X-Identity-Outcome": "verified"}
	if got := ourHeaders(a.seen); !maps.Equal(got, want) {
		t.Errorf("off: %v", got)
	}
}

// TestVisitorPlaces: the places where a request can name its visitor, and the spellings
// that are refused.
func TestVisitorPlaces(t *testing.T) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	type request struct {
		query, body string
		headers     []string
	}
	signed := func(members string) string { return "{" + members + claim("zoe")[1:] }
	for _, c := range []struct {
		option string
		good   []request // name the visitor v-1
		bad    map[string][]request
	}{
		{"body /v", []request{{"", signed(`"v":"v-1",`), nil}, {"", signed(`"v":"\u0076-1",`), nil}, {"", "v=v-1&" + signedQuery("zoe"), []string{form}}}, map[string][]request{
			"400 ambiguous": {{"", signed(`"v":"v-1","v":"v-2",`), nil}, {"", signed(`"V":"v-1",`), nil}, {"", "v[]=v-1&" + signedQuery("zoe"), []string{form}}},
			"400 malformed": {{"", signed(`"v":["v-1"],`), nil}, {"", signed(`"v":true,`), nil}, {"", signed(`"v":"v 1",`), nil}, {"", signed(`"v":"` + strings.Repeat("v", 256) + `",`), nil}},
		}},
		{"body /meta/v", []request{{"", signed(`"meta":{"v":"v-1"},`), nil}}, map[string][]request{
			"400 ambiguous": {{"", signed(`"META":{"v":"v-1"},`), nil}},
		}},
		{"query v", []request{{"?v=v-1", claim("zoe"), nil}, {"?v=%76-1", claim("zoe"), nil}}, map[string][]request{
			"400 ambiguous": {{"?v=v-1&v=v-2", claim("zoe"), nil}, {"?V=v-1", claim("zoe"), nil}, {"?v[]=v-1", claim("zoe"), nil}},
			"400 malformed": {{"?v=v-1%zz", claim("zoe"), nil}, {"?v=v+1", claim("zoe"), nil}, {"?v=%0d%0aX-Verified-User:victim", claim("zoe"), nil}},
		}},
		{"header X-Visitor", []request{{"", claim("zoe"), []string{"x-visitor: v-1"}}}, map[string][]request{
			"400 ambiguous": {{"", claim("zoe"), []string{"X-Visitor: v-1", "X-Visitor: v-2"}}},
			"400 malformed": {{"", claim("zoe"), []string{"X-Visitor: v-1, v-2"}}, {"", claim("zoe"), []string{"X-Visitor: v-1,v-2"}}},
		}},
		{"cookie v", []request{{"", claim("zoe"), []string{"Cookie: a=1; v=v-1"}}, {"", claim("zoe"), []string{"Cookie: v=%76-1"}}, {"", claim("zoe"), []string{`Cookie: v="v-1"; v=v-1`}}}, map[string][]request{
			"400 ambiguous": {{"", claim("zoe"), []string{"Cookie: v=v-1; v=v-2"}}, {"", claim("zoe"), []string{"Cookie: V=v-1"}}},
			"400 malformed": {{"", claim("zoe"), []string{`Cookie: v="v-1`}}, {"", claim("zoe"), []string{`Cookie: v="\166-1"`}}},
		}},
		{"{header.X-Visitor}-{query.n}", []request{{"?n=1", claim("zoe"), []string{"X-Visitor: v"}}}, map[string][]request{
			"400 ambiguous": {{"?n=1&n=2", claim("zoe"), []string{"X-Visitor: v"}}, {"?n=1", claim("zoe"), []string{"X-Visitor: v", "X-Visitor: w"}}},
			"400 malformed": {{"?n=%23", claim("zoe"), []string{"X-Visitor: v"}}},
		}},
	} {
		g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nvisitor "+c.option+"\n}\nreverse_proxy UPSTREAM")
		g.answersWith(500)
		send := func(r request) *answered {
			t.Helper()
			headers := r.headers
			if strings.HasPrefix(r.body, "{") {
				headers = append([]string{jsonType}, headers...)
			}
			return g.do(t, "POST", "/chat"+r.query, r.body, headers...)
		}
		for _, r := range c.good {
			if a := send(r); a.seen == nil || a.seen.user() != "zoe" || a.seen.Header.Get("X-Identity-Merge-From") != "v-1" {
				t.Errorf("%s: %+v: %d %s", c.option, r, a.StatusCode, a.body)
			}
		}
		for want, requests := range c.bad {
			for _, r := range requests {
				equal(t, verdict(t, send(r)), want, "%s: %.200q", c.option, fmt.Sprint(r))
			}
		}
		if a := send(request{"", claim("zoe"), nil}); a.seen == nil || a.seen.Header.Get("X-Identity-Merge-From") != "" {
			t.Errorf("%s: without a visitor: %d %+v", c.option, a.StatusCode, a.seen)
		}
	}
	g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nvisitor body /v\n}\nreverse_proxy UPSTREAM")
	for _, want := range []string{"42", ""} {
		if a := g.post(t, signed(`"v":42,`)); a.seen == nil || a.seen.Header.Get("X-Identity-Merge-From") != want {
			t.Errorf("a number: %d %+v", a.StatusCode, a.seen)
		}
	}
}

// TestVisitorWidgets: each widget has visitors of its own.
func TestVisitorWidgets(t *testing.T) {
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget help {\nsecret {env.TEST_SECRET}\n}\n"+ownLedger(t),
		"chat_identity {\nwidget {header.X-Widget-Key}\nvisitor query v\n}\nreverse_proxy UPSTREAM")
	for i, step := range []struct{ user, widget, want string }{
		{"zoe", "shop", "v1"}, {"ada", "help", "v1"}, {"ada", "shop", ""}, {"zoe", "help", ""}, {"ada", "help", ""},
	} {
		equal(t, g.mergedFrom(t, "POST", step.user, "v1", "X-Widget-Key: "+step.widget), step.want, "step %d", i)
	}
}

// TestVisitorRace: of many users who bring one visitor along at once, one gets it.
func TestVisitorRace(t *testing.T) {
	const users, visitors = 16, 10
	g := ledgered(t, visiting("", "")+"reverse_proxy UPSTREAM")
	var mu sync.Mutex
	merged := make(map[string]map[string]bool)
	g.answers(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if v := r.Header.Get("X-Identity-Merge-From"); v != "" {
			if merged[v] == nil {
				merged[v] = make(map[string]bool)
			}
			merged[v][r.Header.Get("X-Verified-User")] = true
		}
	})
	client := manyClients(users)
	for i := range visitors {
		var group sync.WaitGroup
		for u := range users {
			group.Go(func() {
				equal(t, g.statusAt(client, fmt.Sprint("/chat?v=v", i), claim(fmt.Sprint("user-", u))), 200, "status")
			})
		}
		group.Wait()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(merged) != visitors {
		t.Errorf("%d of %d visitors were merged", len(merged), visitors)
	}
	for v, users := range merged {
		if len(users) != 1 {
			t.Errorf("%s was merged into %v", v, users)
		}
	}
}

// TestVisitorBound: made-up visitors do not fill the disk. A user's share is limited,
// his requests pass, and others' visitors are merged.
func TestVisitorBound(t *testing.T) {
	const left, many = 10, 40
	g := ledgered(t, visiting("", "")+"reverse_proxy UPSTREAM")
	app := active(t)
	// Most of his share is used up already.
	share := ledger.Share{Owner: ledgerDigest(kindVisitors, defaultWidget, []byte("mallory")), Limit: defaultLimit}
	var group sync.WaitGroup
	for i := range defaultLimit - left {
		group.Go(func() {
			key := ledgerDigest(kindVisitor, defaultWidget, []byte(fmt.Sprint("before-", i)))
			if _, err := app.ledger.Reserve(t.Context(), key, ledgerDigest(kindUser, defaultWidget, []byte("mallory")), time.Now().Add(defaultKeep), share); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var merged atomic.Int64
	g.answers(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Merge-From") != "" {
			merged.Add(1)
		}
	})
	client := manyClients(many)
	for i := range many {
		group.Go(func() {
			equal(t, g.statusAt(client, fmt.Sprint("/chat?v=made-up-", i), claim("mallory")), 200, "status")
		})
	}
	group.Wait()
	if merged.Load() != left {
		t.Errorf("%d visitors were merged, want %d", merged.Load(), left)
	}
	if got := g.mergedFrom(t, "POST", "zoe", fmt.Sprint("made-up-", many)); got == "" {
		t.Error("another user's visitor is not merged")
	}
}

// TestVisitorLedgerDown: merging can wait.
func TestVisitorLedgerDown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.WriteFile(path, []byte("damaged"), 0o600))
	g := live(t, "ledger bolt "+path, visiting("required", "")+"reverse_proxy UPSTREAM")
	for range 3 {
		equal(t, g.mergedFrom(t, "POST", "zoe", "v1"), "", "merged from")
	}
	must(t, os.Remove(path))
	eventually(t, "it does not recover", func() bool { return g.mergedFrom(t, "POST", "zoe", "v1") == "v1" })
	equal(t, g.mergedFrom(t, "POST", "zoe", "v1"), "", "confirmed")
}
