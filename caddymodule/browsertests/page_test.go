package browsertests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestPageFile holds chat-identity.js to what its README promises.
func TestPageFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "examples", "page", "chat-identity.js"))
	must(t, err)
	if len(text) >= 4<<10 {
		t.Errorf("it has %d bytes", len(text))
	}
	for _, forbidden := range []string{"import", "require", "localStorage", "sessionStorage", "cookie", "indexedDB", "console"} {
		if strings.Contains(string(text), forbidden) {
			t.Errorf("it has %s", forbidden)
		}
	}
}

// TestPageWithoutSession: where the gateway gives no session, each request has a claim
// of its own.
func TestPageWithoutSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, "dialect snapengage\none_time")
	v := s.visit(newTab(t), `{"claim":"/me"}`)
	equal(t, v.says("anonymous"), "200 ")
	s.do(func() { s.user = "ada" })
	equal(t, v.says("one"), "200 ada")
	equal(t, v.says("two"), "200 ada")
	equal(t, v.run(`const form = new FormData()
		form.append('text', 'three')
		await chatIdentity.fetch('/chat/messages', { method: 'POST', body: form })
		return [...form.keys()]`), "text")
	equal(t, v.run(`const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: new URLSearchParams({ text: 'four' }) })
		return await answer.text()`), "ada")
	equal(t, v.run(`const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: '{"text":"five"}' })
		return await answer.text()`), "ada")
	equal(t, v.run(`return (await chatIdentity.fetch('/chat/messages?text=six')).text()`), "ada")
	equal(t, v.run(socket), "ada")
	equal(t, v.run(events), "ada")
	said, claims := s.said()
	equal(t, said, `POST /chat/messages : anonymous
POST /chat/messages ada: one
POST /chat/messages ada: two
POST /chat/messages ada: three
POST /chat/messages ada: four
POST /chat/messages ada: five
GET /chat/messages ada: six
GET /chat/socket ada:
GET /chat/events ada:`)
	equal(t, claims, 10)
}

// socket and events open a stream and return the first text that comes.
const socket = `const socket = new WebSocket((await chatIdentity.url('/chat/socket')).replace('http', 'ws'))
	return new Promise((told) => { socket.onmessage = ({ data }) => { socket.close(); told(data) }; socket.onerror = () => told('refused') })`

const events = `const source = new EventSource(await chatIdentity.url('/chat/events'))
	return new Promise((told) => { source.onmessage = ({ data }) => { source.close(); told(data) }; source.onerror = () => { source.close(); told('refused') } })`
