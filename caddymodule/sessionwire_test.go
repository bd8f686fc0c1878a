package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestSessionNeverGoesOn sends a session past every kind of handler, mode and path: the
// upstream must not see it.
func TestSessionNeverGoesOn(t *testing.T) {
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}", `
handle /off* {
	chat_identity off {
		widget shop
		session 1h
	}
	reverse_proxy UPSTREAM
}
handle /optional* {
	chat_identity optional {
		widget shop
		session 1h
	}
	reverse_proxy UPSTREAM {
		header_up X-Original {http.request.orig_uri}
	}
}
handle /keep* {
	chat_identity optional {
		widget shop
		session 1h
		unverified keep
	}
	reverse_proxy UPSTREAM
}
handle /plain* {
	chat_identity optional {
		widget shop
	}
	reverse_proxy UPSTREAM
}
handle /plainoff* {
	chat_identity off
	reverse_proxy UPSTREAM
}
handle /some* {
	chat_identity /some/chat required {
		widget shop
		session 1h
	}
	reverse_proxy UPSTREAM
}
handle /rewritten* {
	uri strip_prefix /rewritten
	chat_identity optional {
		widget shop
		session 1h
	}
	reverse_proxy UPSTREAM {
		header_up X-Original {http.request.orig_uri}
		header_up X-Original-Query {http.request.orig_uri.query}
	}
}
handle /identify {
	chat_identity {
		widget shop
		identify /identify
		session 1h
	}
}`)
	session := g.session(t, claim("ada"))
	preflight := []string{page, "Access-Control-Request-Method: POST"}
	for _, c := range []struct {
		name, method, path string
		headers            []string
		query              bool // a handler with session has the path
		want               string
	}{
		{"mode off", "GET", "/off", nil, true, "disabled"},
		{"mode off, POST", "POST", "/off", nil, true, "disabled"},
		{"optional", "GET", "/optional", nil, true, "ada"},
		{"optional, POST", "POST", "/optional", nil, true, "ada"},
		{"unverified keep", "GET", "/keep", nil, true, "ada"},
		{"without session", "GET", "/plain", nil, false, "anonymous missing"},
		{"off without a widget", "GET", "/plainoff", nil, false, "disabled"},
		{"an unmatched path", "GET", "/some/other", nil, false, ""},
		{"a matched path", "GET", "/some/chat", nil, true, "ada"},
		{"a rewritten path", "GET", "/rewritten/x", nil, true, "ada"},
		{"preflight", "OPTIONS", "/optional", preflight, true, ""},
		{"preflight in mode off", "OPTIONS", "/off", preflight, true, ""},
		{"preflight without session", "OPTIONS", "/plain", preflight, false, ""},
		{"preflight of an unmatched path", "OPTIONS", "/some/other", preflight, false, ""},
	} {
		for _, name := range []string{"X-Chat-Session", "x-chat-session", "X_Chat_Session", "X.CHAT.SESSION", "x-chat_session"} {
			a := g.do(t, c.method, c.path, "", append(c.headers, name+": "+session)...)
			if strings.EqualFold(name, "X-Chat-Session") { // Caddy itself removes the other spellings
				equal(t, verdict(t, a), c.want, "%s: %s", c.name, name)
			} else if c.want == "ada" && a.seen == nil {
				continue // refused for want of a session
			}
			if a.seen == nil || strings.Contains(fmt.Sprint(a.seen), session) || strings.Contains(strings.ToLower(fmt.Sprint(a.seen.Header)), "session") {
				t.Errorf("%s: %s: the upstream saw %+v", c.name, name, a.seen)
			}
		}
		if !c.query {
			a := g.do(t, c.method, c.path+"?chat_session=1", "", c.headers...)
			if a.seen == nil || !strings.HasSuffix(a.seen.URI, "?chat_session=1") {
				t.Errorf("%s: a parameter of somebody else's is lost: %+v", c.name, a.seen)
			}
			continue
		}
		for _, text := range []string{session, "abc", "%zz"} {
			a := g.do(t, c.method, c.path+"?a=1&CHAT_session=x&chat_session="+text+"&b=2", "", c.headers...)
			if a.seen == nil { // two spellings of one name
				equal(t, verdict(t, a), "400 ambiguous", "%s", c.name)
				a = g.do(t, c.method, c.path+"?a=1&chat_session="+text+"&b=2", "", c.headers...)
			}
			if a.seen == nil || !strings.HasSuffix(a.seen.URI, "?a=1&b=2") && c.want != "" || strings.Contains(fmt.Sprint(a.seen), text) {
				if !(a.StatusCode == 403 || a.StatusCode == 401) {
					t.Errorf("%s, chat_session=%s: %d, the upstream saw %+v", c.name, text, a.StatusCode, a.seen)
				}
			}
		}
	}
}

// TestSessionOfErrorRoutes: a refused request has lost its session when error routes get it.
func TestSessionOfErrorRoutes(t *testing.T) {
	g := chat(t, `handle_errors {
		chat_identity off
		reverse_proxy UPSTREAM {
			header_up X-Original {http.request.orig_uri}
		}
	}
	chat_identity required {
		secret {env.TEST_SECRET}
		session 1h
		refuse error
		identify /identify
	}`)
	for _, path := range []string{"/chat", "/identify"} {
		method := "GET"
		if path == "/identify" {
			method = "POST"
		}
		a := g.do(t, method, path+"?a=1&chat_session=abcdefgh", "", "X-Chat-Session: abcdefgh")
		if a.seen == nil || strings.Contains(fmt.Sprint(a.seen), "abcdefgh") || a.seen.Header.Get("X-Original") != path+"?a=1" {
			t.Errorf("%s: %d %+v", path, a.StatusCode, a.seen)
		}
	}
}

// TestSessionMoved: 'claim session' replaces both places, and adds after that.
func TestSessionMoved(t *testing.T) {
	const elsewhere = "handle /other* {\nchat_identity off\nreverse_proxy UPSTREAM\n}\n"
	for name, c := range map[string]struct {
		option, method, path, body string
		headers                    []string
		upstream                   string
	}{
		"header":     {"claim session header X-Ticket", "POST", "/chat", "", []string{"X-Ticket: SESSION"}, ""},
		"cookie":     {"claim session cookie ticket", "POST", "/chat", "", []string{"Cookie: a=b; ticket=SESSION; c=d"}, ""},
		"query":      {"claim session query ticket", "GET", "/chat?ticket=SESSION", "", nil, ""},
		"body":       {"claim session body /auth/ticket", "POST", "/chat", `{"auth":{"ticket":"SESSION","x":1},"text":"hi"}`, []string{jsonType}, `{"auth":{"x":1},"text":"hi"}`},
		"form":       {"claim session body /ticket", "POST", "/chat", "ticket=SESSION&a=1", []string{"Content-Type: application/x-www-form-urlencoded"}, "a=1"},
		"the second": {"claim session header X-Ticket\nclaim session query t", "GET", "/chat?t=SESSION", "", nil, ""},
		"else":       {"claim session header X-Ticket else query t", "GET", "/chat?t=SESSION", "", nil, ""},
		"both kept":  {"claim session header X-Ticket\nclaim session header X-Chat-Session", "GET", "/chat", "", []string{"X-Chat-Session: SESSION"}, ""},
	} {
		handler := func(matcher, options string) string {
			return "chat_identity " + matcher + " {\nsecret {env.TEST_SECRET}\nsession 1h\n" + c.option + options + "\n}\n"
		}
		g := chat(t, elsewhere+"handle {\n"+handler("/chat required", "\nidentify /identify")+handler("/off off", "")+"reverse_proxy UPSTREAM\n}")
		session := g.session(t, claim("ada"))
		for _, mode := range []string{"required", "off"} {
			if mode == "off" {
				c.path = strings.Replace(c.path, "/chat", "/off", 1)
			}
			put := func(text string) string { return strings.ReplaceAll(text, "SESSION", session) }
			headers := make([]string, len(c.headers))
			for i := range headers {
				headers[i] = put(c.headers[i])
			}
			a := g.do(t, c.method, put(c.path), put(c.body), headers...)
			want := "ada"
			if mode == "off" {
				want = "disabled"
			}
			equal(t, verdict(t, a), want, "%s, %s", name, mode)
			if a.seen == nil || strings.Contains(fmt.Sprint(a.seen), session) || a.seen.Body != c.upstream {
				t.Errorf("%s, %s: the upstream saw %+v", name, mode, a.seen)
			}
			if c.headers != nil && !strings.HasPrefix(c.headers[0], "Co") { // on paths of other handlers, too
				for _, path := range []string{"/unmatched", "/other"} {
					if a := g.do(t, "GET", path, "", headers...); a.seen == nil || strings.Contains(fmt.Sprint(a.seen), session) {
						t.Errorf("%s: %s: the upstream saw %+v", name, path, a.seen)
					}
				}
			}
			if name == "both kept" || mode == "off" {
				continue
			}
			for _, a := range []*answered{g.do(t, "GET", "/chat?chat_session="+session, ""), g.do(t, "GET", "/chat", "", "X-Chat-Session: "+session)} {
				if a.seen != nil || a.problem(t).Reason != "missing" {
					t.Errorf("%s: the place that was replaced counts: %d", name, a.StatusCode)
				}
			}
		}
	}
	g := chat(t, fmt.Sprintf(sessionSite, "claim session body /ticket"))
	for body, want := range map[string]string{`{"ticket":1}`: "400 malformed", `{"ticket":"x","ticket":"x"}`: "400 ambiguous", `{"ticket":"\ud800"}`: "401 invalid", `{"ticket":`: "400 malformed"} {
		equal(t, verdict(t, g.post(t, body)), want, "%s", body)
	}
}

// TestSessionOpensWebSocket: a session in the query of an upgrade counts, over HTTP/1.1 and as
// an extended CONNECT.
func TestSessionOpensWebSocket(t *testing.T) {
	u := websocketBackend(t)
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}
	load(t, fmt.Sprintf("{%s}\n%s {\nchat_identity required {\nsecret {env.TEST_SECRET}\nidentify /identify\nsession 1h\n}\nreverse_proxy %s\n}\n", globals, g.url, strings.TrimPrefix(u.URL, "http://")))
	g.upstream = newUpstream(t)
	session := g.session(t, claim("ada"))
	for query, status := range map[string]int{
		"?room=1&chat_session=" + session: 101, "?chat_session=" + session + "&room=1": 101, "?room=1": 401, "?chat_session=" + session[:30]: 401,
	} {
		c, response := g.upgrade(t, "/ws"+query, "websocket")
		equal(t, response.StatusCode, status, "%.30s", query)
		if response.StatusCode == 101 {
			equal(t, response.Header.Get("Seen-User"), "ada", "user")
			equal(t, response.Header.Get("Seen-Query"), "room=1", "query")
			c.echoes(t, query)
		}
	}
	for method, counts := range map[string]bool{"GET": true, "CONNECT": true, "POST": false, "HEAD": false, "OPTIONS": false, "get": false} {
		equal(t, carriesSession(&http.Request{Method: method}), counts, "%s", method)
	}
}

// TestSessionOptions: what is refused when the configuration is loaded.
func TestSessionOptions(t *testing.T) {
	for options, want := range map[string]string{
		"session 1m": "", "session 24h": "", "session 1d": "", "session 1h\nclaim session header X-Ticket": "",
		"session":                                            "session takes one argument",
		"session 59s":                                        "too short",
		"session 24h1s":                                      "session: '24h1s' is not a lifetime of sessions: it is from 1m to 24h, in whole seconds",
		"session 90500ms":                                    "session: '90500ms' is not a lifetime",
		"session 1h 2h":                                      "session",
		"session 3600":                                       "has no unit",
		"session 1h\nsession 1h":                             "session is repeated",
		"claim session header X-Ticket":                      "claim session: this handler takes no sessions: add the option session, as in 'session 1h'",
		"session 1h\nunverified strip session":               "session is always cut out",
		"session 1h\nclaim session header Te":                "nothing can travel in the header Te",
		"session 1h\nclaim session header cookie":            "claim session: a field travels in one cookie of the header Cookie: write 'claim session cookie <name>'",
		"session 1h\nclaim session header Content_Type":      "nothing can travel in the header Content_Type",
		"session 1h\nclaim session header Authorization":     "claim session: every request of the site would lose the header Authorization, which is not for sessions alone: choose another name, such as X-Ticket",
		"session 1h\nclaim session header sec_websocket.key": "claim session: every request of the site would lose the header sec_websocket.key, which is not for sessions alone: choose another name, such as X-Ticket",
		"session 1h\nclaim session header X-Ticket else header authorization": "claim session: every request of the site would lose the header authorization",
		"session 1h\nclaim session cookie Authorization":                      "", "header user Content_Type": "header user: Content_type carries the request itself",
		"session 1h\nclaim session query user_id": "user_id and session are both at 'user_id'",
		// What nothing arrives in.
		"claim token header X-Chat-Session":                                            "claim token: sessions travel in the header X-Chat-Session, which is removed from every request of the site: choose another name",
		"conversation header x_chat_session":                                           "conversation: sessions travel in the header x_chat_session",
		"conversation {header.X-Chat-Session}":                                         "conversation: no id can travel in the header X-Chat-Session",
		"header user X-Chat-Session":                                                   "header user: X-Chat-Session is the header of sessions, which is removed: choose another name",
		"session 1h\nclaim session header X-Ticket\nvisitor header X-Ticket":           "visitor: sessions travel in the header X-Ticket",
		"session 1h\nclaim session header X-Ticket\nheader user X-Ticket":              "nothing can travel in the header X-Ticket",
		"session 1h\nclaim session header X-Ticket\nclaim email header X-Chat-Session": "claim email: sessions travel in the header X-Chat-Session",
	} {
		_, err := adapt("localhost {\nchat_identity {\nsecret {env.TEST_SECRET}\n" + options + "\n}\n}")
		errorSays(t, err, want, "%s", options)
	}
}

// TestSessionHeaderOfSite: a handler does not read from a header in which another one of its
// site looks for sessions, since every handler removes it.
func TestSessionHeaderOfSite(t *testing.T) {
	g := newGateway(t, "off", "", `
handle /a* {
	chat_identity {
		secret {env.TEST_SECRET}
		session 1h
		claim session header X-Ticket
	}
}
handle /b* {
	chat_identity {
		secret {env.TEST_SECRET}
		claim token header X-Ticket
	}
}`)
	errorSays(t, activate(adapted(t, g.config)), "claim token: sessions travel in the header X-Ticket", "load")
}

// TestSessionInBody: what is read of a body stays what it is when a session is cut out of it,
// and so does what else is to be cut.
func TestSessionInBody(t *testing.T) {
	const form, multipart = "Content-Type: application/x-www-form-urlencoded", "Content-Type: multipart/form-data; boundary=B"
	parts := func(fields ...string) (text string) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			text += "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
		}
		return text + "--B--\r\n"
	}
	const profile = `"user_metadata":{"email":"e@example.com","name":"Ada L","plan":"gold"},"visitor":"v1"`
	cases := []struct{ name, media, body, upstream, unverified string }{
		{"before all", jsonType, `{"ticket":"SESSION","user_id":"ada",` + profile + `,"text":"hi"}`, `{"user_id":"ada",` + profile + `,"text":"hi"}`, `{` + profile + `,"text":"hi"}`},
		{"within", jsonType, `{"user_id":"ada","ticket":"SESSION",` + profile + `,"text":"hi"}`, `{"user_id":"ada",` + profile + `,"text":"hi"}`, `{` + profile + `,"text":"hi"}`},
		{"behind all", jsonType, `{"text":"hi",` + profile + `,"user_id":"ada","ticket":"SESSION"}`, `{"text":"hi",` + profile + `,"user_id":"ada"}`, `{"text":"hi",` + profile + `}`},
		{"a form", form, "ticket=SESSION&a=1&user_id=ada&visitor=v1", "a=1&user_id=ada&visitor=v1", "a=1&visitor=v1"},
		{"behind a form", form, "user_id=ada&visitor=v1&ticket=SESSION", "user_id=ada&visitor=v1", "visitor=v1"},
		{"a multipart form", multipart, parts("ticket=SESSION", "user_id=ada", "visitor=v1"), parts("user_id=ada", "visitor=v1"), parts("visitor=v1")},
	}
	options := "claim session body /ticket\nvisitor body /visitor"
	for _, mode := range []string{"required", "optional", "optional, kept"} {
		site := options
		if strings.HasSuffix(mode, "kept") {
			site += "\nunverified keep"
		}
		g := ledgered(t, strings.Replace(fmt.Sprintf(sessionSite, site), "required", mode[:8], 1))
		sessions := map[string]string{"": g.session(t, claim("ada")), "expired": minted(t, "ada", time.Now().Add(-time.Second)), "invalid": "abc"}
		for i, c := range cases {
			visitor := fmt.Sprintf("v%d", i)
			put := func(text, session string) string {
				return strings.NewReplacer("SESSION", session, "v1", visitor).Replace(text)
			}
			for reason, session := range sessions {
				a := g.do(t, "POST", "/chat", put(c.body, session), c.media)
				want, upstream := "ada", c.upstream
				switch {
				case reason == "":
				case mode == "required":
					want = "401 " + reason
				case mode == "optional":
					upstream = c.unverified
					fallthrough
				default:
					want = reason + " " + reason
				}
				equal(t, verdict(t, a), want, "%s, %s", mode, c.name)
				if a.seen == nil {
					continue
				}
				equal(t, a.seen.Body, put(upstream, ""), "%s, %s, %s: body", mode, c.name, reason)
				h := a.seen.Header
				if want == "ada" {
					equal(t, h.Get("X-Identity-Merge-From"), visitor, "%s, %s: visitor", mode, c.name)
				}
				if want == "ada" && c.media == jsonType {
					equal(t, h.Get("X-Identity-Email")+" "+h.Get("X-Identity-Name")+" "+h.Get("X-Identity-Attributes"), `e@example.com Ada%20L {"plan":"gold"}`, "%s, %s: profile", mode, c.name)
				}
			}
		}
	}
	// Beside a claim that verifies, and at identify.
	g := chat(t, strings.Replace(fmt.Sprintf(sessionSite, "claim session body /ticket"), "required", "optional", 1))
	a := g.post(t, `{"ticket":"abc",`+claim("ada")[1:len(claim("ada"))-1]+`,"user_metadata":{"email":"e@example.com","name":"Ada L"}}`)
	equal(t, verdict(t, a)+" "+a.seen.Header.Get("X-Identity-Email")+" "+a.seen.Header.Get("X-Identity-Name"), "ada e@example.com Ada%20L", "beside a claim")
	checkIdentified(t, g.do(t, "POST", "/identify", `{"ticket":"abc","user_metadata":{"email":"e@example.com","name":"Ada L"}}`, jsonType), `{"verified":false,"prefill":{"name":"Ada L","email":"e@example.com"}}`)
}

// TestRewrittenQuery: what an earlier handler has removed from the query is no session and no
// claim, and is cut from the original URL.
func TestRewrittenQuery(t *testing.T) {
	const proxy = "reverse_proxy UPSTREAM {\nheader_up X-Original {http.request.orig_uri}\nheader_up X-Original-Query {http.request.orig_uri.query}\n}"
	site := "handle_errors {\nchat_identity off\n" + proxy + "\n}\n"
	rewrites := []string{"rewrite * /new?", "rewrite * /new?b=2", "uri query {\n-chat_session\n-user_id\n-user_hash\n}"}
	modes := []string{"optional", "required", "required, as an error"}
	for i, rewrite := range rewrites {
		for j, mode := range modes {
			mode, refuse, _ := strings.Cut(mode, ", ")
			if refuse != "" {
				refuse = "refuse error"
			}
			site += fmt.Sprintf("handle /chat%d%d {\n%s\nchat_identity %s {\nsecret {env.TEST_SECRET}\nsession 1h\n%s\n}\n%s\n}\n", i, j, rewrite, mode, refuse, proxy)
		}
	}
	g := start(t, "", site)
	for i, rewrite := range rewrites {
		for j, mode := range modes {
			for _, claimed := range []string{"chat_session=victim", "chat%5Fsession=victim", "user_id=victim&user_hash=" + sign("ada"), "user_id=victim"} {
				for _, method := range []string{"GET", "POST", "HEAD"} {
					a := g.do(t, method, fmt.Sprintf("/chat%d%d?a=1&%s", i, j, claimed), "")
					if (a.seen == nil) != (mode == "required") || a.seen != nil && (a.seen.user() != "" || strings.Contains(fmt.Sprint(a.seen), "victim")) {
						t.Errorf("%s, %s, %s %s: %d, the upstream saw %+v", rewrite, mode, method, claimed, a.StatusCode, a.seen)
					}
				}
			}
		}
	}
}

// TestSessionHeaderFolds: where Caddy lets headers with _ or . pass, as older versions do, they
// are removed, too, and read as the one with -.
func TestSessionHeaderFolds(t *testing.T) {
	chat(t, fmt.Sprintf(sessionSite, "claim session header X-Ticket\nclaim session header X-Chat-Session"))
	h := active(t).deciders[0]
	for _, name := range []string{"X-Chat-Session", "X-Ticket"} {
		for _, spelling := range spellings(name) {
			r, s := &http.Request{Header: http.Header{spelling: {"abc"}, "X-Other": {"abc"}}}, new(state)
			if h.strip(r, s); len(r.Header) != 1 {
				t.Errorf("%q stays", spelling)
			}
			var reading verifier.Reading
			if h.plan.places.ReadHeaders(s.sessions, &reading); string(reading.Single(verifier.SessionField)) != "abc" {
				t.Errorf("%q is not read", spelling)
			}
		}
	}
}
