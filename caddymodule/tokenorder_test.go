package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestTokenOrder: of several reasons against a request with a token, the first counts.
func TestTokenOrder(t *testing.T) {
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\nmode required\n}\nwidget broken {\nsecret {env.TEST_SECRET}\n}\n"+ownLedger(t), `
	handle /hex/* {
		chat_identity required {
			widget {query.w}
			dialect nextcap
			claim token query t
			proof token
			one_time
			key_encoding hex
		}
	}
	handle {
		chat_identity required {
			widget {query.w}
			dialect nextcap
			claim token query t
			claim token header Authorization
			proof token
			one_time
		}
		reverse_proxy UPSTREAM
	}`)
	token := func(secret, members string) string {
		return jwt(secret, fmt.Sprintf(`{"sub":"ada","exp":%d,"jti":"%d"%s}`, inAnHour(), nonces.Add(1), members))
	}
	used := token(testSecret, "")
	equal(t, verdict(t, g.do(t, "GET", "/chat?w=shop&t="+used, "")), "ada", "at first")
	wrong, expired := token(otherSecret, ""), token(testSecret, `,"nbf":9000000000`)
	const noToken = "a.b.c"
	signature := "&userId=ada&userHash=" + sign("ada")
	for _, test := range []struct{ name, path, query, bearer, want string }{
		{"malformed, of an unknown widget", "/chat", "w=nobody&t=" + noToken, "", "400 malformed"},
		{"malformed, and the widget unavailable", "/hex/chat", "w=shop&t=" + noToken, "", "400 malformed"},
		{"two that differ, of an unknown widget", "/chat", "w=nobody&t=" + wrong, used, "400 ambiguous"},
		{"another user beside, expired", "/chat", "w=shop&userId=bob&t=" + expired, "", "400 ambiguous"},
		{"none, of an unknown widget", "/chat", "w=nobody", "", "401 missing"},
		{"a signature alone, of an unknown widget", "/chat", "w=nobody" + signature, "", "401 partial"},
		{"a signature alone, the widget unavailable", "/hex/chat", "w=shop" + signature, "", "401 partial"},
		{"an unknown widget, another's secret", "/chat", "w=nobody&t=" + wrong, "", "403 widget_unknown"},
		{"an unknown widget, expired", "/chat", "w=nobody&t=" + expired, "", "403 widget_unknown"},
		{"unavailable, another's secret", "/hex/chat", "w=shop&t=" + wrong, "", "503 unavailable"},
		{"unavailable, expired", "/hex/chat", "w=shop&t=" + expired, "", "503 unavailable"},
		{"invalid and expired", "/chat", "w=shop&t=" + token(otherSecret, `,"nbf":9000000000`), "", "403 invalid"},
		{"expired, with a jti that was used", "/chat", "w=shop&t=" + jwt(testSecret, `{"sub":"ada","exp":5,"jti":"`+fmt.Sprint(nonces.Load())+`"}`), "", "401 expired"},
		{"replayed", "/chat", "w=shop&t=" + used, "", "403 replayed"},
	} {
		headers := []string{}
		if test.bearer != "" {
			headers = append(headers, "Authorization: Bearer "+test.bearer)
		}
		equal(t, verdict(t, g.do(t, "GET", test.path+"?"+test.query, "", headers...)), test.want, "%s", test.name)
	}
}

// TestTokenOff: in mode off no token is judged, nor used, and what is ours never passes.
func TestTokenOff(t *testing.T) {
	g := ledgered(t, strings.Replace(tokensOnce("claim token query t"), "required", "off", 1)+"reverse_proxy UPSTREAM")
	for _, token := range []string{numberedToken(), jwt(otherSecret, `{"sub":"ada","exp":5}`), "a.b.c"} {
		for range 2 {
			a := g.do(t, "GET", "/chat?t="+token, "", "Authorization: Bearer "+token, "X-Verified-User: ada")
			if a.StatusCode != 200 || a.seen == nil || a.seen.URI != "/chat?t="+token || a.seen.Header.Get("Authorization") != "Bearer "+token || a.seen.user() != "" {
				t.Errorf("%d %+v", a.StatusCode, a.seen)
			}
		}
	}
}

// TestTokenKept: with 'unverified keep' a token that does not verify reaches the upstream,
// as nobody's.
func TestTokenKept(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nclaim token header Authorization\nclaim token query t\nunverified keep\n}")
	good := jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
	for token, want := range map[string]string{
		good: "ada", jwt(otherSecret, `{"sub":"ada","exp":5}`): "invalid invalid", jwt(testSecret, `{"sub":"ada","exp":5}`): "expired expired",
	} {
		for _, a := range []*answered{g.do(t, "GET", "/chat", "", "Authorization: Bearer "+token), g.do(t, "GET", "/chat?t="+url.QueryEscape(token), "")} {
			equal(t, verdict(t, a), want, "%.60s", token)
			if a.seen == nil || !strings.Contains(a.seen.URI+a.seen.Header.Get("Authorization"), token) {
				t.Errorf("%s: the upstream reads %+v", want, a.seen)
			}
		}
	}
}
