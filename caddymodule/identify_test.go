package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

const page = "Origin: https://www.example.com"

// checkIdentified compares an answer of identify() with the contract.
func checkIdentified(t *testing.T, a *answered, want string) {
	t.Helper()
	if a.StatusCode != 200 || a.body != want+"\n" || a.seen != nil {
		t.Errorf("%d %s, want %s; upstream saw %+v", a.StatusCode, a.body, want, a.seen)
	}
	if got := a.Header; got.Get("Content-Type") != "application/json" || got.Get("Cache-Control") != "no-store" || got.Get("Content-Length") != fmt.Sprint(len(a.body)) {
		t.Errorf("headers %v", got)
	}
	for name := range a.Header {
		if folded := hop.Fold(name); strings.HasPrefix(folded, "x-verified") || strings.HasPrefix(folded, "x-identity") {
			t.Errorf("header %s", name)
		}
	}
	if !json.Valid([]byte(a.body)) || strings.ContainsAny(a.body, "<>\u2028") {
		t.Errorf("body %s", a.body)
	}
}

// TestIdentify goes through modes and reasons.
func TestIdentify(t *testing.T) {
	var site strings.Builder
	for _, mode := range []string{"off", "optional", "required"} {
		fmt.Fprintf(&site, "handle /%s/* {\nchat_identity /never %[1]s {\ndialect snapengage\nwidget {header.X-Widget-Key}\nmax_body 4KiB\nidentify /%[1]s/identify\nreject conversation_claimed 409\n}\nreverse_proxy UPSTREAM\n}\n", mode)
	}
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget plain {\nsecret {env.TEST_SECRET}\ndialect bookbag\n}\nwidget strict {\nsecret {env.TEST_SECRET}\nmode required\n}", site.String())
	const anonymous = `{"verified":false,"prefill":{}}`
	forged := newToken("zoe")
	forged.signature = sign("zoe")
	old := tokenAt("zoe", time.Now().Add(-time.Hour))
	for _, c := range []struct {
		name, widget, body string
		optional, required string
	}{
		{"verified", "shop", newToken("zoe").json(), `{"verified":true,"user":{"id":"zoe"}}`, `{"verified":true,"user":{"id":"zoe"}}`},
		{"verified, with more", "shop", newToken("zoe").json(`"name":"Zoe"`), `{"verified":true,"user":{"id":"zoe"}}`, `{"verified":true,"user":{"id":"zoe"}}`},
		{"of another dialect", "plain", claim("<b>"), `{"verified":true,"user":{"id":"\u003cb\u003e"}}`, `{"verified":true,"user":{"id":"\u003cb\u003e"}}`},
		{"a number", "plain", `{"user_id":42,"user_hash":"` + sign("42") + `"}`, `{"verified":true,"user":{"id":"42"}}`, `{"verified":true,"user":{"id":"42"}}`},
		{"missing", "shop", `{}`, anonymous, "401 missing"},
		{"missing, with a name", "shop", `{"name":"Zoé"}`, `{"verified":false,"prefill":{"name":"Zoé"}}`, "401 missing"},
		{"partial", "shop", `{"user_id":"zoe","email":"z@example.com"}`, `{"verified":false,"prefill":{"email":"z@example.com"}}`, "401 partial"},
		{"invalid", "shop", forged.json(`"name":"Zoe"`, `"email":"z@example.com"`), `{"verified":false,"prefill":{"name":"Zoe","email":"z@example.com"}}`, "403 invalid"},
		{"expired", "shop", old.json(), anonymous, "401 expired"},
		{"unknown widget", "nobody", newToken("zoe").json(`"name":"Zoe"`), `{"verified":false,"prefill":{"name":"Zoe"}}`, "403 widget_unknown"},
		{"markup", "shop", `{"name":"</script><b onclick='x'>&\"\\ \u2028\u0000","email":"<z@example.com>"}`,
			`{"verified":false,"prefill":{"name":"\u003c/script\u003e\u003cb onclick='x'\u003e\u0026\"\\ \u2028\u0000","email":"\u003cz@example.com\u003e"}}`, "401 missing"},
		{"as long as it may be", "shop", `{"name":"` + strings.Repeat("é", 200) + `"}`, `{"verified":false,"prefill":{"name":"` + strings.Repeat("é", 200) + `"}}`, "401 missing"},
		{"name too long", "shop", `{"name":"` + strings.Repeat("é", 201) + `"}`, anonymous, "401 missing"},
		{"address too long", "shop", `{"email":"` + strings.Repeat("e", 255) + `"}`, anonymous, "401 missing"},
		{"newline in an address", "shop", `{"email":"a\r\nb"}`, anonymous, "401 missing"},
		{"name of another type", "shop", `{"name":["Zoe"]}`, anonymous, "401 missing"},
		{"no JSON", "shop", `{"user_id":`, "400 malformed", "400 malformed"},
		{"no JSON, no claim", "shop", `{"name":`, anonymous, "401 missing"},
		{"two users", "shop", newToken("zoe").json(`"user_id":"ada"`), "400 ambiguous", "400 ambiguous"},
		{"two names", "shop", `{"name":"a","name":"b"}`, anonymous, "401 missing"},
		{"too large", "shop", `{"text":"` + strings.Repeat("x", 5000) + `"}`, "413 too_large", "413 too_large"},
		{"a strict widget", "strict", `{}`, "401 missing", "401 missing"},
	} {
		for mode, want := range map[string]string{"off": `{"status":"disabled"}`, "optional": c.optional, "required": c.required} {
			if c.widget == "strict" && mode == "off" {
				want = c.required // the widget is stricter
			}
			a := g.do(t, "POST", "/"+mode+"/identify?a=1", c.body, jsonType, "X-Widget-Key: "+c.widget, "X-Verified-User: victim")
			if strings.HasPrefix(want, "{") {
				checkIdentified(t, a, want)
			} else if got := verdict(t, a); got != want {
				t.Errorf("%s: %s: %s, want %s", mode, c.name, got, want)
			}
			if strings.Contains(a.body, "victim") {
				t.Errorf("%s: %s: %s", mode, c.name, a.body)
			}
		}
	}
	// The same from a form and from the query.
	k := newToken("zoe")
	for name, a := range map[string]*answered{
		"form":  g.do(t, "POST", "/required/identify", k.query(), "X-Widget-Key: shop", "Content-Type: application/x-www-form-urlencoded"),
		"query": g.do(t, "POST", "/required/identify?"+k.query(), "", "X-Widget-Key: shop"),
		"twice": g.do(t, "POST", "/required/identify?"+k.query(), k.json(), "X-Widget-Key: shop", jsonType),
	} {
		t.Run(name, func(t *testing.T) { checkIdentified(t, a, `{"verified":true,"user":{"id":"zoe"}}`) })
	}
}

// TestIdentifyPath: other paths and methods are the next handler's.
func TestIdentifyPath(t *testing.T) {
	g := start(t, "", "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /chat/identify\ncors https://www.example.com\n}\nreverse_proxy UPSTREAM")
	preflight := []string{page, "Access-Control-Request-Method: POST"}
	for _, c := range []struct {
		method, path string
		headers      []string
		answered     bool
	}{
		{"POST", "/chat/identify", nil, true},
		{"POST", "/chat/identify?a=/other", nil, true},
		{"POST", "/chat/ide%6etify", nil, true},
		{"OPTIONS", "/chat/identify", preflight, true},
		{"GET", "/chat/identify", nil, false},
		{"HEAD", "/chat/identify", nil, false},
		{"PUT", "/chat/identify", nil, false},
		{"DELETE", "/chat/identify", nil, false},
		{"OPTIONS", "/chat/identify", nil, false},
		{"OPTIONS", "/chat/identify", preflight[:1], false},
		{"OPTIONS", "/chat/other", preflight, false},
		{"POST", "/chat/identify/", nil, false},
		{"POST", "/chat/identify/more", nil, false},
		{"POST", "/chat/Identify", nil, false},
		{"POST", "/chat", nil, false},
		{"POST", "//chat/identify", nil, false},
	} {
		a := g.do(t, c.method, c.path, "", append(c.headers, "X-Verified-User: victim")...)
		if (a.seen == nil) != c.answered || a.StatusCode >= 300 {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.StatusCode, a.body)
		}
		if a.seen != nil && a.seen.user() != "" {
			t.Errorf("%s %s: %v", c.method, c.path, a.seen.Header)
		}
	}
}

// TestIdentifyCORS: scripts of the operator's origins may ask and read, others
// get no header that would let them.
func TestIdentifyCORS(t *testing.T) {
	for _, mode := range []string{"optional", "required"} {
		g := start(t, "", "chat_identity "+mode+" {\nsecret {env.TEST_SECRET}\nidentify /identify\ncors https://www.example.com http://localhost:3000\n}\nreverse_proxy UPSTREAM")
		for origin, allowed := range map[string]bool{
			"https://www.example.com": true, "http://localhost:3000": true, "https://evil.example": false, "https://www.example.com.evil.example": false,
			"http://www.example.com": false, "null": false, "https://WWW.example.com": false, "https://www.example.com:443": false, "": false,
		} {
			want, credentials := "", ""
			if allowed {
				want, credentials = origin, "true"
			}
			check := func(name string, a *answered) {
				t.Helper()
				if a.Header.Get("Access-Control-Allow-Origin") != want || a.Header.Get("Access-Control-Allow-Credentials") != credentials || !slices.Contains(a.Header["Vary"], "Origin") {
					t.Errorf("%s, %q: %v", name, origin, a.Header)
				}
			}
			check("verified", g.do(t, "POST", "/identify", claim("zoe"), jsonType, "Origin: "+origin))
			check("missing", g.do(t, "POST", "/identify", `{}`, jsonType, "Origin: "+origin))
			check("malformed", g.do(t, "POST", "/identify", `{`, jsonType, "Origin: "+origin))
			check("refused elsewhere", g.post(t, `{user_id`, "Origin: "+origin))
			a := g.do(t, "OPTIONS", "/identify", "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-widget-key")
			check("preflight", a)
			methods, headers := "", ""
			if allowed {
				methods, headers = "POST", "content-type,x-widget-key"
			}
			if a.StatusCode != 204 || a.seen != nil || a.body != "" || a.Header.Get("Access-Control-Allow-Methods") != methods || a.Header.Get("Access-Control-Allow-Headers") != headers {
				t.Errorf("preflight of %q: %d %v", origin, a.StatusCode, a.Header)
			}
		}
		a := g.do(t, "POST", "/identify", `{}`, jsonType, page, "Origin: https://evil.example")
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("two origins: %v", a.Header)
		}
		if a := g.post(t, claim("zoe"), page); a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the upstream's answer is not this module's to share: %v", a.Header)
		}
	}
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /identify\ncors *\n}")
	for _, c := range [][3]string{{"POST", "/identify", ""}, {"OPTIONS", "/identify", ""}, {"POST", "/chat", `{user_id`}} {
		a := g.do(t, c[0], c[1], c[2], jsonType, "Origin: https://any.example", "Access-Control-Request-Method: POST")
		if a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" || a.seen != nil {
			t.Errorf("%s: %d %v", c, a.StatusCode, a.Header)
		}
	}
	// Without cors, preflights are the upstream's.
	g = start(t, "", "chat_identity required {\nsecret {env.TEST_SECRET}\nidentify /identify\n}\nreverse_proxy UPSTREAM")
	a := g.do(t, "OPTIONS", "/identify", "", page, "Access-Control-Request-Method: POST")
	if a.seen == nil || a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if a := g.do(t, "POST", "/identify", claim("zoe"), jsonType, page); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.Header)
	}
}

// TestIdentifyErrorRoutes: refusals take the way that the operator chose.
func TestIdentifyErrorRoutes(t *testing.T) {
	g := start(t, "", "chat_identity required {\nsecret {env.TEST_SECRET}\nidentify /identify\nrefuse error\nmax_body 1KiB\n}\nreverse_proxy UPSTREAM\n"+strings.Replace(errorSite, "FIRST", "chat_identity off", 1))
	checkIdentified(t, g.do(t, "POST", "/identify", claim("zoe"), jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
	for body, want := range map[string]string{
		`{}`: "401 missing", `{"user_id":"victim","user_hash":"no"}`: "401 invalid", `{"user_id":"victim","user_id":"a"}`: "400 ambiguous", `{user_id`: "400 malformed",
		`{"a":"` + strings.Repeat("x", 2000) + `"}`: "413 too_large",
	} {
		a := g.do(t, "POST", "/identify?user_id=victim", body, jsonType, "X-Verified-User: victim")
		if a.seen == nil {
			t.Fatalf("%.40s: %d %s", body, a.StatusCode, a.body)
		}
		if got := a.Header.Get("X-Status") + " " + a.Header.Get("X-Reason"); a.seen.Body != "" || got != want {
			if !strings.HasSuffix(want, "missing") || got != "401 partial" { // the query is half a claim
				t.Errorf("%.40s: %s, want %s, body %q", body, got, want, a.seen.Body)
			}
		}
		if all := fmt.Sprintf("%+v %v", *a.seen, a.Header); strings.Contains(all, "victim") {
			t.Errorf("%.40s: the claim is still there: %s", body, all)
		}
	}
}

// TestIdentifyBehindAnother: where something stands between two handlers, the first that
// takes a request decides about it, and identify() of the later one gets what that forwards.
func TestIdentifyBehindAnother(t *testing.T) {
	const forged = `{"user_id":"zoe","user_hash":"no"}`
	for _, c := range []struct {
		name, first, second, body, want string
	}{
		{"required first, missing", "chat_identity required", "chat_identity optional", `{}`, "401 missing"},
		{"required first, forged", "chat_identity required", "chat_identity optional", forged, "401 invalid"},
		{"required first, verified", "chat_identity required", "chat_identity optional", claim("zoe"), `{"verified":true,"user":{"id":"zoe"}}`},
		{"required elsewhere", "chat_identity /other required", "chat_identity optional", `{}`, `{"verified":false,"prefill":{}}`},
		{"optional first, forged", "chat_identity optional", "chat_identity required", forged, "401 missing"},
		{"optional first, verified", "chat_identity optional", "chat_identity required", claim("zoe"), `{"verified":true,"user":{"id":"zoe"}}`},
		{"off first, forged", "chat_identity off", "chat_identity required", forged, "401 invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, "", "route {\n"+c.first+" {\nsecret {env.TEST_SECRET}\n}\nrequest_header X-A 1\n"+c.second+" {\nsecret {env.TEST_SECRET}\nidentify /identify\n}\nreverse_proxy UPSTREAM\n}")
			a := g.do(t, "POST", "/identify", c.body, jsonType)
			if strings.HasPrefix(c.want, "{") {
				checkIdentified(t, a, c.want)
			} else if got := verdict(t, a); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestIdentifyRefusedBehindAnother: error routes get nothing of what an earlier handler has
// found: it was no answer to identify().
func TestIdentifyRefusedBehindAnother(t *testing.T) {
	t.Setenv("OTHER_SECRET", otherSecret)
	g := start(t, "", "route {\nchat_identity {\nsecret {env.TEST_SECRET}\nwidget first\nheader email X-Mail\n}\nrequest_header X-A 1\n"+
		"chat_identity required {\nsecret {env.OTHER_SECRET}\nwidget second\nidentify /identify\nrefuse error\n}\nreverse_proxy UPSTREAM\n}\n"+strings.Replace(errorSite, "FIRST", "chat_identity off", 1))
	a := g.do(t, "POST", "/identify", strings.Replace(claim("zoe"), "{", `{"user_metadata":{"email":"zoe@example.com"},`, 1), jsonType)
	if a.seen == nil || a.Header.Get("X-Status") != "401" || a.Header.Get("X-Reason") != "invalid" {
		t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if all := fmt.Sprintf("%+v %v", *a.seen, a.Header); strings.Contains(all, "zoe") || strings.Contains(all, "X-Identity-Outcome") || strings.Contains(all, "first") {
		t.Errorf("what was found before is still there: %s", all)
	}
}

// TestIdentifyConfirmsNothing: identify() of a later handler answers in place of the
// upstream, so what an earlier one has set has not arrived. It is sent again.
func TestIdentifyConfirmsNothing(t *testing.T) {
	g := ledgered(t, "route {\nchat_identity {\nsecret {env.TEST_SECRET}\nconversation body /c\nvisitor body /v\n}\nrequest_header X-A 1\n"+
		"chat_identity {\nsecret {env.TEST_SECRET}\nidentify /identify\n}\nreverse_proxy UPSTREAM\n}")
	body := func(user string) string { return strings.Replace(in("c1", claim(user)), "{", `{"v":"v1",`, 1) }
	checkIdentified(t, g.do(t, "POST", "/identify", body("zoe"), jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
	if until := heldUntil(t, "c1"); time.Until(until) > time.Hour {
		t.Errorf("the conversation is zoe's until %v", until)
	}
	if a := g.post(t, body("zoe")); a.seen == nil || a.seen.Header.Get("X-Identity-Merge-From") != "v1" {
		t.Errorf("the visitor is not sent again: %d %+v", a.StatusCode, a.seen)
	}
}

// TestIdentifyTakesNothing: it spends no token, claims no conversation and
// merges no visitor, as often as a page asks.
func TestIdentifyTakesNothing(t *testing.T) {
	g := ledgered(t, oneTime("required", "conversation body /c\nvisitor body /v\nidentify /identify")+"reverse_proxy UPSTREAM")
	k := newToken("zoe")
	body := k.json(`"c":"c1"`, `"v":"v1"`)
	for range 3 {
		checkIdentified(t, g.do(t, "POST", "/identify", body, jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
	}
	if !heldUntil(t, "c1").IsZero() {
		t.Error("the conversation is taken")
	}
	a := g.post(t, newToken("ada").json(`"c":"c1"`, `"v":"v1"`))
	if verdict(t, a) != "ada" || a.seen.Header.Get("X-Identity-Merge-From") != "v1" {
		t.Errorf("another user's: %d %s", a.StatusCode, a.body)
	}
	equal(t, verdict(t, g.post(t, k.json())), "zoe", "the token")
	// It checks neither whose the conversation is nor whether the token was used.
	checkIdentified(t, g.do(t, "POST", "/identify", body, jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
}

// TestIdentifyAtOnce: an answer that needs nothing of the body does not wait
// for it, and one that does asks for it.
func TestIdentifyAtOnce(t *testing.T) {
	const inHead = "claim user_id header X-User\nclaim signature header X-Hash\n"
	g := start(t, "", "handle /head {\nchat_identity {\nsecret {env.TEST_SECRET}\nidentify /head\n"+inHead+"}\n}\n"+
		"handle /off {\nchat_identity off {\nsecret {env.TEST_SECRET}\nidentify /off\n}\n}\n"+
		"handle /body {\nchat_identity {\nsecret {env.TEST_SECRET}\nidentify /body\nmax_body 1KiB\n}\n}\nreverse_proxy UPSTREAM")
	signed := "X-User: zoe\r\nX-Hash: " + sign("zoe") + "\r\n"
	const verified, anonymous = `{"verified":true,"user":{"id":"zoe"}}`, `{"verified":false,"prefill":{}}`
	for _, c := range []struct {
		name, path, headers string
		status              int
		want                string
		closes              bool
	}{
		{"length", "/head", signed + "Content-Length: 1000000\r\n\r\n", 200, verified, true},
		{"length, a little sent", "/head", signed + "Content-Length: 1000000\r\n\r\n" + strings.Repeat("x", 70000), 200, verified, true},
		{"chunked", "/head", signed + "Transfer-Encoding: chunked\r\n\r\n", 200, verified, true},
		{"chunked, a little sent", "/head", signed + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", 200, verified, true},
		{"continue", "/head", signed + "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", 200, verified, true},
		{"anonymous", "/head", "Content-Length: 1000000\r\n\r\n", 200, anonymous, true},
		{"nothing sent", "/head", signed + "Content-Length: 0\r\n\r\n", 200, verified, false},
		{"mode off", "/off", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", 200, `{"status":"disabled"}`, true},
		{"mode off, continue", "/off", "Content-Type: application/json\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", 200, `{"status":"disabled"}`, true},
		{"too large", "/body", "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", 413, "", true},
		{"too large, continue", "/body", "Content-Type: application/json\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", 413, "", true},
		{"encoded", "/body", "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n", 415, "", true},
		{"opaque, its beginning sent", "/body", "Content-Type: text/plain\r\nContent-Length: 1000000\r\n\r\nhello", 200, anonymous, true},
		{"opaque, in chunks", "/body", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200, anonymous, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body := g.early(t, c.path, c.headers)
			if response.StatusCode != c.status || response.Close != c.closes || c.want != "" && body != c.want+"\n" {
				t.Errorf("%d, close %v, %s; want %d, %v, %s", response.StatusCode, response.Close, body, c.status, c.closes, c.want)
			}
		})
	}
	// A body that is needed is asked for, and the connection lives on.
	c := g.begin(t, "/body", claim("zoe"), jsonType)
	c.write(claim("zoe"))
	for _, next := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(claim("zoe")), claim("zoe")), "Transfer-Encoding: chunked\r\n\r\n" + chunks(claim("zoe")), ""} {
		if response, text := c.answer(); response.StatusCode != 200 || text != verified+"\n" || response.Close {
			t.Errorf("%v %s", response, text)
		}
		if next != "" {
			c.write("POST /body HTTP/1.1\r\nHost: " + g.host() + "\r\n" + jsonType + "\r\n" + next)
		}
	}
	// A client that stops in the middle.
	if answer := g.halfClosed(t, fmt.Sprintf("POST /body HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user", g.host())); statusOf(answer) != 400 {
		t.Errorf("%.300s", answer)
	}
}
