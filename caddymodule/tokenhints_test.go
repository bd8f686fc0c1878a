package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// TestTokenSchemeHints: a token that is not read because of what stands before it is named.
func TestTokenSchemeHints(t *testing.T) {
	g, lines := operated(t, "", `chat_identity required {
		widget {http.request.header.X-Widget-Key}
		dialect zendesk
	}`)
	token := jwt(g.create(t, `{"id":"shop"}`), `{"external_id":"zoe","scope":"user"}`)
	stream := jwt(g.create(t, `{"id":"stream","dialect":"stream"}`), `{"user_id":"zoe"}`)
	for path, test := range map[string]struct{ widget, value, says string }{
		"/bare":   {"shop", token, "Authorization holds a token without 'Bearer '"},
		"/token":  {"shop", "Token " + token, "behind another scheme than Bearer"},
		"/colon":  {"shop", "Bearer: " + token, "behind another scheme than Bearer"},
		"/basic":  {"shop", "Basic em9lOnpvZQ==", "No identity claim was found"},
		"/none":   {"shop", "", "No identity claim was found"},
		"/stream": {"stream", "Bearer " + stream, "Authorization holds a token behind a scheme: send the token alone"},
	} {
		var hint string
		eventually(t, "no line about "+path, func() bool {
			g.do(t, "GET", path, "", "Authorization: "+test.value, "X-Widget-Key: "+test.widget)
			for _, l := range lines(`"path":"` + path + `"`) {
				hint = l.Hint
			}
			return hint != ""
		})
		contains(t, hint, test.says)
	}
	var v adminapi.Readiness
	g.askInto(t, "widgets/stream/readiness", &v)
	if len(v.Refusals) != 1 || len(v.Refusals[0].Hints) != 1 || v.Refusals[0].Hints[0].ID != "token_scheme" {
		t.Errorf("readiness: %+v", v.Refusals)
	}
}

// TestTokenTooLong: what is said of a token fits wherever it was sent.
func TestTokenTooLong(t *testing.T) {
	g := live(t, "", "chat_identity required {\nsecret {env.TEST_SECRET}\ndialect jwt\n}\nreverse_proxy UPSTREAM")
	long := strings.Repeat("a", 9<<10)
	for name, c := range map[string]*answered{
		"a body":   g.do(t, "POST", "/", `{"user_token":"`+long+`"}`, "Content-Type: application/json"),
		"a header": g.do(t, "GET", "/", "", "Authorization: Bearer "+long[:8100]+".."+long[:100]),
	} {
		if c.StatusCode != 400 || !strings.Contains(c.body, "The identity claim's Authorization or user_token is longer than 8192 bytes.") {
			t.Errorf("%s: %d %s", name, c.StatusCode, c.body)
		}
	}
}

// TestTokenHints: the log and readiness name the mistake of a token, and nothing of what it
// says; only the log names the widget whose secret signed it.
func TestTokenHints(t *testing.T) {
	g, lines := operated(t, "", `chat_identity optional {
		widget {http.request.header.X-Widget-Key}
		dialect zendesk
		reject malformed 400
	}`)
	shop, kiosk := g.create(t, `{"id":"shop"}`), g.create(t, `{"id":"kiosk"}`)
	claims := func(format string, args ...any) string { return "{" + fmt.Sprintf(format, args...) + "}" }
	good := fmt.Sprintf(`{"external_id":"zoe-the-user","scope":"user","exp":%d}`, inAnHour())
	send := func(widget, path, token string) string {
		t.Helper()
		c := g.do(t, "GET", path, "", "Authorization: Bearer "+token, "X-Widget-Key: "+widget)
		return c.body
	}
	send("shop", "/good", jwt(shop, good))
	send("kiosk", "/good", jwt(kiosk, good))
	for path, test := range map[string]struct{ token, id, says string }{
		"/number":    {jwt(shop, claims(`"external_id":42,"scope":"user"`)), "user_id_number", "The user id at /external_id is a number"},
		"/millis":    {jwt(shop, claims(`"external_id":"zoe-the-user","scope":"user","exp":%d000`, inAnHour())), "exp_milliseconds", "exp is in milliseconds"},
		"/expired":   {jwt(shop, claims(`"external_id":"zoe-the-user","scope":"user","exp":1700000000`)), "token_expired", "The token has expired"},
		"/scope":     {jwt(shop, claims(`"external_id":"zoe-the-user","exp":%d`, inAnHour())), "require", "no /scope, which 'require /scope' demands"},
		"/elsewhere": {jwt(shop, claims(`"customer_id":"zoe-the-user","scope":"user","secret-name":1`)), "user_id_elsewhere", "has customer_id:"},
		"/kiosk":     {jwt(kiosk, good), "none_known", "made with the secret of widget kiosk (version "},
	} {
		var answer, hint string
		eventually(t, "no line about "+path, func() bool { // not every request is logged
			answer = send("shop", path, test.token)
			for _, l := range lines(`"path":"` + path + `"`) {
				hint = l.Hint
			}
			return hint != ""
		})
		contains(t, hint, test.says)
		if strings.Contains(answer, hint) || strings.Contains(answer, "kiosk") {
			t.Errorf("%s: the client is told: %s", path, answer)
		}
		var v adminapi.Readiness
		g.askInto(t, "widgets/shop/readiness", &v)
		found := false
		for _, r := range v.Refusals {
			for _, h := range r.Hints {
				found = found || h.ID == test.id
				if strings.Contains(h.Text, "kiosk") {
					t.Errorf("readiness names another widget: %s", h.Text)
				}
			}
		}
		if !found {
			t.Errorf("%s: readiness has no %s: %+v", path, test.id, v.Refusals)
		}
	}
	if len(lines(`"detail":"it expired `)) == 0 {
		t.Error("does not say how long ago")
	}
	for _, text := range []string{"zoe-the-user", "secret-name", shop, kiosk, strings.Split(jwt(shop, good), ".")[2]} {
		for _, l := range lines(text) {
			if l.Reason != "" { // the access log names users that are verified
				t.Errorf("the log has %s: %+v", text, l)
			}
		}
	}
}

// TestPublicKeyHints: where keys are public no hint is about a secret, and one about a kid
// says that a set is not read at once.
func TestPublicKeyHints(t *testing.T) {
	known, stranger := newPair(t, "ES256", "known"), newPair(t, "ES256", "known")
	next := newPair(t, "ES256", "next")
	source, empty := newKeySource(t, known), newKeySource(t)
	site := ""
	for path, url := range map[string]string{"/chat": source.URL, "/empty": empty.URL} {
		site += "chat_identity " + path + "* optional {\nwidget " + path[1:] + "\nclaim token header Authorization" + bound + "jwks " + url + "\n}\n"
	}
	g, lines := operated(t, "", site)
	for path, test := range map[string]struct {
		token, says string
	}{
		"/chat/stranger": {stranger.token(t), "another private key"},
		"/chat/next":     {next.token(t), "for a kid that it lacks at most once in 30 seconds"},
		"/empty":         {known.token(t), "its key set is empty"},
	} {
		var hint string
		eventually(t, "no line about "+path, func() bool {
			g.do(t, "GET", path, "", "Authorization: Bearer "+test.token)
			for _, l := range lines(`"path":"` + path + `"`) {
				hint = l.Hint
			}
			return hint != ""
		})
		contains(t, hint, test.says)
		if strings.Contains(hint, "secret") {
			t.Errorf("%s: no secret is used: %s", path, hint)
		}
	}
}
