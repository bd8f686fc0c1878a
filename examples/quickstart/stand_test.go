package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
)

// stand is the demo's parts on their own, so that the gateway can be started
// anew while the backend goes on.
type stand struct {
	built
	base string

	home    string
	port    int
	backend string
	gateway *gateway
}

func newStand(t *testing.T, b built) *stand {
	t.Helper()
	backend := httptest.NewServer(newBackend(testSecrets))
	t.Cleanup(backend.Close)
	port, err := strconv.Atoi(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{
		built: b, base: "http://localhost:" + strconv.Itoa(port),
		home: t.TempDir(), port: port, backend: backend.Listener.Addr().String(),
	}
	s.start(t)
	t.Cleanup(func() { s.gateway.stop() })
	return s
}

func (s *stand) start(t *testing.T) {
	t.Helper()
	g, err := startGateway(t.Context(), setup{s.built.gateway, s.home, s.port, s.backend, testSecrets})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.waitUntilReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.log.hold()
	s.gateway = g
}

// restart kills the gateway, which cannot write anything down then, and starts
// it again.
func (s *stand) restart(t *testing.T) {
	t.Helper()
	pids := (&demo{built: s.built}).gateways(t)
	if len(pids) != 1 {
		t.Fatalf("%d gateways run", len(pids))
	}
	process, err := os.FindProcess(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.gateway.done
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
