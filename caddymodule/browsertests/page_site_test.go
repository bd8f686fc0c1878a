package browsertests

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// site is a website with a chat behind a gateway, whose page loads
// examples/page/chat-identity.js and nothing else.
type site struct {
	*gateway
	secret string

	mu       sync.Mutex
	user     string // who is signed in on the website, "" for nobody
	claims   int    // how many it has signed
	broken   bool   // the route that signs
	hold     chan struct{}
	messages []string // what has reached the chat: the user, and what was said
	seen     []*http.Request
}

// newSite is a site whose handler has these options.
func newSite(t *testing.T, options string) *site {
	t.Helper()
	s := &site{}
	s.gateway = newGateway(t, "", "", nil)
	backend := httptest.NewServer(s)
	t.Cleanup(backend.Close)
	s.config = strings.Replace(s.config, s.url+" {\n", fmt.Sprintf("%s {\nchat_identity /chat/* {\nwidget shop\n%s\n}\nreverse_proxy %s {\nstream_close_delay 0\n}\n", s.url, options, backend.Listener.Addr()), 1)
	s.gateway.run(t)
	s.secret = s.create(t, `{"id":"shop"}`)
	return s
}

// do changes what the site does, or looks at what it has seen.
func (s *site) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// said returns what has reached the chat, and how many claims were signed for that.
func (s *site) said() (text string, claims int) {
	s.do(func() { text, claims = strings.Join(s.messages, "\n"), s.claims })
	return text, claims
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:")
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><script src="/queue.js"></script><script type="module" src="/chat-identity.js"></script>`)
	case r.URL.Path == "/queue.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `window.chatIdentity = function () { (chatIdentity.q ??= []).push(arguments) }
			window.events = []
			addEventListener('chat-identity', ({ detail }) => events.push(detail))
			if (location.hash) chatIdentity('identify', JSON.parse(decodeURIComponent(location.hash.slice(1))))`)
	case r.URL.Path == "/chat-identity.js":
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, filepath.Join("..", "..", "examples", "page", "chat-identity.js"))
	case r.URL.Path == "/me" || r.URL.Path == "/me/chat":
		s.sign(w)
	case strings.HasPrefix(r.URL.Path, "/chat/"):
		s.chat(w, r)
	default:
		http.NotFound(w, r)
	}
}

// sign answers with a claim of whoever is signed in.
func (s *site) sign(w http.ResponseWriter) {
	s.mu.Lock()
	user, broken, hold := s.user, s.broken, s.hold
	s.claims++
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	switch {
	case broken:
		http.Error(w, "broken", http.StatusInternalServerError)
	case user == "":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		nonce, now := rand.Text()+"-nonce", fmt.Sprint(time.Now().Unix())
		_ = json.NewEncoder(w).Encode(map[string]string{
			"user_id": user, "hmacNonce": nonce, "hmacTimestamp": now, "hmacSignature": sign(s.secret, user+nonce+now),
			"user_hash": sign(s.secret, user),
		})
	}
}

// chat notes who says what, and opens streams.
func (s *site) chat(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-Verified-User")
	_ = r.ParseMultipartForm(1 << 20)
	body, _ := io.ReadAll(r.Body)
	var message struct{ Text string }
	_ = json.Unmarshal(body, &message)
	said := fmt.Sprintf("%s %s %s: %s", r.Method, r.URL.Path, user, message.Text+r.FormValue("text"))
	s.do(func() { s.messages, s.seen = append(s.messages, strings.TrimSpace(said)), append(s.seen, r) })
	switch r.URL.Path {
	case "/chat/events":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: %s\n\n", user)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case "/chat/socket":
		openSocket(w, r, user)
	default:
		_, _ = io.WriteString(w, user)
	}
}

// openSocket opens a WebSocket (RFC 6455), sends one text and waits until it is closed.
func openSocket(w http.ResponseWriter, r *http.Request, text string) {
	conn, stream, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n\x81%c%s",
		base64.StdEncoding.EncodeToString(accept[:]), len(text), text)
	_ = stream.Flush()
	_, _ = io.Copy(io.Discard, bufio.NewReader(conn))
}

// visit is a tab with the site's page, in which identify was called before
// chat-identity.js had loaded.
type visit struct {
	*tab
	*site
}

func (s *site) visit(p *tab, options string) *visit {
	p.t.Helper()
	v := &visit{p, s}
	v.tab.do(chromedp.Navigate("about:blank"), chromedp.Navigate(s.url+"/#"+options))
	p.wait("chatIdentity.fetch")
	return v
}

// run runs JavaScript that may wait, and returns its value as text: an error's message
// where it throws.
func (v *visit) run(body string) string {
	v.t.Helper()
	value, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](
		"(async () => String(await (async () => { "+body+" })()))().catch((error) => error.message)", chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", body, err)
	}
	return value
}

// says sends a message, and returns its status and what the chat answered.
func (v *visit) says(text string) string {
	v.t.Helper()
	return v.run(fmt.Sprintf(`const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: { text: %s } })
		return answer.status + ' ' + (answer.ok ? await answer.text() : (await answer.json()).reason)`, js(text)))
}

// knows waits until the page was told who the users were, one after the other.
func (v *visit) knows(users string) {
	v.t.Helper()
	v.wait(fmt.Sprintf("JSON.stringify(events) === %s", js(users)))
}

// another opens a second tab in the same browser.
func (v *visit) another(options string) *visit {
	v.t.Helper()
	ctx, closeTab := chromedp.NewContext(v.ctx)
	v.t.Cleanup(closeTab)
	return v.site.visit(&tab{t: v.t, ctx: ctx}, options)
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
