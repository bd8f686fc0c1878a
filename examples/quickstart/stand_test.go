package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// stand is the demo's parts on their own, so that the gateway can be started
// anew while the backend goes on.
type stand struct {
	base    string
	home    string // what the gateway keeps: started again with it, it goes on where it was
	port    int
	backend string
	gateway *exec.Cmd
}

func newStand(t *testing.T) *stand {
	t.Helper()
	backend := httptest.NewServer(newBackend(testSecrets))
	t.Cleanup(backend.Close)
	port := testbed.FreePort(t)
	s := &stand{base: fmt.Sprintf("http://localhost:%d", port), home: t.TempDir(), port: port, backend: backend.Listener.Addr().String()}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *stand) start(t *testing.T) {
	t.Helper()
	s.gateway = exec.Command(testbed.Gateway(t), "run", "--config", "-", "--adapter", "caddyfile")
	s.gateway.Stdin = strings.NewReader(caddyfile)
	s.gateway.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", s.port), "BACKEND="+s.backend, "CHAT_IDENTITY_SECRET="+testSecrets.chat,
		"CALLS_SECRET="+testSecrets.calls, "HOME="+s.home, "XDG_DATA_HOME="+s.home, "XDG_CONFIG_HOME="+s.home)
	if err := s.gateway.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(s.base); err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the gateway does not answer")
		}
	}
}

// kill ends the gateway, which cannot write anything down then.
func (s *stand) kill() {
	_ = s.gateway.Process.Kill()
	_ = s.gateway.Wait()
}

func (s *stand) restart(t *testing.T) {
	t.Helper()
	s.kill()
	s.start(t)
}

// browser is a page somewhere, with its cookies and the claim of who is signed in.
type browser struct {
	stand   *stand
	client  http.Client
	visitor string
	claim   map[string]any
}

func (s *stand) browser(t *testing.T, visitor string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{stand: s, client: http.Client{Jar: jar}, visitor: visitor}
}

func (b *browser) signIn(t *testing.T, person string) {
	t.Helper()
	var status int
	if status, b.claim = b.post(t, "/session", map[string]any{"person": person}); status != 200 {
		t.Fatalf("signing %s in was answered %d", person, status)
	}
}

// say sends a message, with the claim of who is signed in.
func (b *browser) say(t *testing.T, mode, conversation, text string) (int, map[string]any) {
	t.Helper()
	message := map[string]any{"conversation": conversation, "visitor": b.visitor, "text": text}
	for field, value := range b.claim {
		message[field] = value
	}
	return b.post(t, "/"+mode+"/chat/messages", message)
}

// read asks for a conversation's messages.
func (b *browser) read(t *testing.T, mode, conversation string) (int, map[string]any) {
	t.Helper()
	path := "/" + mode + "/chat/messages?conversation=" + conversation + "&visitor=" + b.visitor
	if b.claim != nil {
		id, err := json.Marshal(b.claim["user_id"])
		if err != nil {
			t.Fatal(err)
		}
		path += "&user_id=" + string(bytes.Trim(id, `"`)) + "&user_hash=" + b.claim["user_hash"].(string)
	}
	return b.send(t, "GET", path, nil)
}

func (b *browser) post(t *testing.T, path string, body any) (int, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return b.send(t, "POST", path, text)
}

func (b *browser) send(t *testing.T, method, path string, body []byte) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.stand.base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s answered %s, not JSON: %v", method, path, res.Status, err)
	}
	return res.StatusCode, answer
}
