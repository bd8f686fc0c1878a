package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const headerClaim = `
	chat_identity required {
		secret {env.TEST_SECRET}
		claim user_id header X-User
		claim signature header X-Hash
		refuse error
	}
	reverse_proxy UPSTREAM`

// TestStoppedClientIsNobodyInErrorRoutes: a request that is refused after it
// was verified, because its client stopped, enters the error routes without
// the headers that it was given.
func TestStoppedClientIsNobodyInErrorRoutes(t *testing.T) {
	for _, errors := range []string{"", "chat_identity off"} {
		g := start(t, "", headerClaim+`
	handle_errors {
		`+errors+`
		respond "{http.request.header.X-Verified-User}|{http.request.header.X-Identity-Outcome}|{http.auth.user.id}|{http.chat_identity.user}|{http.chat_identity.outcome}|{err.status_code}"
	}`)
		answer := g.raw(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nX-User: bob\r\nX-Hash: %s\r\nContent-Type: application/octet-stream\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n\r\n", strings.TrimPrefix(g.url, "http://"), sign("bob")))
		if !strings.HasPrefix(answer, "HTTP/1.1 400") || strings.Contains(answer, "bob") || !strings.Contains(answer, "||malformed|400") {
			t.Errorf("%q: %s", errors, answer)
		}
	}
}

// TestLimitsOfOthersOnStreams: a body that passes unread keeps the answer of
// the limit that another directive sets.
func TestLimitsOfOthersOnStreams(t *testing.T) {
	g := start(t, "", `
	request_body {
		max_size 10KB
	}
	chat_identity optional {
		secret {env.TEST_SECRET}
	}
	reverse_proxy UPSTREAM`)
	equal(t, g.send(t, g.request(t, "POST", "/", strings.Repeat("x", 240<<10), true, "Content-Type: application/octet-stream")).StatusCode, http.StatusRequestEntityTooLarge, "status")
}
