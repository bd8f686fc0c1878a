package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
)

// spellings are what a client may try for a header of ours.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(strings.ToLower(name), "-", "_"), strings.ReplaceAll(strings.ToUpper(name), "-", "_"),
		strings.Replace(name, "-", "_", 1), strings.Replace(name, "-", ".", 1), strings.ReplaceAll(name, "-", "."),
		strings.Replace(strings.ReplaceAll(name, "-", "_"), "_", ".", 1),
	}
}

// allowAll has Caddy let through what it drops by itself since 2.11: older
// versions, and operators that need such headers, do not.
const allowAll = `
	servers {
		expected_underscore_headers X_* x_* X-Verified_* X-Identity_* X_Verified-User X_Identity-Outcome X_Chat-User X-Chat_User
		expected_dot_headers X.* x.* X-Verified.* X-Identity.* X.Verified-User X.Identity-Outcome X.Chat-User X-Chat.User
	}`

// TestForgedHeaders: whatever spelling a client sends, in every mode, none
// arrives but what this module has set.
func TestForgedHeaders(t *testing.T) {
	names := []string{"X-Verified-User", "X-Verified-Widget", "X-Verified-Anything", "X-Identity-Outcome", "X-Identity-Reason", "X-Identity-Email",
		"X-Identity-Merge-From", "X-Identity-", "X-Verified-", "X-Chat-User"}
	for _, global := range []string{"", allowAll} {
		for _, mode := range []string{"off", "optional", "required"} {
			g := start(t, global, "chat_identity "+mode+" {\nsecret {env.TEST_SECRET}\nheader name X-Chat-User\nheader reason off\nheader widget off\n}\nreverse_proxy UPSTREAM")
			for _, name := range names {
				for _, spelling := range spellings(name) {
					a := g.post(t, claim("zoe"), spelling+": victim", spelling+": verified")
					if a.seen == nil {
						t.Fatalf("%d %s", a.StatusCode, a.body)
					}
					want := map[string]string{"X-Identity-Outcome": "disabled"}
					if mode != "off" {
						want = map[string]string{"X-Identity-Outcome": "verified", "X-Verified-User": "zoe"}
					}
					if got := ourHeaders(a.seen); !maps.Equal(got, want) || strings.Contains(fmt.Sprint(a.seen.Header), "victim") {
						t.Errorf("%s, %q: %v", mode, spelling, a.seen.Header)
					}
				}
			}
		}
	}
}

// TestOddHeaderSpellings: some backends make one variable of all names that
// differ in nothing but what is neither letter nor digit.
func TestOddHeaderSpellings(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	for _, name := range []string{"X~Verified-User", "X+Verified+User", "x!verified!user", "X'Identity'Outcome", "X|Verified|User"} {
		if a := g.post(t, claim("zoe"), name+": victim"); a.seen == nil || a.seen.Header[name] != nil || a.seen.Header.Get(name) != "" || a.seen.user() != "zoe" {
			t.Errorf("%s: %v", name, a.seen)
		}
	}
}

// TestHeadersOfOthers: other headers stay as they are.
func TestHeadersOfOthers(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	for _, name := range []string{"X-Verified", "X-Identity", "X-Verifieduser", "Verified-User", "X-Chat-User", "Authorization", "X-User", "Xx-Verified-User"} {
		if a := g.post(t, claim("zoe"), name+": kept"); a.seen == nil || a.seen.Header.Get(name) != "kept" {
			t.Errorf("%s: %v", name, a.seen)
		}
	}
}

// TestRenamedHeaders: the new names are protected like the old ones, which
// mean nothing any more but are removed all the same.
func TestRenamedHeaders(t *testing.T) {
	g := chat(t, `chat_identity {
		secret {env.TEST_SECRET}
		header user x-chat-user
		header widget Chat_Widget
		header outcome Remote-State
		header reason off
		header email X-Verified-Mail
		header name off
		header attributes Chat-Attributes
	}`)
	body := `{"user_id":"zoe","user_hash":"` + sign("zoe") + `","user_metadata":{"email":"zoe@example.com","name":"Zoë","plan":"gold"}}`
	forged := []string{"X-Verified-User: victim", "X-Chat-User: victim", "x-chat-user: victim", "Chat-Widget: victim", "Remote-State: victim",
		"X-Verified-Mail: victim", "X-Identity-Name: victim", "Chat-Attributes: victim"}
	a := g.post(t, body, forged...)
	want := map[string]string{"X-Chat-User": "zoe", "Chat_widget": "default", "Remote-State": "verified", "X-Verified-Mail": "zoe@example.com", "Chat-Attributes": `{"plan":"gold"}`}
	for name, value := range want {
		if got := a.seen.Header[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if got := fmt.Sprint(a.seen.Header); strings.Contains(got, "victim") || a.seen.user() != "" || a.seen.Header.Get("X-Identity-Name") != "" {
		t.Errorf("headers %s", got)
	}
	a = g.post(t, `{"text":"hi"}`, forged...)
	if got := fmt.Sprint(a.seen.Header); strings.Contains(got, "victim") || a.seen.Header.Get("Remote-State") != "anonymous" {
		t.Errorf("headers %s", got)
	}
}

// TestConnectionCannotNameOurs: a proxy drops the headers that Connection
// names. It must not be ours, nor those that say how the body was read.
func TestConnectionCannotNameOurs(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\nheader name X-Chat-Name\n}")
	body := `{"user_id":"zoe","user_hash":"` + sign("zoe") + `","user_metadata":{"name":"Zoe"}}`
	for _, lines := range [][]string{
		{"X-Verified-User"}, {"x-verified-user, X-IDENTITY-OUTCOME"}, {"keep-alive, X-Verified-User"}, {"X-Verified-User,X-Verified-Widget,,close"},
		{"keep-alive", "X-Verified-User", "X-Identity-Outcome, x-chat-name"}, {" X-Verified-User\t,\tX-Chat-Name"}, {"Content-Type, X-Verified-User"},
		{"X_Verified_User, X-Verified-User"}, {"X-Verified-User;q=1, X-Verified-User"}, {"\"X-Verified-User\", X-Verified-User"},
	} {
		headers := []string{jsonType, "CONNECTION: close"}
		for _, line := range lines {
			headers = append(headers, "Connection: "+line)
		}
		if answer := g.raw(t, g.wire("POST", "/chat", body, headers...)); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Fatalf("%q: %.200s", lines, answer)
		}
		s := g.upstream.take()
		want := map[string]string{"X-Verified-User": "zoe", "X-Verified-Widget": "default", "X-Identity-Outcome": "verified"}
		if got := ourHeaders(s); !maps.Equal(got, want) || s.Header.Get("X-Chat-Name") != "Zoe" || s.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %v", lines, s.Header)
		}
	}
}

// TestConnectionKeepsItsOwn: what else Connection names is still dropped, and
// an upgrade still is one.
func TestConnectionKeepsItsOwn(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	g.raw(t, g.wire("GET", "/chat", "", "Connection: X-Hop, X-Verified-User, close", "X-Hop: gone"))
	if s := g.upstream.take(); s == nil || s.Header.Get("X-Hop") != "" || s.Header.Get("X-Identity-Outcome") != "anonymous" {
		t.Errorf("%+v", s)
	}
	query := "?user_id=zoe&user_hash=" + sign("zoe")
	a := g.do(t, "GET", "/chat"+query, "", "Connection: Upgrade, X-Verified-User", "Upgrade: websocket")
	if s := a.seen; s == nil || s.user() != "zoe" || s.Header.Get("Upgrade") != "websocket" || s.Header.Get("Connection") != "Upgrade" {
		t.Errorf("%+v", s)
	}
}

// TestTrailers: they come after every check, so none may pass for ours.
func TestTrailers(t *testing.T) {
	for _, mode := range []string{"off", "optional", "required"} {
		g := start(t, allowAll, "chat_identity "+mode+" {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
		for _, declared := range [][]string{nil, {"Trailer: X-Verified-User, X-Identity-Outcome"}, {"Trailer: X_Verified_User"}, {"trailer: x-verified-user", "Trailer: X-Other"}} {
			for _, kind := range []string{"application/json", "text/plain"} {
				body := claim("zoe")
				if kind == "text/plain" {
					body = "no claim here"
				}
				g.raw(t, g.wire("POST", "/chat?"+signedQuery("zoe"), fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body)+
					"X-Verified-User: victim\r\nX_Verified_User: victim\r\nX-Identity-Outcome: victim\r\nX-Other: 1\r\n\r\n",
					append(declared, "Content-Type: "+kind, "Connection: Te", "TE: trailers", "Transfer-Encoding: chunked")...))
				s := g.upstream.take()
				if s == nil || s.Body != body {
					t.Fatalf("%s, %q: %+v", mode, declared, s)
				}
				if len(s.Trailer) > 0 || strings.Contains(fmt.Sprint(s.Header), "victim") || s.Header.Get("Trailer") != "" {
					t.Errorf("%s, %q, %s: trailer %v, header %v", mode, declared, kind, s.Trailer, s.Header)
				}
				if user := s.user(); user != "" && mode == "off" || user != "zoe" && mode != "off" {
					t.Errorf("%s: user %q", mode, user)
				}
			}
		}
	}
}

// TestCoverage: the directive strips on every request of its site or block,
// whether its matcher matches or not, and the first that matches decides.
func TestCoverage(t *testing.T) {
	const secret = "{\nsecret {env.TEST_SECRET}\n}\n"
	for _, c := range []struct {
		name, global, site string
		verified, stripped []string // paths
	}{
		{"matcher", "", "chat_identity /chat* required " + secret + "reverse_proxy UPSTREAM", []string{"/chat", "/chat/1", "/CHAT", "//chat", "/%63hat", "/x/../chat"}, []string{"/other", "/", "/cha"}},
		{"named matcher", "", "@chat path /chat\nchat_identity @chat required " + secret + "reverse_proxy UPSTREAM", []string{"/chat"}, []string{"/other"}},
		{"two paths", "", "chat_identity /a required " + secret + "chat_identity /b required " + secret + "reverse_proxy UPSTREAM", []string{"/a", "/b"}, []string{"/c"}},
		{"handle", "", "handle /chat* {\nchat_identity required " + secret + "reverse_proxy UPSTREAM\n}\nhandle {\nchat_identity off " + secret + "reverse_proxy UPSTREAM\n}", []string{"/chat"}, []string{"/other"}},
		{"handle_path", "", "handle_path /api/* {\nchat_identity required " + secret + "reverse_proxy UPSTREAM\n}", []string{"/api/chat"}, nil},
		{"route", "", "route {\nchat_identity /chat* required " + secret + "reverse_proxy UPSTREAM\n}", []string{"/chat"}, []string{"/other"}},
		{"nested", "", "chat_identity /chat* required " + secret + "handle {\nchat_identity off " + secret + "reverse_proxy UPSTREAM\n}", []string{"/chat"}, []string{"/other"}},
		{"off, then required", "", "chat_identity off " + secret + "chat_identity required " + secret + "reverse_proxy UPSTREAM", nil, []string{"/chat"}},
		{"off without a widget", "", "chat_identity /other off\nchat_identity required " + secret + "reverse_proxy UPSTREAM", []string{"/chat"}, []string{"/other"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.global, c.site)
			checkCoverage(t, g, c.verified, c.stripped)
		})
	}
}

func checkCoverage(t *testing.T, g *gateway, verified, stripped []string) {
	t.Helper()
	send := func(path string) *seen {
		t.Helper()
		// Go's client would clean the path.
		answer := g.raw(t, g.wire("POST", path, claim("zoe"), jsonType, "X-Verified-User: victim", "X-Identity-Outcome: verified"))
		s := g.upstream.take()
		if s == nil {
			t.Fatalf("%s: %.300s", path, answer)
		}
		return s
	}
	for _, path := range verified {
		if s := send(path); s.user() != "zoe" || s.Header.Get("X-Identity-Outcome") != "verified" || len(s.Header["X-Verified-User"]) != 1 {
			t.Errorf("%s: %v", path, s.Header)
		}
	}
	for _, path := range stripped {
		if s := send(path); s.user() != "" || s.Header.Get("X-Identity-Outcome") == "verified" {
			t.Errorf("%s: %v", path, s.Header)
		}
	}
}

// TestNamedRoutesAndSnippets: a route that is invoked, and a snippet that is
// imported twice into one site, act as if written out.
func TestNamedRoutesAndSnippets(t *testing.T) {
	u := newUpstream(t)
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), upstream: u}
	backend := strings.TrimPrefix(u.URL, "http://")
	load(t, "{"+globals+"\n}\n"+`(guard) {
		chat_identity {args[0]} required {
			secret {env.TEST_SECRET}
		}
	}
	&(guarded) {
		# Caddy 2.11 keeps only the first handler of a named route none of whose directives has a matcher.
		route {
			chat_identity /named* required {
				secret {env.TEST_SECRET}
			}
			reverse_proxy `+backend+`
		}
	}
	`+g.url+` {
		handle /named* {
			invoke guarded
		}
		handle /open* {
			invoke guarded
		}
		handle {
			import guard /snippet*
			import guard /snippet*
			handle /snippet/* {
				import guard *
				reverse_proxy `+backend+`
			}
			reverse_proxy `+backend+`
		}
	}`)
	checkCoverage(t, g, []string{"/named", "/snippet", "/snippet/1"}, []string{"/open", "/other"})
}

// TestTwoHandlers: the first that matches decides; the second leaves what it
// set, and removes what the client forged under its own names.
func TestTwoHandlers(t *testing.T) {
	g := start(t, "", `chat_identity /chat* required {
		secret {env.TEST_SECRET}
		header user X-First-User
	}
	chat_identity required {
		secret {env.TEST_SECRET}
		header user X-Second-User
	}
	reverse_proxy UPSTREAM`)
	forged := []string{jsonType, "X-First-User: victim", "X-Second-User: victim", "X-Verified-User: victim", "X-Verified-Widget: victim", "Connection: X-First-User, X-Second-User"}
	for path, want := range map[string]string{"/chat": "X-First-User", "/other": "X-Second-User"} {
		a := g.do(t, "POST", path, claim("zoe"), forged...)
		if a.seen == nil || a.seen.Header.Get(want) != "zoe" || strings.Contains(fmt.Sprint(a.seen.Header), "victim") {
			t.Errorf("%s: %d %+v", path, a.StatusCode, a.seen)
		}
	}
}

// TestErrorRoutes: what happens to a forged header where an error is raised
// before chat_identity has run. A proxying error route needs a chat_identity
// of its own; an error that is raised after it has none left.
func TestErrorRoutes(t *testing.T) {
	for _, c := range []struct {
		name, site string
		stripped   bool
	}{
		{"raised before, guarded", "route {\nerror /chat 418\nchat_identity {\nsecret {env.TEST_SECRET}\n}\n}\nhandle_errors {\nchat_identity off\nreverse_proxy UPSTREAM\n}", true},
		{"raised before, unguarded", "route {\nerror /chat 418\nchat_identity {\nsecret {env.TEST_SECRET}\n}\n}\nhandle_errors {\nreverse_proxy UPSTREAM\n}", false},
		{"raised after", "route {\nchat_identity {\nsecret {env.TEST_SECRET}\n}\nerror /chat 418\n}\nhandle_errors {\nreverse_proxy UPSTREAM\n}", true},
		{"raised by it", "chat_identity required {\nsecret {env.TEST_SECRET}\nrefuse error\n}\nhandle_errors {\nreverse_proxy UPSTREAM\n}", true},
	} {
		g := start(t, "", c.site)
		a := g.do(t, "GET", "/chat", "", "X-Verified-User: victim", "Connection: X-Verified-Widget")
		if a.seen == nil || (a.seen.user() == "") != c.stripped {
			t.Errorf("%s: %d %+v", c.name, a.StatusCode, a.seen)
		}
	}
}

// TestRequestHeaderBefore: an operator's own stripping must not remove what
// this module has set, wherever in the site it is written.
func TestRequestHeaderBefore(t *testing.T) {
	for _, site := range []string{
		"request_header -X-Verified-*\nchat_identity {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM",
		"chat_identity {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM\nrequest_header -X-Verified-*\nrequest_header -X-Identity-*",
	} {
		equal(t, verdict(t, start(t, "", site).post(t, claim("zoe"), "X-Verified-User: victim")), "zoe", "the claim")
	}
}

// TestUserEncoding: every byte class of an id survives its header, and any URL
// decoder gives it back.
func TestUserEncoding(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	for id, want := range map[string]string{
		"zoe": "zoe", "AZaz09-._~@:": "AZaz09-._~@:", "a b": "a%20b", " outer ": "%20outer%20", "a+b": "a%2Bb", "a%41b": "a%2541b", "a/b?c#d&e=f": "a%2Fb%3Fc%23d%26e%3Df",
		`"quoted\"`: "%22quoted%5C%22", "a,b;c": "a%2Cb%3Bc", "zoë": "zo%C3%AB", "日本": "%E6%97%A5%E6%9C%AC", "😀": "%F0%9F%98%80", "\u00a0": "%C2%A0", "\u2028": "%E2%80%A8",
		"e\u0301": "e%CC%81", "{http.request.uri}": "%7Bhttp.request.uri%7D", "$(id)`'<>[]^|*!": "%24%28id%29%60%27%3C%3E%5B%5D%5E%7C%2A%21", "\ufeffa": "%EF%BB%BFa", "\ufffd": "%EF%BF%BD",
	} {
		a := g.post(t, claim(id))
		if a.seen == nil || a.seen.user() != want {
			t.Errorf("%q: %d %s, want %s", id, a.StatusCode, a.body, want)
			continue
		}
		if got, err := url.QueryUnescape(a.seen.user()); err != nil || got != id {
			t.Errorf("%q decodes to %q: %v", id, got, err)
		}
	}
	for _, id := range []string{"a\r\nX-Verified-User: b", "a\x00", "a\tb", "\u0085", "\x7f", "\u009f"} {
		equal(t, verdict(t, g.post(t, claim(id))), "400 malformed", "%q", id)
	}
	for c := range rune(256) {
		id := "a" + string(c) + "b"
		if a := g.post(t, claim(id)); a.seen != nil {
			if got, err := url.PathUnescape(a.seen.user()); err != nil || got != id {
				t.Errorf("%q arrives as %q: %v", id, got, err)
			}
		} else if c >= ' ' && c < 0x7f || c >= 0xa0 {
			t.Errorf("%q: %d %s", id, a.StatusCode, a.body)
		}
	}
}

// TestIdentityHeaders: e-mail and name are encoded as the id is, everything
// else is one line of JSON in ASCII.
func TestIdentityHeaders(t *testing.T) {
	send := func(g *gateway, metadata string) *answered {
		t.Helper()
		return g.post(t, `{"user_id":"zoe","user_hash":"`+sign("zoe")+`","user_metadata":`+metadata+`}`)
	}
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	for _, c := range []struct{ metadata, email, name, attributes string }{
		{`{"email":"zoe@example.com","name":"Zoë A. 😀"}`, "zoe@example.com", "Zo%C3%AB%20A.%20%F0%9F%98%80", ""},
		{`{"name":"a\r\nX-Verified-User: b"}`, "", "a%0D%0AX-Verified-User:%20b", ""},
		{`{"plan":"gold","n":1.50,"deep":{"a":[1, 2 ,{"b":null}]},"phone":"+49 30"}`, "", "", `{"phone":"+49 30","plan":"gold","n":1.50,"deep":{"a":[1,2,{"b":null}]}}`},
		{`{"ö":"ü😀","line":"a\nb","del":"` + "\x7f" + `"}`, "", "", `{"\u00f6":"\u00fc\ud83d\ude00","line":"a\nb","del":"\u007f"}`},
		{`{"email":null,"name":""}`, "", "", ""},
		{`{}`, "", "", ""},
	} {
		a := send(g, c.metadata)
		if a.seen == nil {
			t.Errorf("%s: %d %s", c.metadata, a.StatusCode, a.body)
			continue
		}
		h := a.seen.Header
		if h.Get("X-Identity-Email") != c.email || h.Get("X-Identity-Name") != c.name || h.Get("X-Identity-Attributes") != c.attributes || a.seen.user() != "zoe" {
			t.Errorf("%s: %v", c.metadata, h)
		}
		if attributes := h.Get("X-Identity-Attributes"); attributes != "" && !json.Valid([]byte(attributes)) {
			t.Errorf("%s: not JSON: %s", c.metadata, attributes)
		}
	}
}

// TestIdentityHeadersBound: all X-Identity-* take at most 4 KiB, e-mail address and name come
// first, and what does not fit is left out alone.
func TestIdentityHeadersBound(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	name, email := strings.Repeat("😀", 200), strings.Repeat("é", 242)+"@example.com"
	for _, c := range []struct {
		name, email, attribute                string
		wantName, wantEmail, wantedAttributes bool
	}{
		{"Zoe", "zoe@example.com", strings.Repeat("x", 3900), true, true, true},
		{"Zoe", "zoe@example.com", strings.Repeat("x", 4000), true, true, false},
		{"Zoe", "zoe@example.com", strings.Repeat("é", 1000), true, true, false},
		{name, "zoe@example.com", strings.Repeat("x", 2000), true, true, false},
		{name, "zoe@example.com", strings.Repeat("x", 1200), true, true, true},
		{name, strings.Repeat("😀", 250), "x", false, true, true},
		{name, email, "", true, true, true},
	} {
		body, err := json.Marshal(map[string]any{"user_id": "zoe", "user_hash": sign("zoe"),
			"user_metadata": map[string]string{"name": c.name, "email": c.email, "plan": c.attribute}})
		must(t, err)
		a := g.post(t, string(body))
		if a.seen == nil || a.seen.user() != "zoe" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		size := 0
		for name, values := range a.seen.Header {
			if strings.HasPrefix(name, "X-Identity-") {
				size += len(name) + len(values[0])
			}
		}
		has := func(name string) bool { return a.seen.Header.Get(name) != "" }
		if size > 4<<10 || has("X-Identity-Name") != c.wantName || has("X-Identity-Email") != c.wantEmail || has("X-Identity-Attributes") != c.wantedAttributes {
			t.Errorf("%d bytes: name %v, e-mail %v, attributes %v; want %v, %v, %v", size, has("X-Identity-Name"), has("X-Identity-Email"), has("X-Identity-Attributes"),
				c.wantName, c.wantEmail, c.wantedAttributes)
		}
	}
}
