package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestDemo runs what `make demo` runs: the real gateway in front of the backend.
func TestDemo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "quickstart")
	testbed.Build(t, program, "./examples/quickstart")
	demo := func(t *testing.T) *testbed.Demo { return testbed.StartDemo(t, program, testbed.Gateway(t)) }
	t.Run("chat", func(t *testing.T) { testChat(t, demo(t)) })
	t.Run("merging", func(t *testing.T) { testMerging(t, newStand(t)) })
	t.Run("conversations", func(t *testing.T) { testConversations(t, newStand(t)) })
	t.Run("calls", func(t *testing.T) { testCalls(t, newStand(t)) })
	t.Run("live", func(t *testing.T) { testLive(t, newStand(t)) })
	t.Run("identify", func(t *testing.T) { testIdentify(t, newStand(t)) })
	t.Run("terminated", func(t *testing.T) {
		d := demo(t)
		d.Prints(t, d.URL+" ")
		d.Stop(t, syscall.SIGTERM)
	})
	t.Run("gateway killed", func(t *testing.T) { testGatewayKilled(t, demo(t)) })
	t.Run("what is wrong", func(t *testing.T) { testSaysWhatIsWrong(t, program) })
}

func testChat(t *testing.T, d *testbed.Demo) {
	d.Prints(t, d.URL+" ")
	if res, err := http.Get(d.URL); err != nil || res.StatusCode != 200 {
		t.Fatalf("it printed its address before it answers: %v", err)
	}
	s := &stand{base: d.URL}
	web, other := s.browser(t, visitorA), s.browser(t, visitorB)
	web.signIn(t, "ada")
	other.signIn(t, "grace")
	ada, grace := web.claim, other.claim
	forged := map[string]any{"user_id": "1906", "user_hash": ada["user_hash"]}
	unsigned := map[string]any{"user_id": "usr_ada"}

	cases := []struct {
		name    string
		mode    string
		claim   map[string]any
		status  int
		outcome string
		user    any
		reason  any
	}{
		{"anonymous, off", "off", nil, 200, "disabled", nil, nil},
		{"anonymous, optional", "optional", nil, 200, "anonymous", nil, "missing"},
		{"anonymous, required", "required", nil, 401, "", nil, "missing"},
		{"signed, off", "off", ada, 200, "disabled", nil, nil},
		{"signed, optional", "optional", ada, 200, "verified", "usr_ada", nil},
		{"signed, required", "required", ada, 200, "verified", "usr_ada", nil},
		{"an integer id, required", "required", grace, 200, "verified", "1906", nil},
		{"forged, optional", "optional", forged, 200, "invalid", nil, "invalid"},
		{"forged, required", "required", forged, 401, "", nil, "invalid"},
		{"unsigned, optional", "optional", unsigned, 200, "anonymous", nil, "partial"},
		{"unsigned, required", "required", unsigned, 401, "", nil, "partial"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			message := map[string]any{"conversation": fmt.Sprint("c", i), "visitor": fmt.Sprint("visitor-number-", 10+i), "text": "hello"}
			for field, value := range c.claim {
				message[field] = value
			}
			forger := s.browser(t, visitorA)
			forger.header = http.Header{"X-Verified-User": {"root"}, "X-Identity-Outcome": {"verified"}}
			status, answer := forger.post(t, "/"+c.mode+"/chat/messages", message)
			if status != c.status {
				t.Fatalf("answered %d %v, want %d", status, answer, c.status)
			}
			if c.status != 200 {
				if forger.kind != "application/problem+json" || answer["code"] != "identity_unverified" || answer["reason"] != c.reason {
					t.Errorf("refused with %s %v", forger.kind, answer)
				}
				return
			}
			got := answer["received"].(map[string]any)
			if got["outcome"] != c.outcome || got["user"] != c.user || got["reason"] != c.reason {
				t.Errorf("the backend saw %v", got)
			}
			left := got["claim_in_body"].(map[string]any)
			_, claimed := c.claim["user_id"]
			if kept := c.mode == "off" || c.outcome == "verified"; left["user_id"] != (claimed && kept) {
				t.Errorf("the user id is left in the body: %v", left["user_id"])
			}
			if contact, known := got["contact"].(map[string]any); known != (c.user != nil) || known && contact["attributes"].(map[string]any)["plan"] == nil {
				t.Errorf("contact %v", got["contact"])
			}
		})
	}

	t.Run("the claim in the query", func(t *testing.T) {
		status, answer := web.read(t, "required", "c5")
		if messages, _ := answer["messages"].([]any); status != 200 || len(messages) != 2 {
			t.Errorf("answered %d %v", status, answer)
		}
	})
	t.Run("the session signs its own user", func(t *testing.T) {
		if status, answer := web.send(t, "GET", "/session", nil); status != 200 || answer["user_hash"] != ada["user_hash"] {
			t.Errorf("answered %d %v", status, answer)
		}
	})
	t.Run("another host name is not served", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+"/session", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "rebound.example"
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); len(body) > 0 {
			t.Errorf("answered %d %s", res.StatusCode, body)
		}
	})

	d.Stop(t, os.Interrupt)
}

// exitsWith waits until the demo ends with exit status 1, and expects it to say why.
func exitsWith(t *testing.T, d *testbed.Demo, why string) {
	t.Helper()
	err := d.Wait(t)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	if !strings.Contains(d.Errors.String(), why) {
		t.Errorf("said %q, want something about %q", d.Errors.String(), why)
	}
}

func testGatewayKilled(t *testing.T, d *testbed.Demo) {
	d.Prints(t, d.URL+" ")
	pids := d.Gateways(t)
	if len(pids) != 1 {
		t.Fatalf("%d gateways run", len(pids))
	}
	if gateway, err := os.FindProcess(pids[0]); err != nil || gateway.Kill() != nil {
		t.Fatal(err)
	}
	exitsWith(t, d, "the gateway has ended")
}

func testSaysWhatIsWrong(t *testing.T, program string) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenPort := fmt.Sprint(taken.Addr().(*net.TCPAddr).Port)
	never, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	caddy, free := testbed.Gateway(t), fmt.Sprint(testbed.FreePort(t))
	for _, c := range []struct{ name, gateway, port, says string }{
		{"the port is taken", caddy, takenPort, "port " + takenPort + " is in use"},
		{"the port is none", caddy, "eighty", "PORT=eighty is not a port"},
		{"the gateway is not built", filepath.Join(t.TempDir(), "caddy"), free, "make build"},
		{"the gateway does not stay", never, free, "PORT=8081"},
	} {
		t.Run(c.name, func(t *testing.T) { exitsWith(t, testbed.StartDemo(t, program, c.gateway, "PORT="+c.port), c.says) })
	}
}
