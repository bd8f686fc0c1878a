package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	testSecret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c35f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"
	callSecret = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
	visitorA   = "11111111-1111-4111-8111-111111111111"
	visitorB   = "22222222-2222-4222-8222-222222222222"
)

var testSecrets = secrets{chat: testSecret, calls: callSecret}

// from returns the headers that the gateway writes for a verified user.
func from(widget, user string) http.Header {
	return http.Header{
		"X-Identity-Outcome": {"verified"}, "X-Verified-Widget": {widget}, "X-Verified-User": {user},
	}
}

func anonymous() http.Header {
	return http.Header{"X-Identity-Outcome": {"anonymous"}, "X-Identity-Reason": {"missing"}}
}

func call(t *testing.T, h http.Handler, method, path, body string, header http.Header) (int, map[string]any, http.Header) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	if r.Header.Get("X-Identity-Outcome") != "" {
		r.Header.Set("X-Verified-Assertion", assert(t, header))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer map[string]any
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s answered %q: %v", method, path, w.Body, err)
		}
	}
	return w.Code, answer, w.Header()
}

// cookies of two browsers.
const (
	browserA = browserCookie + "=AAAAAAAAAAAAAAAAAAAAAAAAAA"
	browserB = browserCookie + "=BBBBBBBBBBBBBBBBBBBBBBBBBB"
)

// with returns the headers, and another.
func with(h http.Header, name, value string) http.Header {
	h = h.Clone()
	h.Set(name, value)
	return h
}

// say is a message from browser A, unless the headers have another cookie.
func say(t *testing.T, h http.Handler, conversation, visitor, text string, header http.Header) (int, map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"conversation": conversation, "visitor": visitor, "text": text})
	if err != nil {
		t.Fatal(err)
	}
	status, answer, _ := call(t, h, "POST", "/chat/messages", string(body), fromBrowser(header))
	return status, answer
}

func read(t *testing.T, h http.Handler, conversation, visitor string, header http.Header) (int, map[string]any) {
	t.Helper()
	status, answer, _ := call(t, h, "GET", "/chat/messages?conversation="+conversation+"&visitor="+visitor, "", fromBrowser(header))
	return status, answer
}

func fromBrowser(header http.Header) http.Header {
	if header.Get("Cookie") != "" {
		return header
	}
	return with(header, "Cookie", browserA)
}

func TestTrustsOnlyTheHeaders(t *testing.T) {
	h := testBackend()
	body := `{"conversation":"c1","visitor":"` + visitorA + `","text":"hi","user_id":"usr_ada","user_hash":"` + sign("usr_ada") + `"}`
	status, answer, _ := call(t, h, "POST", "/chat/messages", body, anonymous())
	if status != http.StatusOK {
		t.Fatalf("status %d: %v", status, answer)
	}
	got := answer["received"].(map[string]any)
	if got["outcome"] != "anonymous" || got["user"] != nil || got["contact"] != nil {
		t.Errorf("a claim in the body was believed: %v", got)
	}
	if left := got["claim_in_body"].(map[string]any); left["user_id"] != true || left["user_hash"] != true {
		t.Errorf("claim_in_body = %v, want both true", left)
	}
}

func TestRefusesWhatTheGatewayDoesNotSay(t *testing.T) {
	cases := map[string]http.Header{
		"a name twice":             {"X-Identity-Outcome": {"verified"}, "X-Verified-Widget": {"w"}, "X-Verified-User": {"a"}, "X-Identity-Name": {"a", "b"}},
		"a name badly escaped":     {"X-Identity-Outcome": {"verified"}, "X-Verified-Widget": {"w"}, "X-Verified-User": {"a"}, "X-Identity-Name": {"%zz"}},
		"a visitor of nobody":      {"X-Identity-Outcome": {"anonymous"}, "X-Identity-Merge-From": {visitorA}},
		"attributes that are none": {"X-Identity-Outcome": {"verified"}, "X-Verified-Widget": {"w"}, "X-Verified-User": {"a"}, "X-Identity-Attributes": {"["}},
	}
	for name, header := range cases {
		t.Run(name, func(t *testing.T) {
			h := testBackend()
			if status, answer := say(t, h, "c1", visitorA, "hi", header); status != http.StatusBadRequest || answer["code"] != "bad_identity" {
				t.Errorf("answered %d %v", status, answer)
			}
		})
	}
}

func TestContactIsUpserted(t *testing.T) {
	h := testBackend()
	first := from("w1", "zo%C3%AB@ex")
	first.Set("X-Identity-Name", "Zo%C3%AB")
	first.Set("X-Identity-Email", "zoe@example.com")
	first.Set("X-Identity-Attributes", `{"plan":"team","phone":"1"}`)
	say(t, h, "c1", visitorA, "hi", first)

	second := from("w1", "zo%C3%AB@ex")
	second.Set("X-Identity-Attributes", `{"plan":"enterprise"}`)
	_, answer := say(t, h, "c1", visitorA, "hi again", second)
	got := answer["received"].(map[string]any)["contact"].(map[string]any)
	want := map[string]any{
		"id": "zoë@ex", "widget": "w1", "name": "Zoë", "email": "zoe@example.com",
		"attributes": map[string]any{"plan": "enterprise", "phone": "1"}, "messages": 2.0,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("contact\n%v, want\n%v", got, want)
	}

	_, answer = say(t, h, "c2", visitorA, "hi", from("w2", "zo%C3%AB@ex"))
	if c := answer["received"].(map[string]any)["contact"].(map[string]any); c["messages"] != 1.0 || c["email"] != nil {
		t.Errorf("the same id under another widget is another person, but got %v", c)
	}
}

// TestSignedContact: what a token signs counts, not what the browser says beside it.
func TestSignedContact(t *testing.T) {
	browser := http.Header{"X-Identity-Email": {"mallory@example.com"}, "X-Identity-Name": {"Mallory"}, "X-Identity-Attributes": {`{"plan":"gold","vip":true}`}}
	id, err := readIdentity(browser, &guard.Assertion{Outcome: "verified", Email: "ada+chat@example.com", Name: "Adä", Attributes: map[string]any{"plan": "free"}})
	if err != nil || id.Email != "ada+chat@example.com" || id.Name != "Adä" || fmt.Sprint(id.Attributes) != "map[plan:free]" {
		t.Errorf("%v, %+v", err, id)
	}
}

func TestConversationsHaveOwners(t *testing.T) {
	ada, otherAda, grace := from("w1", "usr_ada"), from("w2", "usr_ada"), from("w1", "1906")
	elsewhere := with(anonymous(), "Cookie", browserB)
	cases := []struct {
		name             string
		begun, by        http.Header
		visitor, with    string
		status, messages int
	}{
		{"by its user", ada, ada, visitorA, visitorA, 200, 2},
		{"by its user on another device", ada, with(ada, "Cookie", browserB), visitorA, visitorB, 200, 2},
		{"by another user", ada, grace, visitorA, visitorA, 403, 0},
		{"by the same id of another widget", ada, otherAda, visitorA, visitorA, 403, 0},
		{"by a visitor with its user's visitor id", ada, anonymous(), visitorA, visitorA, 403, 0},
		{"by its visitor", anonymous(), anonymous(), visitorA, visitorA, 200, 2},
		{"by another visitor", anonymous(), anonymous(), visitorA, visitorB, 403, 0},
		{"by who knows the visitor id, in another browser", anonymous(), elsewhere, visitorA, visitorA, 403, 0},
		{"by its visitor, signed in", anonymous(), with(ada, "X-Identity-Merge-From", visitorA), visitorA, visitorA, 200, 2},
		{"by a user of whom the gateway does not say so", anonymous(), ada, visitorA, visitorA, 403, 0},
		{"by a user who was another visitor", anonymous(), with(ada, "X-Identity-Merge-From", visitorB), visitorA, visitorB, 403, 0},
		{"by a user who says so in another browser", anonymous(), with(with(ada, "X-Identity-Merge-From", visitorA), "Cookie", browserB), visitorA, visitorA, 403, 0},
	}
	for _, c := range cases {
		t.Run("read "+c.name, func(t *testing.T) {
			h := testBackend()
			if status, answer := say(t, h, "c1", c.visitor, "secret plans", c.begun); status != 200 {
				t.Fatalf("answered %d %v", status, answer)
			}
			status, answer := read(t, h, "c1", c.with, c.by)
			messages, _ := answer["messages"].([]any)
			if status != c.status || len(messages) != c.messages {
				t.Errorf("answered %d with %d messages, want %d with %d", status, len(messages), c.status, c.messages)
			}
			if status, _ := say(t, h, "c1", c.with, "more", c.by); status != c.status {
				t.Errorf("writing was answered %d, want %d", status, c.status)
			}
		})
	}
}

func TestRefusesBadMessages(t *testing.T) {
	long := strings.Repeat("é", maxText)
	cases := []struct {
		name, body string
		header     http.Header
		status     int
	}{
		{"no JSON", `hello`, anonymous(), 400},
		{"no conversation", `{"visitor":"` + visitorA + `","text":"hi"}`, anonymous(), 400},
		{"no visitor", `{"conversation":"c1","text":"hi"}`, anonymous(), 400},
		{"a visitor id one could guess", `{"conversation":"c1","visitor":"7","text":"hi"}`, anonymous(), 400},
		{"a verified user without visitor", `{"conversation":"c1","text":"hi"}`, from("w", "u"), 200},
		{"no text", `{"conversation":"c1","visitor":"` + visitorA + `","text":" \n"}`, anonymous(), 400},
		{"the longest text", `{"conversation":"c1","visitor":"` + visitorA + `","text":"` + long + `"}`, anonymous(), 200},
		{"a longer text", `{"conversation":"c1","visitor":"` + visitorA + `","text":"` + long + `x"}`, anonymous(), 400},
		{"a body over the limit", `{"text":"` + strings.Repeat("x", maxBody) + `"}`, anonymous(), 413},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, answer, header := call(t, testBackend(), "POST", "/chat/messages", c.body, c.header)
			if status != c.status {
				t.Errorf("answered %d %v, want %d", status, answer, c.status)
			}
			if status >= 400 && header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("a refusal of type %s", header.Get("Content-Type"))
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := newStore(func() time.Time { now = now.Add(time.Second); return now })
	from := sender{identity{Outcome: "anonymous"}, visitorA, "a"}
	for i := range maxConversations + 5 {
		if err := s.add(fmt.Sprint(i), from, message{}); err != nil {
			t.Fatal(err)
		}
		s.upsert(identity{Outcome: "verified", Widget: "w", User: fmt.Sprint(i), Attributes: map[string]any{"a": 1}}, 1, 0)
	}
	if len(s.conversations) != maxConversations || len(s.contacts) != maxContacts {
		t.Errorf("%d conversations and %d contacts", len(s.conversations), len(s.contacts))
	}
	if s.conversations["4"] != nil || s.conversations["5"] == nil {
		t.Error("what went is not what was used longest ago")
	}
	for i := range maxMessages + 3 {
		if err := s.add("5", from, message{Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if m := s.conversations["5"].messages; len(m) != maxMessages || m[len(m)-1].Text != fmt.Sprint(maxMessages+2) {
		t.Errorf("%d messages, the last %q", len(m), m[len(m)-1].Text)
	}
	for i := range 10 * maxAttributes {
		s.upsert(identity{Outcome: "verified", Widget: "w", User: "u", Attributes: map[string]any{fmt.Sprint(i): 1}}, 1, 0)
	}
	if n := len(s.contacts[person{"w", "u"}].Attributes); n > maxAttributes {
		t.Errorf("%d attributes", n)
	}
	user := identity{Outcome: "verified", Widget: "w", User: "u"}
	for i := range maxVisitors + 5 {
		user.MergeFrom = fmt.Sprint(i)
		if _, err := s.merge(sender{user, user.MergeFrom, "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.visitors) != maxVisitors {
		t.Errorf("%d visitors", len(s.visitors))
	}
	web := newSessions(testSecrets, time.Now)
	for range maxSessions + 5 {
		signIn(t, http.HandlerFunc(web.change), "ada")
	}
	if len(web.open) != maxSessions {
		t.Errorf("%d sessions", len(web.open))
	}
}

func TestSessionSignsOnlyItsOwnUser(t *testing.T) {
	h := testBackend()
	if _, answer, _ := call(t, h, "GET", "/session", "", nil); answer != nil {
		t.Errorf("nobody is signed in, but got %v", answer)
	}
	for _, body := range []string{
		`{"person":"root"}`, `{"person":"usr_ada"}`, `{"user_id":"usr_ada"}`, `{"person":"","user_id":"usr_ada"}`, `"ada"`, ``,
	} {
		status, answer, header := call(t, h, "POST", "/session", body, nil)
		if answer["user_hash"] != nil || strings.Contains(header.Get("Set-Cookie"), sessionCookie+"=;") == (status != 200) {
			t.Errorf("%s: %d %v, cookie %q", body, status, answer, header.Get("Set-Cookie"))
		}
	}
	for name, id := range map[string]any{"ada": "usr_ada", "grace": 1906.0} {
		cookie, answer := signIn(t, h, name)
		if answer["user_id"] != id || answer["user_hash"] != sign(fmt.Sprint(id)) {
			t.Errorf("%s: %v", name, answer)
		}
		// Whatever else the request says, the id is the session's.
		_, answer, _ = call(t, h, "GET", "/session?person=grace&user_id=root", "", http.Header{"Cookie": {cookie.String()}})
		if answer["user_id"] != id {
			t.Errorf("GET /session signed %v for %s", answer["user_id"], name)
		}
	}
	_, answer, _ := call(t, h, "GET", "/session", "", http.Header{"Cookie": {sessionCookie + "=ada"}})
	if answer != nil {
		t.Errorf("an invented token was taken: %v", answer)
	}
}

func TestSessionCookie(t *testing.T) {
	h := testBackend()
	first, _ := signIn(t, h, "ada")
	if !first.HttpOnly || first.SameSite != http.SameSiteLaxMode || len(first.Value) < 26 {
		t.Errorf("cookie %v", first)
	}
	_, _, header := call(t, h, "POST", "/session", `{"person":"grace"}`, http.Header{"Cookie": {first.String()}})
	second, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil || second.Value == first.Value {
		t.Fatalf("signing in again kept the token: %v %v", second, err)
	}
	if _, answer, _ := call(t, h, "GET", "/session", "", http.Header{"Cookie": {first.String()}}); answer != nil {
		t.Errorf("the earlier session lives on: %v", answer)
	}
	call(t, h, "POST", "/session", `{"person":""}`, http.Header{"Cookie": {second.String()}})
	if _, answer, _ := call(t, h, "GET", "/session", "", http.Header{"Cookie": {second.String()}}); answer != nil {
		t.Errorf("signed out, and yet %v", answer)
	}
	status, answer, _ := call(t, h, "POST", "/session", `{"person":"ada"}`, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	if status != http.StatusForbidden || answer["user_hash"] != nil {
		t.Errorf("another website signed somebody in: %d", status)
	}
}

func TestSessionEnds(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSessions(testSecrets, func() time.Time { return now })
	cookie, _ := signIn(t, http.HandlerFunc(s.change), "ada")
	header := http.Header{"Cookie": {cookie.String()}}
	now = now.Add(sessionLife)
	if _, answer, _ := call(t, http.HandlerFunc(s.show), "GET", "/session", "", header); answer == nil {
		t.Error("the session ended early")
	}
	now = now.Add(time.Second)
	if _, answer, _ := call(t, http.HandlerFunc(s.show), "GET", "/session", "", header); answer != nil {
		t.Error("the session did not end")
	}
}

func TestPage(t *testing.T) {
	h := testBackend()
	for path, kind := range map[string]string{
		"/": "text/html", "/queue.js": "text/javascript", "/widget.js": "text/javascript", "/page.js": "text/javascript",
		"/trace.js": "text/javascript", "/tries.js": "text/javascript",
		"/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for _, outside := range []string{"http:", "https:", "innerHTML", " style=", "onclick="} {
			text := bytes.ReplaceAll(w.Body.Bytes(), []byte("http://www.w3.org/2000/svg"), nil)
			if bytes.Contains(text, []byte(outside)) {
				t.Errorf("%s contains %q", path, outside)
			}
		}
	}
}

func signIn(t *testing.T, h http.Handler, name string) (*http.Cookie, map[string]any) {
	t.Helper()
	status, answer, header := call(t, h, "POST", "/session", `{"person":"`+name+`"}`, nil)
	if status != 200 {
		t.Fatalf("signing %s in was answered %d %v", name, status, answer)
	}
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	return cookie, answer
}

func sign(id string) string { return testbed.Sign(testSecret, id) }
