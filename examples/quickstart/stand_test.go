package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// stand is the demo's parts on their own, so that the gateway can be restarted
// while the backend goes on.
type stand struct {
	t       *testing.T // which the gateway runs for, also if a subtest restarts it
	base    string
	home    string // what the gateway stores: restarted with it, it goes on where it was
	port    int
	backend string
	gateway *testbed.Process
}

func newStand(t *testing.T) *stand {
	t.Helper()
	port := testbed.FreePort(t)
	s := &stand{t: t, base: fmt.Sprintf("http://localhost:%d", port), home: t.TempDir(), port: port}
	backend := httptest.NewServer(newBackend(testSecrets, s.base))
	t.Cleanup(backend.Close)
	s.backend = backend.Listener.Addr().String()
	s.start()
	return s
}

func (s *stand) start() {
	s.gateway = testbed.Run(s.t, caddyfile, s.home, s.base, fmt.Sprintf("PORT=%d", s.port), "BACKEND="+s.backend,
		"CHAT_IDENTITY_SECRET="+testSecrets.chat, "CALLS_SECRET="+testSecrets.calls, "CHAT_IDENTITY_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
}

func (s *stand) restart() {
	s.gateway.Kill()
	s.start()
}

// browser is a page somewhere, with its cookies and the claim of who is signed in.
type browser struct {
	stand   *stand
	client  http.Client
	visitor string
	claim   map[string]any
	header  http.Header // of each request
	kind    string      // the last answer's media type
}

func (s *stand) browser(t *testing.T, visitor string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{stand: s, client: http.Client{Jar: jar}, visitor: visitor, header: http.Header{}}
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
	req.Header = b.header.Clone()
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b.kind = res.Header.Get("Content-Type")
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s answered %s, not JSON: %v", method, path, res.Status, err)
	}
	return res.StatusCode, answer
}
