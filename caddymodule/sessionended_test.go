package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// TestEndedSessions: metrics, stats and readiness tell a session that has ended from a forged
// claim, and the log, as far as can be known, why it is invalid. The client learns none of that.
func TestEndedSessions(t *testing.T) {
	const handler = "chat_identity /%[1]s/* {\nwidget {header.X-Widget-Key}\nidentify /%[1]s/identify\nsession 1h\n%[2]s\n}\n"
	g, lines := operated(t, "", fmt.Sprintf(handler, "chat", "")+fmt.Sprintf(handler, "other", "proof signature")+"reverse_proxy UPSTREAM")
	secrets := map[string]string{"shop": g.create(t, `{"id":"shop"}`), "desk": g.create(t, `{"id":"desk"}`)}
	session := func(path, widget string) string {
		return g.sessionAt(t, path, widget, secrets[widget])
	}
	before := g.scrape(t)
	shops, others, desks := session("/chat", "shop"), session("/other", "shop"), session("/chat", "desk")
	retired := session("/chat", "desk")
	secrets["desk"] = g.rotate(t, "desk", "")
	equal(t, g.do(t, "POST", "/chat/fresh", `{"user_id":"ada","user_hash":"`+signWith(secrets["desk"], "ada")+`"}`, jsonType, "X-Widget-Key: desk").StatusCode, 200, "fresh")

	const invalid = "The session is not one of this widget under the rules of this path, or the secret behind it was retired. Identify the user anew."
	sent := map[string]float64{}
	for name, c := range map[string]struct{ widget, session, proof, hint, detail string }{
		"text":    {"shop", "what is no session", "none", "What was sent as a session is none", ""},
		"cut":     {"shop", shops[:len(shops)-60], "none", "What was sent as a session is none", ""},
		"another": {"shop", desks, "none", "The session is another widget's", "it is one of widget desk"},
		"rules":   {"shop", others, "session", "The session was given under other rules", "it was given by the handler at "},
		"retired": {"desk", retired, "session", "The session was given for a claim that was signed with a secret of widget desk (version ", ""},
		"forged":  {"shop", shops[:len(shops)-8] + "AAAAAAAA", "session", "No secret that the widget has now gives this session.", ""},
	} {
		var said string
		eventually(t, "no line about "+name, func() bool { // only so many are written in a second
			a := g.do(t, "POST", "/chat/"+name, "{}", jsonType, "X-Widget-Key: "+c.widget, "X-Chat-Session: "+c.session)
			equal(t, a.StatusCode, 200, "%s", name)
			sent[c.proof]++
			for _, l := range lines(`"path":"/chat/` + name + `"`) {
				said = l.Hint + " " + l.Detail
				return true
			}
			return false
		})
		if !strings.HasPrefix(said, c.hint) || !strings.Contains(said, " "+c.detail) || strings.Contains(said, c.session) {
			t.Errorf("%s: %q", name, said)
		}
	}
	grew := grown(before, g.scrape(t))
	for proof, want := range sent {
		series := `requests_total{dialect="bookbag",mode="optional",outcome="invalid",proof="` + proof + `",reason="invalid"}`
		if got := grew[series]; got != want {
			t.Errorf("%s grew by %v, want %v", series, got, want)
		}
	}
	var r adminapi.Readiness
	must(t, json.Unmarshal([]byte(g.call(t, "GET", "widgets/shop/readiness", "").body), &r))
	var found []string
	for _, refusal := range r.Refusals {
		for _, hint := range refusal.Hints {
			found = append(found, fmt.Sprint(refusal.Reason, " ", hint.ID))
		}
	}
	slices.Sort(found)
	equal(t, strings.Join(found, ", "), "invalid session_none, invalid session_other_widget, session session_invalid, session session_other_rules", "readiness")
	if c := g.call(t, "GET", "widgets/desk/readiness", ""); strings.Contains(c.body, "version ") {
		t.Errorf("readiness names the secret: %s", c.body)
	}

	// In required mode the client is told nothing of it.
	c := g.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`)
	equal(t, c.status, 200, "%s", c.body)
	for _, s := range []string{others, desks, "what is no session", shops[:len(shops)-8] + "AAAAAAAA"} {
		a := g.do(t, "POST", "/chat/x", "{}", jsonType, "X-Widget-Key: shop", "X-Chat-Session: "+s)
		equal(t, a.StatusCode, 401, "%s", a.body)
		contains(t, a.body, invalid)
	}
}

// sessionAt trades a claim for a widget's session at a handler's identify.
func (g *gateway) sessionAt(t *testing.T, path, widget, secret string) string {
	t.Helper()
	a, answer := g.identified(t, path+"/identify", `{"user_id":"ada","user_hash":"`+signWith(secret, "ada")+`"}`, "X-Widget-Key: "+widget)
	if a.Session == nil {
		t.Fatalf("no session: %d %s", answer.StatusCode, answer.body)
	}
	return a.Session.Token
}
