package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// TestOwnPathsBesideOthers: identify and jwks_path are answered whatever the matchers of their
// directive and of those beside it, and in whatever order they are written. What else those
// directives decide they still decide.
func TestOwnPathsBesideOthers(t *testing.T) {
	strict := func(matcher string) string {
		return "chat_identity " + matcher + " required {\nsecret {env.TEST_SECRET}\nreject missing 418\n}\n"
	}
	own := func(matcher string) string {
		return "chat_identity " + matcher + " {\nsecret {env.TEST_SECRET}\nidentify /api/me\njwks_path /api/keys\ncors https://www.example.com\n}\n"
	}
	const several = "@several path /api/* /chat/*\n"
	const refused, anonymous = "418 missing", "anonymous missing"
	const strictJSON = `{"handler":"chat_identity","mode":"required","secrets":["{env.TEST_SECRET}"],"reject":{"missing":418}}`
	const ownJSON = `{"handler":"chat_identity","secrets":["{env.TEST_SECRET}"],"identify":"/api/me","jwks_path":"/api/keys","cors":["https://www.example.com"]}`
	const guardJSON = `{"handler":"chat_identity","guard":true}`
	proxyJSON := func(upstream string) string {
		return `{"handler":"reverse_proxy","upstreams":[{"dial":"` + upstream + `"}]}`
	}
	for _, c := range []struct {
		name, site, json string
		api, chat        string // what becomes of a request without a claim, for /api/other and /chat/1
	}{
		{"one for all, first", strict("") + own("/chat/*"), "", refused, anonymous},
		{"one for all, last", own("/chat/*") + strict(""), "", refused, anonymous},
		{"the folder of the paths", strict("/api/*") + own("/chat/*"), "", refused, anonymous},
		{"the paths alone", strict("/api/me") + strict("/api/keys") + own("/chat/*"), "", "", anonymous},
		{"two that are narrower", strict("/api/*") + strict("/api/k*") + own(""), "", refused, anonymous},
		{"several paths", several + own("/chat/special/*") + strict("@several"), "", refused, refused},
		{"a matcher without a path", "@api `path('/api/*')`\n" + strict("@api") + own("/chat/*"), "", refused, anonymous},
		{"mode off", "chat_identity /api/* off\n" + own("/chat/*"), "", "disabled", anonymous},
		{"errors", strings.ReplaceAll(strict(""), "reject", "refuse error\nreject") + own("/chat/*") + "handle_errors {\nchat_identity off\nrespond {err.status_code} 418\n}\n", "", "418", anonymous},
		{"in a handle block", "handle /other* {\nrespond no\n}\nhandle {\n" + strict("") + own("/chat/*") + "reverse_proxy UPSTREAM\n}\n", "", refused, anonymous},
		{"in a route block", "route {\n" + strict("") + own("/chat/*") + "reverse_proxy UPSTREAM\n}\n", "", refused, refused},
		{"in a route block, last", "route {\n" + own("/chat/*") + strict("") + "reverse_proxy UPSTREAM\n}\n", "", refused, anonymous},
		{"two that identify", own("/chat/*") + strings.Replace(own("/api/*"), "{\n", "{\nheader user X-User\n", 1), "", anonymous, anonymous},
		{"JSON, with a guard", "", `{"handle":[` + strictJSON + `]},{"match":[{"path":["/chat/*"]}],"handle":[` + ownJSON + `]},{"handle":[` + guardJSON + `]},{"handle":[PROXY]}`, refused, refused},
		{"JSON, the guard first", "", `{"handle":[` + guardJSON + `]},{"match":[{"path":["/chat/*"]}],"handle":[` + ownJSON + `]},{"handle":[` + strictJSON + `]},{"handle":[PROXY]}`, refused, anonymous},
		{"JSON, without a guard", "", `{"match":[{"path":["/chat/*"]}],"handle":[` + ownJSON + `]},{"handle":[` + strictJSON + `,PROXY]}`, refused, anonymous},
		{"JSON, one route", "", `{"handle":[` + strictJSON + `,` + ownJSON + `,PROXY]}`, refused, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, "off", "", c.site+"\nreverse_proxy UPSTREAM")
			if c.json == "" {
				load(t, g.config)
			} else {
				g = start(t, "", "chat_identity off\nreverse_proxy UPSTREAM")
				routes := strings.ReplaceAll(c.json, "PROXY", proxyJSON(strings.TrimPrefix(g.upstream.URL, "http://")))
				must(t, activate(fmt.Appendf(nil, `{"admin":{"disabled":true},"apps":{"http":{"servers":{"chat":{"listen":[%q],"automatic_https":{"disable":true},"routes":[%s]}}}}}`, g.host(), routes)))
			}
			for _, method := range []string{"GET", "HEAD"} {
				a := g.do(t, method, "/api/keys", "")
				if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/jwk-set+json" || a.seen != nil || method == "GET" && !strings.Contains(a.body, `"kty"`) {
					t.Errorf("%s /api/keys: %d %s", method, a.StatusCode, a.body)
				}
			}
			if a := g.do(t, "POST", "/api/keys", claim("zoe"), jsonType); a.StatusCode != 405 || a.seen != nil {
				t.Errorf("POST /api/keys: %d %s", a.StatusCode, a.body)
			}
			checkIdentified(t, g.do(t, "POST", "/api/me", claim("zoe"), jsonType), `{"verified":true,"user":{"id":"zoe"}}`)
			checkIdentified(t, g.do(t, "POST", "/api/me", `{}`, jsonType), `{"verified":false,"prefill":{}}`)
			if a := g.do(t, "OPTIONS", "/api/me", "", page, "Access-Control-Request-Method: POST"); a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Methods") != "POST" || a.seen != nil {
				t.Errorf("preflight: %d %v", a.StatusCode, a.Header)
			}
			for path, want := range map[string]string{"/api/other": c.api, "/chat/1": c.chat} {
				a := g.do(t, "POST", path, "{}", jsonType, "X-Verified-User: victim", "X-Chat-Session: a")
				if a.seen != nil && (strings.Contains(fmt.Sprint(a.seen.Header), "victim") || a.seen.Header.Get("X-Chat-Session") != "") {
					t.Errorf("%s: %v", path, a.seen.Header)
				}
				equal(t, verdict(t, a), want, "%s", path)
			}
			for _, path := range []string{"/api/keys", "/api/me", "/api/other", "/chat/1"} {
				equal(t, statusOf(g.raw(t, g.wire("CONNECT", path, ""))), 405, "CONNECT %s", path)
			}
		})
	}
}

// TestOwnPathsAtOnce: what is answered without reading the body does not wait for it.
func TestOwnPathsAtOnce(t *testing.T) {
	g := start(t, "", "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /me\njwks_path /keys\ncors https://www.example.com\n}\nreverse_proxy UPSTREAM")
	const preflight = page + "\r\nAccess-Control-Request-Method: POST\r\n"
	for _, c := range []struct {
		name, request, headers string
		want                   int
		closes                 bool
	}{
		{"keys", "GET /keys", "", 200, false},
		{"keys, length", "GET /keys", "Content-Length: 1000000\r\n", 200, true},
		{"keys, continue", "GET /keys", "Content-Length: 5\r\nExpect: 100-continue\r\n", 200, true},
		{"keys, another method", "POST /keys", "Transfer-Encoding: chunked\r\n", 405, true},
		{"preflight", "OPTIONS /me", preflight, 204, false},
		{"preflight, length", "OPTIONS /me", preflight + "Content-Length: 1000000\r\n", 204, true},
		{"preflight, chunked", "OPTIONS /me", preflight + "Transfer-Encoding: chunked\r\n", 204, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := g.dial(t)
			defer conn.Close()
			conn.write(c.request + " HTTP/1.1\r\nHost: " + g.host() + "\r\n" + c.headers + "\r\n")
			if response, body := conn.answer(); response.StatusCode != c.want || response.Close != c.closes {
				t.Errorf("%d, close %v, %s; want %d, %v", response.StatusCode, response.Close, body, c.want, c.closes)
			}
		})
	}
}

// TestOwnPathsOfOtherHosts: a route for other hosts is nobody's neighbor: its paths are left
// to whoever decides here.
func TestOwnPathsOfOtherHosts(t *testing.T) {
	g := start(t, "", "chat_identity off\nreverse_proxy UPSTREAM")
	site := func(host, more string) string {
		return `{"match":[{"host":["` + host + `"]}],"handle":[{"handler":"chat_identity","secrets":["{env.TEST_SECRET}"]` + more + `}]},`
	}
	must(t, activate(fmt.Appendf(nil, `{"admin":{"disabled":true},"apps":{"http":{"servers":{"chat":{"listen":[%q],"automatic_https":{"disable":true},"routes":[%s{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":%q}]}]}]}}}}}`,
		g.host(), site("127.0.0.1", `,"mode":"required"`)+site("other.test", `,"identify":"/me","jwks_path":"/keys"`), strings.TrimPrefix(g.upstream.URL, "http://"))))
	equal(t, verdict(t, g.do(t, "POST", "/me", "{}", jsonType)), "401 missing", "identify here")
	equal(t, verdict(t, g.do(t, "POST", "/me", claim("zoe"), jsonType)), "zoe", "a claim here")
	equal(t, verdict(t, g.do(t, "GET", "/keys", "")), "401 missing", "keys here")
	if answer := g.raw(t, strings.Replace(g.wire("POST", "/me", claim("zoe"), jsonType), "Host: "+g.host(), "Host: other.test", 1)); !strings.Contains(answer, `{"verified":true,"user":{"id":"zoe"}}`) {
		t.Errorf("identify there: %s", answer)
	}
}
