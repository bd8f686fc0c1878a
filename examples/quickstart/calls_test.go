package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

func TestCallsNeedTheirOwnWidget(t *testing.T) {
	h := testBackend()
	for name, header := range map[string]http.Header{
		"anonymous":                     anonymous(),
		"verified by the chat's widget": from("default", "usr_ada"),
		"expired":                       {"X-Identity-Outcome": {"expired"}, "X-Identity-Reason": {"expired"}},
	} {
		if status, answer, _ := call(t, h, "POST", "/calls", `{}`, header); status != 403 || answer["code"] != "not_here" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if status, answer, _ := call(t, h, "POST", "/calls", `{}`, nil); status != 401 || answer["code"] != "no_assertion" {
		t.Errorf("past the gateway: %d %v", status, answer)
	}
	for want := 1.0; want <= 2; want++ {
		status, answer, _ := call(t, h, "POST", "/calls", `{}`, with(from(callsWidget, "usr_ada"), "X-Identity-Email", "ada@example.com"))
		if status != 200 {
			t.Fatalf("answered %d %v", status, answer)
		}
		c := answer["received"].(map[string]any)["contact"].(map[string]any)
		if c["calls"] != want || c["messages"] != 0.0 || c["widget"] != callsWidget || c["email"] != "ada@example.com" {
			t.Errorf("contact %v", c)
		}
	}
}

func TestSignsCallsOfTheSession(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newSessions(testSecrets, func() time.Time { return now })
	h := http.NewServeMux()
	h.HandleFunc("POST /session", s.change)
	h.HandleFunc("POST /session/call", s.signCall)

	if status, answer, _ := call(t, h, "POST", "/session/call", `{"user_id":"usr_ada"}`, nil); status != 401 || answer["hmacSignature"] != nil {
		t.Errorf("signed out: %d %v", status, answer)
	}
	cookie, _ := signIn(t, h, "grace")
	seen := map[any]bool{}
	for body, at := range map[string]string{`{}`: "1800000000", `{"user_id":"usr_ada"}`: "1800000000", `{"old":true}`: "1799996400"} {
		_, answer, _ := call(t, h, "POST", "/session/call", body, http.Header{"Cookie": {cookie.String()}})
		nonce, _ := answer["hmacNonce"].(string)
		if answer["user_id"] != 1906.0 || answer["hmacTimestamp"] != at || len(nonce) != 32 || seen[nonce] ||
			answer["hmacSignature"] != testbed.Sign(callSecret, "1906"+nonce+at) {
			t.Errorf("%s: %v", body, answer)
		}
		seen[nonce] = true
	}
	for _, body := range []string{``, `{"old":"yes"}`, `[]`} {
		if status, _, _ := call(t, h, "POST", "/session/call", body, http.Header{"Cookie": {cookie.String()}}); status != 400 {
			t.Errorf("%s: %d", body, status)
		}
	}
	now = now.Add(sessionLife + time.Second)
	if status, _, _ := call(t, h, "POST", "/session/call", `{}`, http.Header{"Cookie": {cookie.String()}}); status != 401 {
		t.Errorf("a session that has ended signs: %d", status)
	}
}
