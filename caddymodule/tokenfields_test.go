package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// fieldsSite reads tokens that sign fields, and fields that nothing signs. One header has
// another name.
const fieldsSite = `chat_identity required {
	widget {header.X-Widget-Key}
	claim token header Authorization
	token {
		email /email
		name /name
		phone /phone
		attributes /custom
	}
	header verified_attributes X-Chat-Profile
}
reverse_proxy UPSTREAM`

// sendFields sends a token that signs these members beside the user, and a body beside it.
func sendFields(t *testing.T, g *gateway, secret, path, members, body string) http.Header {
	t.Helper()
	token := jwt(secret, fmt.Sprintf(`{"sub":"zoe","exp":%d,%s}`, inAnHour(), members))
	a := g.do(t, "POST", path, body, jsonType, "X-Widget-Key: shop", "Authorization: Bearer "+token)
	if a.seen == nil || a.seen.user() != "zoe" {
		t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
	}
	return a.seen.Header
}

// TestSignedFieldsLeftOut: the log and readiness tell of a field that a token signs and that
// cannot be taken, and the browser's word stands in for it as what it is.
func TestSignedFieldsLeftOut(t *testing.T) {
	g, lines := operated(t, "", fieldsSite)
	secret := g.create(t, `{"id":"shop"}`)
	sendFields(t, g, secret, "/right", `"email":"zoe@example.com","name":"Zoe","phone":null,"custom":[]`, `{"text":"hi"}`)
	h := sendFields(t, g, secret, "/wrong", `"email":7,"name":"`+strings.Repeat("n", 201)+`","custom":{"plan":"gold"}`, `{"user_metadata":{"email":"zoe@example.com"}}`)
	if h.Get("X-Verified-Email") != "" || h.Get("X-Identity-Email") != "zoe@example.com" || h.Get("X-Verified-Name") != "" || h.Get("X-Chat-Profile") != `{"plan":"gold"}` {
		t.Errorf("%v", h)
	}
	eventually(t, "nothing is left out", func() bool { return len(lines("left_out")) > 0 })
	l := lines("left_out")[0]
	equal(t, l.Path+" "+l.Widget, "/wrong shop", "of")
	equal(t, strings.Join(l.LeftOut, ","), "email,name", "left out")
	equal(t, strings.Join(l.LeftOutWhy, ", "), "email in the token is not a string, name in the token is longer than 200 characters", "why")

	var ready adminapi.Readiness
	g.askInto(t, "widgets/shop/readiness", &ready)
	if want := []traffic.FieldCount{{Field: "email", Count: 1}, {Field: "name", Count: 1}}; !slices.Equal(ready.LeftOut, want) {
		t.Errorf("%+v", ready.LeftOut)
	}
}

// TestSignedHeadersBound: what a token signs takes at most 4 KiB of headers, however much
// there is beside it, and what does not fit is left out alone. The log names the headers.
func TestSignedHeadersBound(t *testing.T) {
	g, lines := operated(t, "", fieldsSite)
	secret := g.create(t, `{"id":"shop"}`)
	wide := strings.Repeat("😀", 200) // 2,400 bytes in a header
	email := strings.Repeat("😀", 150) + "@example.com"
	for i, c := range []struct{ signed, said, left string }{
		{`"email":"zoe@example.com","name":"Zoe","custom":{"plan":"` + strings.Repeat("p", 3900) + `"}`, `{"user_metadata":{"email":"e@example.com"}}`, ""},
		{`"email":"` + email + `","name":"` + wide + `","custom":{"plan":"gold"}`, `{}`, "X-Verified-Name"},
		{`"email":"zoe@example.com","name":"Zoe","custom":{"plan":"` + strings.Repeat("p", 4050) + `"}`, `{}`, "X-Chat-Profile"},
		{`"email":"` + email + `","name":"` + wide + `","phone":"+1","custom":{"plan":"` + strings.Repeat("p", 2300) + `"}`, `{}`, "X-Verified-Name X-Chat-Profile"},
		// Either kind has 4 KiB of its own.
		{`"email":"` + email + `","custom":{"plan":"` + strings.Repeat("p", 2000) + `"}`, `{"user_metadata":{"name":"` + wide + `"}}`, ""},
		{`"custom":{"plan":"` + strings.Repeat("p", 4100) + `"}`, `{"user_metadata":{"email":"` + email + `","name":"` + wide + `"}}`, "X-Identity-Name X-Chat-Profile"},
	} {
		path := fmt.Sprintf("/%d", i)
		h := sendFields(t, g, secret, path, c.signed, c.said)
		size := 0
		for _, name := range []string{"X-Verified-Email", "X-Verified-Name", "X-Chat-Profile"} {
			if value := h.Get(name); value != "" {
				size += len(name) + len(value)
			}
		}
		if size > 4<<10 {
			t.Errorf("%s: %d bytes of what the token signs", path, size)
		}
		for _, name := range strings.Fields(c.left) {
			if h.Get(name) != "" {
				t.Errorf("%s: there is %s", path, name)
			}
		}
		if c.left != "" {
			eventually(t, path+": nothing is said of "+c.left, func() bool { return len(lines(`"path":"`+path+`"`)) > 0 })
			l := lines(`"path":"` + path + `"`)[0]
			equal(t, path+" "+strings.Join(l.LeftOutHeaders, " "), path+" "+c.left, "left out")
		}
	}
	if n := len(lines("left_out_headers")); n != 4 {
		t.Errorf("%d lines of requests with headers left out", n)
	}
}
