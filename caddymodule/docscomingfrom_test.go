package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// clientCall is a request of a product's client, and what the documents say becomes of it: the
// user, or why there is none, and the body that the backend reads.
type clientCall struct{ method, path, headers, body, want, reads string }

// tryCalls sends them through a configuration of docs/coming-from.md. SIGNED:x in a body is
// the signature of x; the backend reads the body as it was sent where reads is empty.
func tryCalls(t *testing.T, site string, calls []clientCall) {
	t.Helper()
	g := start(t, "", site)
	for _, c := range calls {
		headers := append(strings.Split(c.headers, "\n"), "X-Verified-User: admin")
		a := g.do(t, c.method, c.path, c.body, headers...)
		if got := verdict(t, a); got != c.want {
			t.Errorf("%s %s %s %s: %s, want %s", c.method, c.path, c.headers, c.body, got, c.want)
		}
		if a.seen == nil {
			continue
		}
		if c.reads == "" {
			c.reads = c.body
		}
		if a.seen.Body != c.reads || a.seen.user() == "admin" {
			t.Errorf("%s %s %s: the backend read %s, want %s; %v", c.method, c.path, c.body, a.seen.Body, c.reads, a.seen.Header)
		}
	}
}

// TestDocsFromChatwoot sends what Chatwoot's widget sends (app/javascript/widget/api).
func TestDocsFromChatwoot(t *testing.T) {
	const contact = "/api/v1/widget/contact"
	const query = "?website_token=k3b9x2qa"
	site := strings.Replace(documented(t, "caddyfile fromchatwoot"), "chatwoot:3000", "UPSTREAM", 1)
	claim := func(hash string) string {
		return `{"identifier":"ada","email":"ada@example.com","name":"Ada","identifier_hash":"` + hash + `","custom_attributes":{"plan":"growth"}}`
	}
	good, unsigned := signWith(exampleSecret, "ada"), `{"identifier":"ada","email":"ada@example.com"}`
	session := jsonType + "\nX-Auth-Token: " + jwt(otherSecret, `{"source_id":"f3","inbox_id":1}`)
	tryCalls(t, site, []clientCall{
		{"PATCH", contact + "/set_user" + query, session, claim(good), "ada", ""},
		{"PATCH", contact + "/set_user" + query, session, claim(signWith(exampleSecret, "eve")), "401 invalid", ""},
		{"PATCH", contact + "/set_user" + query, session, unsigned, "401 partial", ""},
		{"PATCH", contact + "/set_user" + query, session, `{"email":"ada@example.com"}`, "401 missing", ""},
		{"PATCH", contact + "/set_user.json" + query, session, unsigned, "401 partial", ""}, // Rails takes it for the same
		{"PATCH", contact + query, session, `{"custom_attributes":{"plan":"growth"}}`, "anonymous missing", ""},
		{"POST", contact + "/destroy_custom_attributes" + query, session, `{"custom_attributes":["plan"]}`, "anonymous missing", ""},
		{"PATCH", contact + query, session, unsigned, "anonymous partial", `{"email":"ada@example.com"}`},
		{"GET", contact + query, session, "", "anonymous missing", ""},
		{"POST", "/api/v1/widget/messages" + query, session, `{"message":{"content":"hi","referer_url":"https://shop.example/"}}`, "", ""},
		{"GET", "/widget" + query, "Accept: text/html", "", "", ""},
	})

	// From a hash to a token: the claim that the page names.
	const line = "claim token body /identifier_token"
	if !strings.Contains(documents(t)["docs/coming-from.md"], "`"+line+"`") {
		t.Fatal("the page does not say " + line)
	}
	both := strings.ReplaceAll(site, "dialect chatwoot\n", "dialect chatwoot\n"+line+"\n")
	token := func(id string) string {
		return `{"identifier":"` + id + `","name":"Ada","identifier_token":"` + jwt(exampleSecret, fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour())) + `"}`
	}
	tryCalls(t, both, []clientCall{
		{"PATCH", contact + "/set_user" + query, session, claim(good), "ada", ""},
		{"PATCH", contact + "/set_user" + query, session, token("ada"), "ada", ""},
		{"PATCH", contact + "/set_user" + query, session, token("eve"), "400 ambiguous", ""},
	})
	tryCalls(t, strings.ReplaceAll(both, line, line+"\nproof token"), []clientCall{
		{"PATCH", contact + "/set_user" + query, session, claim(good), "401 partial", ""},
		{"PATCH", contact + "/set_user" + query, session, token("ada"), "ada", ""},
	})
}

// TestDocsFromIntercom sends what Intercom's messenger sends: forms with a JSON text in one of
// their fields.
func TestDocsFromIntercom(t *testing.T) {
	site := documented(t, "caddyfile fromintercom")
	const formType = "Content-Type: application/x-www-form-urlencoded"
	form := func(data string) string {
		return "app_id=k3b9x2qa&user_data=" + url.QueryEscape(data) + "&v=3"
	}
	const more = `"email":"ada@example.com","company":{"id":"1","name":"Shop"}}`
	hash := func(id string) string { return `"user_hash":"` + signWith(exampleSecret, id) + `",` }
	token := func(exp int64) string {
		return `"intercom_user_jwt":"` + jwt(exampleSecret, fmt.Sprintf(`{"user_id":"ada","exp":%d}`, exp)) + `",`
	}
	visitor := form(`{"anonymous_id":"f3"}`)
	late := time.Now().Add(-time.Hour).Unix()
	tryCalls(t, site, []clientCall{
		{"POST", "/messenger/web/ping", formType, form(`{"user_id":"ada",` + hash("ada") + more), "ada", ""},
		{"POST", "/messenger/web/ping", formType, form(`{"user_id":42,` + hash("42") + more), "42", ""},
		{"POST", "/messenger/web/ping", formType, form(`{` + hash("ada@example.com") + more), "ada@example.com", ""},
		{"POST", "/messenger/web/ping", formType, form(`{` + token(inAnHour()) + more), "ada", ""},
		{"POST", "/messenger/web/ping", formType, form(`{` + token(late) + more), "403 expired", ""},
		{"POST", "/messenger/web/ping", formType, form(`{"user_id":"ada",` + more), "403 partial", ""},
		{"POST", "/messenger/web/ping", formType, form(`{"user_id":"ada",` + hash("ada@example.com") + more), "403 invalid", ""},
		{"POST", "/messenger/web/ping", formType, visitor, "anonymous missing", ""},
		{"POST", "/messenger/web/metrics", formType, form(`{"user_id":"ada",` + hash("ada") + more), "ada", ""},
		{"POST", "/messenger/web/metrics", formType, form(`{"user_id":"ada",` + hash("eve") + `"plan":"growth"}`), "invalid invalid", form(`{"plan":"growth"}`)},
		{"POST", "/messenger/web/metrics", formType, visitor, "anonymous missing", ""},
		{"GET", "/", "Accept: text/html", "", "", ""},
	})
}

// TestDocsFromZendesk sends what Zendesk's web widget sends, login and all after it.
func TestDocsFromZendesk(t *testing.T) {
	site := documented(t, "caddyfile fromzendesk")
	bearer := func(user string, exp int64, secret string) string {
		return jsonType + "\nAuthorization: Bearer " + jwt(secret, fmt.Sprintf(`{"external_id":%q,"scope":"user","email":"ada@example.com","exp":%d}`, user, exp))
	}
	good, late := bearer("ada", inAnHour(), exampleSecret), bearer("ada", time.Now().Add(-time.Minute).Unix(), exampleSecret)
	const app = "/sc/sdk/v2/apps/5f00"
	const message = `{"author":{"role":"appUser","appUserId":"eve"},"message":{"type":"text","text":"hi"}}`
	file := "--b\r\nContent-Disposition: form-data; name=\"author\"\r\n\r\n{\"appUserId\":\"eve\"}\r\n--b--\r\n"
	tryCalls(t, site, []clientCall{
		{"POST", app + "/login", good, `{"client":{"platform":"web"}}`, "ada", ""},
		{"POST", app + "/conversations/c1/messages", good, message, "ada", ""},
		{"GET", app + "/conversations/c1/messages", good, "", "ada", ""},
		{"POST", app + "/conversations/c1/files", strings.Replace(good, "application/json", "multipart/form-data; boundary=b", 1), file, "ada", ""},
		{"POST", app + "/login", late, `{"client":{"platform":"web"}}`, "401 expired", ""},
		{"POST", app + "/conversations/c1/messages", bearer("ada", inAnHour(), otherSecret), message, "401 invalid", ""},
		{"POST", app + "/appusers", jsonType, `{"client":{"platform":"web"}}`, "anonymous missing", ""},
		{"POST", app + "/conversations/c1/messages", jsonType + "\nAuthorization: Basic ZjM6c2Vzc2lvbg==", message, "anonymous missing", ""},
		{"GET", "/other", "Accept: text/html", "", "", ""},
	})
}

// TestDocsFromSigned: what a token signs beside the user reaches the backend as the page says.
func TestDocsFromSigned(t *testing.T) {
	token := func(id string) string {
		return jwt(exampleSecret, fmt.Sprintf(`{%s,"email":"ada@example.com","name":"Ada","exp":%d}`, id, inAnHour()))
	}
	intercom := documented(t, "caddyfile fromintercom")
	chatwoot := strings.Replace(documented(t, "caddyfile fromchatwoot"), "chatwoot:3000", "UPSTREAM", 1)
	signing := "dialect chatwoot\nclaim token body /identifier_token\ntoken {\nemail /email\nname /name\n}\n"
	for site, c := range map[string]struct{ method, path, body, want string }{
		intercom: {"POST", "/messenger/web/ping", `{"user_data":{"intercom_user_jwt":"` + token(`"user_id":"ada"`) + `"}}`, `  {"email":"ada@example.com","name":"Ada"}`},
		strings.ReplaceAll(chatwoot, "dialect chatwoot\n", signing): {"PATCH", "/api/v1/widget/contact/set_user", `{"identifier":"ada","identifier_token":"` + token(`"sub":"ada"`) + `"}`, "ada@example.com Ada "},
	} {
		a := start(t, "", site).do(t, c.method, c.path, c.body, jsonType)
		if a.seen == nil {
			t.Fatal(a.Status, a.body)
		}
		h := a.seen.Header
		equal(t, h.Get("X-Verified-Email")+" "+h.Get("X-Verified-Name")+" "+h.Get("X-Verified-Attributes"), c.want, "%s", c.path)
	}
}

// TestDocsFromUntried: with what the page says of trying it first, no request is changed.
func TestDocsFromUntried(t *testing.T) {
	site := strings.Replace(documented(t, "caddyfile fromchatwoot"), "chatwoot:3000", "UPSTREAM", 1)
	site = strings.ReplaceAll(strings.ReplaceAll(site, "required {", "optional {"), "dialect chatwoot\n", "dialect chatwoot\nunverified keep\n")
	tryCalls(t, site, []clientCall{
		{"PATCH", "/api/v1/widget/contact/set_user?website_token=k", jsonType, `{"identifier":"ada","identifier_hash":"` + signWith(exampleSecret, "eve") + `"}`, "invalid invalid", ""},
		{"PATCH", "/api/v1/widget/contact/set_user?website_token=k", jsonType, `{"identifier":"ada"}`, "anonymous partial", ""},
	})
}
