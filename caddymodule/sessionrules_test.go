package caddymodule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestSessionRules: handlers of one widget take each other's sessions where they have a claim
// proved in the same way, and nowhere else.
func TestSessionRules(t *testing.T) {
	// Each group has the same rules, and no two groups do.
	groups := [][]string{
		{"", "dialect bookbag", "encoding hex", "encoding base64", "unverified keep", "session 2h", "proof any", "claim email body /mail", "max_body 1KiB"},
		{"dialect nextcap"},
		{`message "{user_id}:email"`},
		{`message "{user_id}:{timestamp}"` + "\nclaim timestamp body /t", `message "{user_id}:{timestamp}"` + "\nclaim timestamp body /t\nmax_age 5m\nskew 1m"},
		{`message "{user_id}:{timestamp}"` + "\nclaim timestamp body /t\nmax_age 1m"},
		{`message "{user_id}:{timestamp}"` + "\nclaim timestamp body /t\none_time"},
		{"claim token body /token\nproof any", "claim token body /token"},
		{"claim token body /token\nproof token"},
		{"claim token body /token\nproof signature"},
		{"claim token body /token\nproof token\none_time"},
		{"claim token body /token\nproof token\ntoken {\nuser_id /id\n}"},
		{"claim token body /token\nproof token\ntoken {\nrequire /aud chat\n}"},
		{"claim token body /token\nproof token\ntoken {\nrequire /aud web\n}"},
		{"claim token body /token\nproof token\ntoken {\nforbid /admin\n}"},
		{"claim token body /token\nproof token\ntoken {\nalgorithm HS512\n}"},
		{"claim token body /token\nproof token\ntoken {\nmax_lifetime 1h\n}"},
		{"claim token body /token\nproof token\ntoken {\nno_expiry\n}"},
		{"key_encoding hex"},
	}
	t.Setenv("TEST_SECRET", strings.Repeat("0123456789abcdef", 4))
	var site strings.Builder
	var paths []string
	of := map[string]int{}
	for i, group := range groups {
		for _, options := range group {
			path := fmt.Sprintf("/h%d", len(paths))
			if !strings.Contains(options, "session ") {
				options += "\nsession 1h"
			}
			if strings.HasPrefix(options, "message") {
				options += "\nclaim email body /email"
			}
			fmt.Fprintf(&site, "handle %s* {\nchat_identity required {\nsecret {env.TEST_SECRET}\nidentify %[1]s/identify\n%s\n}\nreverse_proxy UPSTREAM\n}\n", path, options)
			paths, of[path] = append(paths, path), i
		}
	}
	g := ledgered(t, site.String())
	for _, from := range paths {
		session := sessionOf(t, from+"/identify")
		for _, to := range paths {
			want := "401"
			if groups[of[to]][0] == "dialect nextcap" { // which answers as the general table has it
				want = "403"
			}
			if want += " invalid"; of[from] == of[to] {
				want = "ada"
			}
			equal(t, verdict(t, g.do(t, "GET", to, "", "X-Chat-Session: "+session)), want, "a session of %s at %s", from, to)
		}
	}
}

// sessionOf returns a session of ada's as the handler with that identify path gives it,
// whatever a claim looks like there.
func sessionOf(t testing.TB, identify string) string {
	t.Helper()
	for _, h := range active(t).deciders {
		if h.Identify != identify {
			continue
		}
		d, err := verifier.LookupDialect("bookbag")
		must(t, err)
		v, err := d.Reader()
		must(t, err)
		key := h.single.inline.secrets[0].keys[h.plan.policy.KeyEncoding]
		hash, err := v.Sign(key, map[verifier.Field]string{verifier.UserID: "ada"})
		must(t, err)
		var r verifier.Reading
		v.JSON(fmt.Appendf(nil, `{"user_id":"ada","user_hash":"%s"}`, hash), &r)
		identity, err := v.Verify(&r, key)
		must(t, err)
		s := verifier.Sessions{Widget: h.single.id, Rules: h.plan.rules, Unversioned: true}
		return s.Sign(identity, time.Now().Add(time.Hour))
	}
	t.Fatalf("no handler has the path %s", identify)
	return ""
}

// TestSessionOneTime: identify spends a one-time claim, and the requests after it need none.
func TestSessionOneTime(t *testing.T) {
	g := ledgered(t, oneTime("required", "session 1h\nidentify /identify")+"reverse_proxy UPSTREAM")
	k := newToken("ada")
	session := g.session(t, k.json())
	header := "X-Chat-Session: " + session
	a, answer := g.identified(t, "/identify", k.json())
	if answer.StatusCode != 403 || a.Session != nil || answer.problem(t).Reason != "replayed" {
		t.Errorf("the same claim at identify again: %d %s", answer.StatusCode, answer.body)
	}
	equal(t, verdict(t, g.post(t, k.json())), "403 replayed", "the claim that was traded")
	equal(t, verdict(t, g.post(t, k.json(), header)), "400 ambiguous", "the claim that was traded, beside its session")
	for range 3 {
		equal(t, verdict(t, g.post(t, `{"text":"hi"}`, header)), "ada", "with the session")
		equal(t, verdict(t, g.post(t, `{"user_id":"ada"}`, header)), "ada", "with the session and the user id")
		equal(t, verdict(t, g.do(t, "GET", "/chat?chat_session="+session, "")), "ada", "with the session in the query")
	}
	// The claim itself is spent as before, whether a session is beside it or not.
	g.acceptsOnce(t, newToken("ada"), "a claim without a session")
	k = newToken("ada")
	equal(t, verdict(t, g.post(t, k.json(), header)), "ada", "a new claim beside a session")
	equal(t, verdict(t, g.post(t, k.json())), "403 replayed", "that claim again")
	k = newToken("ada")
	equal(t, verdict(t, g.post(t, k.json(), "X-Chat-Session: abc")), "ada", "a new claim beside what is no session")
	equal(t, verdict(t, g.post(t, k.json(), "X-Chat-Session: abc")), "403 replayed", "that claim again")
	equal(t, verdict(t, g.post(t, newToken("bob").json(), header)), "400 ambiguous", "another user's claim")
	// What does not verify gives and spends nothing.
	k = newToken("ada")
	forged := k
	forged.user = "bob"
	if _, answer := g.identified(t, "/identify", forged.json()); answer.StatusCode != 403 {
		t.Errorf("forged: %d %s", answer.StatusCode, answer.body)
	}
	if _, answer := g.identified(t, "/identify", k.json(), header); answer.StatusCode != 200 {
		t.Errorf("a new claim beside a session: %d %s", answer.StatusCode, answer.body)
	}
	if a, answer := g.identified(t, "/identify", "{}", header); a.User == nil || a.User.ID != "ada" || a.Session != nil {
		t.Errorf("a session at identify: %d %s", answer.StatusCode, answer.body)
	}
	// Without session, identify spends nothing.
	g = ledgered(t, oneTime("required", "identify /identify")+"reverse_proxy UPSTREAM")
	k = newToken("ada")
	for range 2 {
		checkIdentified(t, g.do(t, "POST", "/identify", k.json(), jsonType), `{"verified":true,"user":{"id":"ada"}}`)
	}
	g.acceptsOnce(t, k, "after identify")
}

// TestSessionTime: an assertion has the time at which the claim was signed, and none where the
// claim says none.
func TestSessionTime(t *testing.T) {
	g := ledgered(t, oneTime("required", "session 1h\nidentify /identify\nassertion backend\njwks_path /jwks")+"reverse_proxy UPSTREAM")
	signed := time.Now().Add(-time.Minute).Truncate(time.Second)
	session := g.session(t, tokenAt("ada", signed).json())
	a := g.post(t, "{}", "X-Chat-Session: "+session)
	claims := g.jwks(t, "/jwks").verify(t, a.seen.Header.Get("X-Verified-Assertion"))
	if claims["auth_time"] != float64(signed.Unix()) || claims["sub"] != "ada" || claims["outcome"] != "verified" || claims["dialect"] != "snapengage" {
		t.Errorf("%v, want auth_time %d", claims, signed.Unix())
	}
	g = chat(t, fmt.Sprintf(sessionSite, "assertion backend\njwks_path /jwks"))
	a = g.post(t, "{}", "X-Chat-Session: "+g.session(t, claim("ada")))
	if claims := g.jwks(t, "/jwks").verify(t, a.seen.Header.Get("X-Verified-Assertion")); claims["auth_time"] != nil || claims["sub"] != "ada" {
		t.Errorf("%v", claims)
	}
}

// TestSessionOfToken: a session outlives the token that proved its claim, and has nothing of
// what it signed but the user.
func TestSessionOfToken(t *testing.T) {
	g := chat(t, fmt.Sprintf(sessionSite, "claim token body /token\ntoken {\nemail /email\n}"))
	short := fmt.Sprintf(`{"token":"%s"}`, jwt(testSecret, fmt.Sprintf(`{"sub":"ada","email":"a@example.com","exp":%d}`, time.Now().Add(3*time.Second).Unix())))
	session := g.session(t, short)
	header := "X-Chat-Session: " + session
	token := fmt.Sprintf(`{"token":"%s"}`, jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour())))
	other := fmt.Sprintf(`{"token":"%s"}`, jwt(testSecret, fmt.Sprintf(`{"sub":"bob","exp":%d}`, inAnHour())))
	over := fmt.Sprintf(`{"token":"%s"}`, jwt(testSecret, `{"sub":"ada","exp":1}`))
	for _, c := range []struct{ body, want, proof string }{
		{`{"user_metadata":{"email":"b@example.com"}}`, "ada", "session"}, {token, "ada", "token"}, {other, "400 ambiguous", ""}, {over, "400 ambiguous", ""},
		{`{"token":"abc"}`, "400 malformed", ""},
	} {
		a := g.post(t, c.body, header)
		equal(t, verdict(t, a), c.want, "%s", c.body)
		if a.seen == nil {
			continue
		}
		equal(t, a.seen.Header.Get("X-Proof"), c.proof, "%s", c.body)
		if c.proof == "session" && (a.seen.Header.Get("X-Verified-Email") != "" || a.seen.Header.Get("X-Identity-Email") != "b@example.com") {
			t.Errorf("headers %v", a.seen.Header)
		}
	}
	eventually(t, "the token does not expire", func() bool { return verdict(t, g.post(t, short)) == "401 expired" })
	equal(t, verdict(t, g.post(t, "{}", header)), "ada", "after the token has expired")
	for _, c := range []struct{ name, options, body string }{
		{"proof token", "proof token", claim("ada")}, {"proof signature", "proof signature", token},
	} {
		g := chat(t, fmt.Sprintf(sessionSite, "claim token body /token\n"+c.options))
		session := sessionOf(t, "/identify")
		equal(t, verdict(t, g.post(t, "{}", "X-Chat-Session: "+session)), "ada", "%s", c.name)
		equal(t, verdict(t, g.post(t, c.body, "X-Chat-Session: "+session)), "400 ambiguous", "%s: beside the other proof", c.name)
	}
}
