package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// sessionSite is a site whose every handler takes sessions; path is matched, and the rest of
// the site is guarded.
const sessionSite = "chat_identity /chat* required {\nsecret {env.TEST_SECRET}\nidentify /identify\nsession 1h\n%s\n}\nreverse_proxy UPSTREAM {\nheader_up X-Original {http.request.orig_uri}\nheader_up X-Proof {http.chat_identity.proof}\n}"

// identified is the answer to a claim at identify.
func (g *gateway) identified(t testing.TB, path, body string, headers ...string) (a identified, answer *answered) {
	t.Helper()
	answer = g.do(t, "POST", path, body, append([]string{jsonType}, headers...)...)
	if answer.StatusCode == 200 {
		must(t, json.Unmarshal([]byte(answer.body), &a))
	}
	return a, answer
}

// session trades a claim at identify for a session.
func (g *gateway) session(t testing.TB, body string, headers ...string) string {
	t.Helper()
	a, answer := g.identified(t, "/identify", body, headers...)
	if a.Session == nil || a.Session.Token == "" {
		t.Fatalf("no session: %d %s", answer.StatusCode, answer.body)
	}
	return a.Session.Token
}

const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"

// TestSessionIsGiven: identify gives a session for a verified claim, and for nothing else.
func TestSessionIsGiven(t *testing.T) {
	for _, lifetime := range []string{"1m", "90s", "24h"} {
		g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /identify\nsession "+lifetime+"\ncors https://www.example.com\n}")
		seconds, _ := time.ParseDuration(lifetime)
		a, answer := g.identified(t, "/identify", claim("ada"), page)
		if a.Verified == nil || !*a.Verified || a.User.ID != "ada" || a.Session == nil || a.Session.ExpiresIn != int64(seconds/time.Second) {
			t.Fatalf("%s: %d %s", lifetime, answer.StatusCode, answer.body)
		}
		if token := a.Session.Token; token == "" || len(token) > 2000 || strings.Trim(token, tokenAlphabet) != "" {
			t.Errorf("token %s", token)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Access-Control-Allow-Origin") != "https://www.example.com" || answer.seen != nil {
			t.Errorf("headers %v", answer.Header)
		}
		for name, body := range map[string]string{"nothing": "{}", "partial": `{"user_id":"ada"}`, "forged": `{"user_id":"ada","user_hash":"` + sign("bob") + `"}`} {
			if a, answer := g.identified(t, "/identify", body); a.Verified == nil || *a.Verified || a.Session != nil || strings.Contains(answer.body, "session") {
				t.Errorf("%s: %d %s", name, answer.StatusCode, answer.body)
			}
		}
		// A session is no claim, alone or beside the user id.
		for _, body := range []string{"", `{"user_id":"ada"}`} {
			b, answer := g.identified(t, "/identify", body, "X-Chat-Session: "+a.Session.Token)
			if b.Verified == nil || !*b.Verified || b.User.ID != "ada" || b.Session != nil || strings.Contains(answer.body, "session") {
				t.Errorf("a session at identify: %d %s", answer.StatusCode, answer.body)
			}
		}
		// Beside a claim, the claim gives one.
		if b, answer := g.identified(t, "/identify", claim("ada"), "X-Chat-Session: "+a.Session.Token); b.Session == nil {
			t.Errorf("a session beside a claim: %d %s", answer.StatusCode, answer.body)
		}
	}
	longest := strings.Repeat("\U0010ffff", 512)
	g := chat(t, fmt.Sprintf(sessionSite, "widget "+strings.Repeat("w", 128)))
	token := g.session(t, claim(longest))
	a := g.post(t, "{}", "X-Chat-Session: "+token)
	if len(token) > 2000 || a.seen == nil || a.seen.user() != encodeHeader(longest) {
		t.Errorf("%d characters: %d %s", len(token), a.StatusCode, a.body)
	}
	// Without the option there is none, and in mode off either.
	g = chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /identify\n}")
	checkIdentified(t, g.do(t, "POST", "/identify", claim("ada"), jsonType), `{"verified":true,"user":{"id":"ada"}}`)
	g = chat(t, "chat_identity off {\nsecret {env.TEST_SECRET}\nidentify /identify\nsession 1h\n}")
	checkIdentified(t, g.do(t, "POST", "/identify", claim("ada"), jsonType), `{"status":"disabled"}`)
}

// TestSessionProves the user wherever a session may be, and says so.
func TestSessionProves(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, ""))
	session := g.session(t, claim("ada"))
	header := "X-Chat-Session: " + session
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		want, uri                string
	}{
		{"header", "POST", "/chat", `{"text":"hi"}`, []string{header, jsonType}, "ada", "/chat"},
		{"header without a body", "POST", "/chat", "", []string{header}, "ada", "/chat"},
		{"header of a GET", "GET", "/chat?a=1", "", []string{header}, "ada", "/chat?a=1"},
		{"header of a HEAD", "HEAD", "/chat", "", []string{header}, "ada", "/chat"},
		{"header in lower case", "POST", "/chat", "", []string{"x-chat-session: " + session}, "ada", "/chat"},
		{"query", "GET", "/chat?a=1&chat_session=" + session + "&b=2", "", nil, "ada", "/chat?a=1&b=2"},
		{"query alone", "GET", "/chat?chat_session=" + session, "", nil, "ada", "/chat"},
		{"event stream", "GET", "/chat?chat_session=" + session, "", []string{"Accept: text/event-stream"}, "ada", "/chat"},
		{"query, escaped", "GET", "/chat?chat%5fsession=" + strings.ReplaceAll(session, "~", "%7e"), "", nil, "ada", "/chat"},
		{"query of a POST", "POST", "/chat?chat_session=" + session, "", nil, "401 missing", ""},
		{"query of a PUT", "PUT", "/chat?chat_session=" + session, "", nil, "401 missing", ""},
		{"header, and the query of a POST", "POST", "/chat?a=1&chat_session=other", "", []string{header}, "ada", "/chat?a=1"},
		{"one in both", "GET", "/chat?chat_session=" + session, "", []string{header}, "ada", "/chat"},
		{"two that differ", "GET", "/chat?chat_session=" + session + "x", "", []string{header}, "400 ambiguous", ""},
		{"two that verify", "GET", "/chat?chat_session=" + minted(t, "ada", time.Now().Add(time.Minute)), "", []string{header}, "400 ambiguous", ""},
		{"two parameters", "GET", "/chat?chat_session=" + session + "&chat_session=" + session, "", nil, "400 ambiguous", ""},
		{"two headers", "GET", "/chat", "", []string{header, header}, "400 ambiguous", ""},
		{"another widget's way", "GET", "/chat?session=" + session, "", nil, "401 missing", ""},
		{"in a cookie", "GET", "/chat", "", []string{"Cookie: chat_session=" + session}, "401 missing", ""},
		{"in the body", "POST", "/chat", `{"chat_session":"` + session + `"}`, []string{jsonType}, "401 missing", ""},
		{"in Authorization", "GET", "/chat", "", []string{"Authorization: Bearer " + session}, "401 missing", ""},
		{"empty", "GET", "/chat?chat_session=", "", nil, "401 missing", ""},
		{"no session", "GET", "/chat?chat_session=abc", "", nil, "401 invalid", ""},
		{"a bad escape", "GET", "/chat?chat_session=%zz", "", nil, "401 invalid", ""},
		{"not UTF-8", "GET", "/chat?chat_session=%ff", "", nil, "401 invalid", ""},
		{"not UTF-8 in the header", "GET", "/chat", "", []string{"X-Chat-Session: \xff\xfe"}, "401 invalid", ""},
		{"a long text", "GET", "/chat", "", []string{"X-Chat-Session: " + strings.Repeat("a", 6_000)}, "401 invalid", ""},
		{"a list", "GET", "/chat", "", []string{header + ", " + session}, "401 invalid", ""},
	} {
		a := g.do(t, c.method, c.path, c.body, c.headers...)
		equal(t, verdict(t, a), c.want, "%s", c.name)
		if a.seen == nil {
			continue
		}
		if a.seen.URI != c.uri || a.seen.Header.Get("X-Original") != c.uri || a.seen.Body != c.body {
			t.Errorf("%s: the upstream saw %s, %s and %q", c.name, a.seen.URI, a.seen.Header.Get("X-Original"), a.seen.Body)
		}
		if all := fmt.Sprint(a.seen); strings.Contains(all, session) || strings.Contains(strings.ToLower(all), "chat-session") {
			t.Errorf("%s: the upstream saw the session: %s", c.name, all)
		}
		equal(t, a.seen.Header.Get("X-Proof"), "session", "%s: proof", c.name)
	}
	if a := g.do(t, "HEAD", "/chat?chat_session="+session, ""); a.StatusCode != 401 || a.seen != nil {
		t.Errorf("query of a HEAD: %d %+v", a.StatusCode, a.seen)
	}
	// E-mail, name and attributes come with each request, and are the browser's word.
	a := g.post(t, `{"user_id":"ada","user_metadata":{"email":"a@example.com"}}`, header)
	if a.seen == nil || a.seen.Header.Get("X-Identity-Email") != "a%40example.com" && a.seen.Header.Get("X-Identity-Email") != "a@example.com" || a.seen.Header.Get("X-Verified-Email") != "" {
		t.Errorf("%+v", a.seen)
	}
}

// TestSessionTampering changes one character after another; what is not one spelling of
// this session is invalid.
func TestSessionTampering(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, "")+"\n")
	session := g.session(t, claim("ada"))
	at := strings.Index(session, "~")
	for i := range session {
		changed := session[:i] + string(tokenAlphabet[(strings.IndexByte(tokenAlphabet, session[i])+1+i%40)%len(tokenAlphabet)]) + session[i+1:]
		equal(t, verdict(t, g.post(t, "", "X-Chat-Session: "+changed)), "401 invalid", "%s", changed)
	}
	for name, text := range map[string]string{
		"cut": session[:len(session)-1], "longer": session + "A", "padded": session + "=", "the same again": session + session[at:],
		"upper case": strings.ToUpper(session), "quoted": `"` + session + `"`, "another widget's": "shop" + session[at:], "a claim": sign("ada"), "a jwt": jwt(testSecret, `{"sub":"ada"}`),
		"the signature of a user id": session[:at+1] + strings.TrimRight(sign("session mac\x01"), "="),
	} {
		equal(t, verdict(t, g.post(t, "", "X-Chat-Session: "+text)), "401 invalid", "%s", name)
	}
}

// minted returns a session that the running gateway's first handler gives, as if at another
// time.
func minted(t testing.TB, user string, expires time.Time) string {
	t.Helper()
	h := active(t).deciders[0]
	key := h.single.inline.secrets[0].keys["text"]
	var r verifier.Reading
	h.plan.verifier.JSON([]byte(claim(user)), &r)
	identity, err := h.plan.verifier.Verify(&r, key)
	must(t, err)
	s := verifier.Sessions{Widget: h.single.id, Rules: h.plan.rules, Unversioned: true}
	return s.Sign(identity, expires)
}

// TestSessionEnds: a session that is over is expired, beside a user id, too.
func TestSessionEnds(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, ""))
	for _, body := range []string{"", `{"user_id":"ada"}`} {
		equal(t, verdict(t, g.post(t, body, "X-Chat-Session: "+minted(t, "ada", time.Now().Add(time.Minute)))), "ada", "before its end %s", body)
		a := g.post(t, body, "X-Chat-Session: "+minted(t, "ada", time.Now()))
		equal(t, verdict(t, a), "401 expired", "at its end %s", body)
		equal(t, a.problem(t).Detail, "The session is over. Identify the user anew.", "detail")
	}
	session := g.session(t, claim("ada"))
	first := minted(t, "ada", time.Now().Add(time.Hour))
	equal(t, len(first), len(session), "the length of what the test mints and the gateway does")
}

// TestSessionBeside goes through what may be beside a session.
func TestSessionBeside(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, ""))
	good := g.session(t, claim("ada"))
	over := minted(t, "ada", time.Now().Add(-time.Second))
	half, other := `{"user_id":"ada"}`, `{"user_id":"bob"}`
	forged := `{"user_id":"ada","user_hash":"` + sign("bob") + `"}`
	for _, c := range []struct{ name, body, good, over, none string }{
		{"nothing", "", "ada", "401 expired", "401 invalid"},
		{"no claim", `{"text":"hi"}`, "ada", "401 expired", "401 invalid"},
		{"the same claim", claim("ada"), "ada", "ada", "ada"},
		{"another user's claim", claim("bob"), "400 ambiguous", "bob", "bob"},
		{"the same user id", half, "ada", "401 expired", "401 invalid"},
		{"another user id", other, "400 ambiguous", "401 expired", "401 invalid"},
		{"another spelling of the user id", `{"USER_ID":"ada"}`, "400 ambiguous", "401 expired", "401 invalid"},
		{"two user ids", `{"user_id":"ada","user_id":"ada"}`, "400 ambiguous", "400 ambiguous", "400 ambiguous"},
		{"a forged claim", forged, "400 ambiguous", "401 invalid", "401 invalid"},
		{"a signature alone", `{"user_hash":"` + sign("ada") + `"}`, "400 ambiguous", "401 partial", "401 partial"},
		{"no user id", `{"user_id":null}`, "ada", "401 expired", "401 invalid"},
		{"a malformed claim", `{"user_id":["ada"]}`, "400 malformed", "400 malformed", "400 malformed"},
		{"no JSON, with a name", `{"user_id":`, "400 malformed", "400 malformed", "400 malformed"},
	} {
		for session, want := range map[string]string{good: c.good, over: c.over, "abc": c.none} {
			a := g.post(t, c.body, "X-Chat-Session: "+session)
			equal(t, verdict(t, a), want, "%s beside %.8s…", c.name, session)
			if a.seen != nil {
				proof := "session"
				if strings.HasPrefix(c.body, `{"user_id"`) && strings.Contains(c.body, "hash") {
					proof = "signature"
				}
				equal(t, a.seen.Header.Get("X-Proof"), proof, "%s: proof", c.name)
			}
		}
	}
	// In optional mode what does not verify is forwarded without either.
	g = chat(t, strings.Replace(fmt.Sprintf(sessionSite, ""), "required", "optional", 1))
	for _, c := range []struct{ body, session, want, upstream string }{
		{half, "abc", "invalid invalid", "{}"},
		{half, over, "expired expired", "{}"},
		{`{"text":"hi"}`, "abc", "invalid invalid", `{"text":"hi"}`},
		{forged, "abc", "invalid invalid", "{}"},
		{forged, good, "400 ambiguous", ""},
		{other, good, "400 ambiguous", ""},
		{half, good, "ada", half},
	} {
		a := g.post(t, c.body, "X-Chat-Session: "+c.session)
		equal(t, verdict(t, a), c.want, "optional: %s beside %.8s…", c.body, c.session)
		if a.seen != nil {
			equal(t, a.seen.Body, c.upstream, "%s: body", c.body)
		}
	}
}

// TestSessionRefusals: what refuses a session quotes nothing of it, and browsers may read it.
func TestSessionRefusals(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, "dialect nextcap\ncors https://www.example.com"))
	a := g.do(t, "GET", "/chat?chat_session=abcdefgh", "", page)
	p := a.problem(t)
	if a.StatusCode != http.StatusForbidden || p.Code != "identity_invalid" || strings.Contains(a.body, "abcdefgh") || strings.Contains(p.Detail, "HMAC") || !strings.Contains(p.Detail, "session") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a.Header.Get("Access-Control-Allow-Origin") != "https://www.example.com" {
		t.Errorf("headers %v", a.Header)
	}
}
