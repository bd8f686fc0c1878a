package ecosystem_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"

	_ "github.com/chatidentity/caddy-chat-identity/caddymodule"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c38a1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"

// TestMain makes this program the gateway, with rate_limit, that its tests run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		caddycmd.Main()
	}
	if err := os.Setenv("CHAT_IDENTITY_TEST_GATEWAY", os.Args[0]); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// site is a running gateway with one of the samples.
type site struct {
	url     string
	gateway *testbed.Process
}

// start runs a sample.
func start(t *testing.T, file string, replaced []string, environment ...string) *site {
	t.Helper()
	s := &site{url: fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))}
	caddyfile := testbed.Sample(t, file, append(replaced, "chat.example.com", s.url)...)
	s.gateway = testbed.Run(t, caddyfile, t.TempDir(), s.url, append(environment, "CHAT_IDENTITY_SECRET="+secret)...)
	return s
}

func sign(user string) string { return testbed.Sign(secret, user) }

// message is one of the user's, as the widget sends it; a visitor's, if there is no
// user.
func message(t *testing.T, user string) []byte {
	t.Helper()
	fields := map[string]string{"text": "Where is my order?"}
	if user != "" {
		fields["user_id"], fields["user_hash"] = user, sign(user)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// send sends a request with these headers.
func (s *site) send(t *testing.T, method, path string, body []byte, headers ...string) (*http.Response, string) {
	t.Helper()
	return testbed.Send(t, method, s.url+path, string(body), headers...)
}

// answers wants a status and a body.
func (s *site) answers(t *testing.T, what string, status int, body, method, path string, sent []byte, headers ...string) {
	t.Helper()
	response, text := s.send(t, method, path, sent, headers...)
	if response.StatusCode != status || body != "" && text != body {
		t.Errorf("%s: %d %s, want %d %s", what, response.StatusCode, text, status, body)
	}
}
