package caddymodule

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

// secureGlobals are globals with which Caddy makes its own certificates.
const secureGlobals = `
	admin off
	persist_config off
	auto_https disable_redirects
	skip_install_trust
	grace_period 1s
`

// secure runs a gateway that speaks HTTP/1.1, HTTP/2 and HTTP/3 on one port,
// and HTTP/2 without TLS on another, in front of an address.
func secure(t *testing.T, directive, upstream string) (address, cleartext string) {
	t.Helper()
	port, clear := freePort(t), freePort(t)
	upstream = strings.TrimPrefix(upstream, "http://")
	load(t, fmt.Sprintf(`{%s
	servers :%d {
		protocols h1 h2c
	}
}
https://localhost:%d {
	tls internal
	%s
	reverse_proxy %s
}
http://localhost:%d {
	%s
	reverse_proxy %s
}
`, secureGlobals, clear, port, directive, upstream, clear, directive, upstream))
	awaitCertificate(t, port)
	return fmt.Sprintf("https://localhost:%d", port), fmt.Sprintf("http://localhost:%d", clear)
}

// awaitCertificate returns once the gateway has its certificate, which Caddy
// requests after it has started.
func awaitCertificate(t *testing.T, port int) {
	t.Helper()
	eventually(t, "there is no certificate", func() bool {
		c, err := tls.Dial("tcp", fmt.Sprintf("localhost:%d", port), untrusted())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// untrusted accepts the gateway's certificate, whose CA is not installed.
func untrusted() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// protocolClient is a client that speaks one version of HTTP only.
type protocolClient struct {
	name  string
	major int
	url   string
	http.Client
}

// transports are one for each version of HTTP over TLS, and for no other.
func transports(t *testing.T) [3]http.RoundTripper {
	one, two := new(http.Protocols), new(http.Protocols)
	one.SetHTTP1(true)
	two.SetHTTP2(true)
	three := &http3.Transport{TLSClientConfig: untrusted()}
	t.Cleanup(func() { _ = three.Close() })
	return [...]http.RoundTripper{
		&http.Transport{TLSClientConfig: untrusted(), Protocols: one}, &http.Transport{TLSClientConfig: untrusted(), Protocols: two}, three,
	}
}

// protocolClients runs a gateway, with a client for each version.
func protocolClients(t *testing.T, directive, upstream string) []*protocolClient {
	t.Helper()
	address, cleartext := secure(t, directive, upstream)
	clear := new(http.Protocols)
	clear.SetUnencryptedHTTP2(true)
	over := transports(t)
	clients := []*protocolClient{
		{name: "HTTP/1.1", major: 1, url: address, Client: http.Client{Transport: over[0]}},
		{name: "HTTP/2", major: 2, url: address, Client: http.Client{Transport: over[1]}},
		{name: "h2c", major: 2, url: cleartext, Client: http.Client{Transport: &http.Transport{Protocols: clear}}},
		{name: "HTTP/3", major: 3, url: address, Client: http.Client{Transport: over[2]}},
	}
	for _, c := range clients {
		c.Timeout = patience // what hangs fails
		t.Cleanup(c.CloseIdleConnections)
	}
	return clients
}

// do sends a request and returns the answer with its body read.
func (c *protocolClient) do(t *testing.T, method, path string, body io.Reader, length int64, header http.Header) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, c.url+path, body)
	must(t, err)
	if body != nil {
		r.ContentLength = length
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	if response.ProtoMajor != c.major {
		t.Fatalf("%s: answered over %s", c.name, response.Proto)
	}
	return response, string(text)
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

const requiredSite = "chat_identity required {\nsecret {env.TEST_SECRET}\n}"

func signedQuery(user string) string { return "user_id=" + user + "&user_hash=" + sign(user) }

func TestEveryProtocolIsVerifiedAlike(t *testing.T) {
	u := newUpstream(t)
	for _, c := range protocolClients(t, requiredSite, u.URL) {
		t.Run(c.name, func(t *testing.T) {
			signed := claim("zoë")
			for _, length := range []int64{int64(len(signed)), -1} {
				u.take()
				response, _ := c.do(t, "POST", "/chat", strings.NewReader(signed), length, jsonHeader)
				s := u.take()
				if response.StatusCode != 200 || s == nil || s.user() != "zo%C3%AB" || s.Body != signed || s.Length != int64(len(signed)) {
					t.Errorf("signed, length %d: %d %+v", length, response.StatusCode, s)
				}
			}
			// HTTP/3 does not say whether a request has a body.
			for _, method := range []string{"GET", "DELETE", "OPTIONS", "POST"} {
				response, text := c.do(t, method, "/chat?"+signedQuery("alice"), nil, 0, nil)
				if s := u.take(); response.StatusCode != 200 || s == nil || s.user() != "alice" || s.Length != 0 || s.Chunked || s.Body != "" {
					t.Errorf("%s without a body: %d %s %+v", method, response.StatusCode, text, s)
				}
			}
			// Nor does anyone who sends an empty one; over HTTP/1.1 its framing is kept.
			response, _ := c.do(t, "POST", "/chat?"+signedQuery("alice"), io.MultiReader(), -1, nil)
			if s := u.take(); response.StatusCode != 200 || s == nil || s.user() != "alice" || s.Chunked != (c.major == 1) || s.Body != "" {
				t.Errorf("an empty body: %d %+v", response.StatusCode, s)
			}
			forged := strings.Replace(signed, "zo", "mo", 1)
			response, text := c.do(t, "POST", "/chat", strings.NewReader(forged), -1, jsonHeader)
			if response.StatusCode != 401 || !strings.Contains(text, `"reason":"invalid"`) || u.take() != nil {
				t.Errorf("forged: %d %s", response.StatusCode, text)
			}
			if response, text = c.do(t, "GET", "/chat", nil, 0, nil); response.StatusCode != 401 || !strings.Contains(text, `"reason":"missing"`) || u.take() != nil {
				t.Errorf("missing: %d %s", response.StatusCode, text)
			}
			header := http.Header{"Content-Type": {"application/json"}, "X-Verified-User": {"victim"}, "x-verified-user": {"victim"}, "X_verified-User": {"victim"}}
			if c.major == 1 {
				header["Connection"] = []string{"x-verified-user, X-Identity-Outcome"}
			}
			if c.major > 1 {
				delete(header, "x-verified-user") // the same there
			}
			if _, text = c.do(t, "POST", "/chat", strings.NewReader(signed), -1, header); true {
				s := u.take()
				if s == nil || len(s.Header["X-Verified-User"]) != 1 || s.user() != "zo%C3%AB" || s.Header.Get("X-Identity-Outcome") != "verified" {
					t.Errorf("with forged headers: %s %+v", text, s)
				}
			}
		})
	}
}

// A refusal comes while the client is still about to send a large body, and
// the client's next request is answered as any other.
func TestRefusalOverEveryProtocolDoesNotWait(t *testing.T) {
	u := newUpstream(t)
	for _, c := range protocolClients(t, requiredSite, u.URL) {
		t.Run(c.name, func(t *testing.T) {
			for title, q := range map[string]struct {
				length int64
				header http.Header
				status int
			}{
				"too large":         {5 << 20, jsonHeader, 413},
				"coded":             {5 << 20, http.Header{"Content-Encoding": {"br"}}, 415},
				"of unknown length": {-1, http.Header{"Content-Encoding": {"br"}}, 415},
			} {
				if q.length < 0 && c.major == 3 {
					continue // there may be no body, so that the first byte is waited for
				}
				out, in := io.Pipe() // nothing is ever written
				response, text := c.do(t, "POST", "/chat", out, q.length, q.header)
				_ = in.CloseWithError(io.ErrClosedPipe)
				if response.StatusCode != q.status || !strings.Contains(text, "identity_") {
					t.Errorf("%s: %d %s", title, response.StatusCode, text)
				}
				if c.major == 1 && !response.Close {
					t.Errorf("%s: the connection is kept though the body is not read", title)
				}
				if response, _ = c.do(t, "GET", "/chat?"+signedQuery("alice"), nil, 0, nil); response.StatusCode != 200 {
					t.Errorf("after %s: %d", title, response.StatusCode)
				}
			}
			// A client that sends all of it without looking gets the answer, too.
			large := strings.NewReader(strings.Repeat("x", 5<<20))
			if response, _ := c.do(t, "POST", "/chat", large, 5<<20, jsonHeader); response.StatusCode != 413 {
				t.Errorf("sent: %d", response.StatusCode)
			}
			u.take()
			if response, _ := c.do(t, "POST", "/chat", strings.NewReader(claim("bob")), -1, jsonHeader); response.StatusCode != 200 || u.take().user() != "bob" {
				t.Errorf("after it: %d", response.StatusCode)
			}
		})
	}
}

func TestForgedTrailerNeverArrives(t *testing.T) {
	u := newUpstream(t)
	for _, c := range protocolClients(t, fmt.Sprintf(bookbagSite, "optional", ""), u.URL) {
		for _, q := range []struct{ contentType, body, user string }{
			{"application/json", claim("alice"), "alice"}, {"application/json", `{"a":1}`, ""}, {"text/plain", strings.Repeat("opaque", 50_000), ""},
		} {
			body := &trailing{Reader: strings.NewReader(q.body)}
			r, err := http.NewRequest("POST", c.url+"/chat", body)
			must(t, err)
			r.Header.Set("Content-Type", q.contentType)
			r.Trailer = http.Header{"X-Verified-User": nil, "X_verified_user": nil, "X-Identity-Outcome": nil, "X-Sum": nil}
			body.trailer = r.Trailer
			u.take()
			response, err := c.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			_ = response.Body.Close()
			s := u.take()
			if s == nil || s.Body != q.body || s.user() != q.user {
				t.Errorf("%s: %d %v", c.name, response.StatusCode, s != nil)
				continue
			}
			if len(s.Trailer) > 0 || s.Header.Get("Trailer") != "" {
				t.Errorf("%s: trailers %v arrived", c.name, s.Trailer)
			}
		}
	}
}

// trailing is a body that fills in the trailers at its end.
type trailing struct {
	io.Reader
	trailer http.Header
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		for name := range b.trailer {
			b.trailer[name] = []string{"victim"}
		}
	}
	return n, err
}

// Each event arrives when it was sent: the upstream sends the second only once
// the client has the first.
func TestEventStreamIsDeliveredAsItComes(t *testing.T) {
	next := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d %s\n\n", i, r.Header.Get("X-Verified-User"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(u.Close)
	for _, c := range protocolClients(t, requiredSite, u.URL) {
		r, err := http.NewRequest("GET", c.url+"/events?since=1&"+signedQuery("alice"), nil)
		must(t, err)
		r.Header.Set("Accept", "text/event-stream")
		response, err := c.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		events := bufio.NewReader(response.Body)
		for i := range 3 {
			line, err := events.ReadString('\n')
			if want := fmt.Sprintf("data: %d alice\n", i); line != want || err != nil {
				t.Fatalf("%s: %q, %v", c.name, line, err)
			}
			_, _ = events.ReadString('\n')
			next <- struct{}{}
		}
		_ = response.Body.Close()
		if response, text := c.do(t, "GET", "/events?user_id=alice&user_hash="+sign("bob"), nil, 0, nil); response.StatusCode != 401 {
			t.Errorf("%s, forged: %d %s", c.name, response.StatusCode, text)
		}
	}
}

// websocketBackend upgrades, says for whom, and echoes.
func websocketBackend(t *testing.T) *httptest.Server {
	t.Helper()
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			http.Error(w, "no upgrade", http.StatusTeapot)
			return
		}
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Seen-User", strings.Join(r.Header["X-Verified-User"], ","))
		w.Header().Set("Seen-Query", r.URL.RawQuery)
		w.Header().Set("Seen-Cookie", r.Header.Get("Cookie"))
		w.Header().Set("Seen-Hash", r.Header.Get("X-Hash"))
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, buffered)
	}))
	t.Cleanup(u.Close)
	return u
}

func (c *conn) echoes(t *testing.T, title string) {
	t.Helper()
	for _, text := range []string{"\x81\x05hello", strings.Repeat("\x82\x7e", 5000)} {
		c.write(text)
		back := make([]byte, len(text))
		if _, err := io.ReadFull(c.in, back); err != nil || string(back) != text {
			t.Errorf("%s: echoed %.20q, %v", title, back, err)
		}
	}
}

// upgrade asks for a WebSocket, or another protocol, and returns the connection with
// the head of the answer.
func (g *gateway) upgrade(t testing.TB, target, protocol string, headers ...string) (*conn, *http.Response) {
	t.Helper()
	text := "GET " + target + " HTTP/1.1\r\nHost: " + g.host() + "\r\nUpgrade: " + protocol + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if !strings.Contains(strings.Join(headers, "\r\n"), "Connection: ") {
		headers = append(headers, "Connection: Upgrade")
	}
	c := g.dial(t)
	c.write(text + strings.Join(headers, "\r\n") + "\r\n\r\n")
	return c, c.head()
}

func TestWebSocketIsVerifiedOutsideOfItsBody(t *testing.T) {
	u := websocketBackend(t)
	alice, bob := sign("alice"), sign("bob")
	for _, site := range []struct {
		mode, options, query string
		headers              []string
		status               string
	}{
		{"required", "", "?room=1&user_id=alice&user_hash=" + alice, nil, "101"},
		{"required", "", "?user_id=alice&user_hash=" + alice, []string{"Connection: keep-alive, Upgrade, X-Verified-User"}, "101"},
		{"required", "", "?user_id=alice&user_hash=" + alice, []string{"Connection: Upgrade", "Connection: x-verified-USER,X-Identity-Outcome", "X-Verified-User: victim"}, "101"},
		{"required", "", "?user_id=alice&user_hash=" + bob, nil, "401"},
		{"required", "", "", nil, "401"},
		{"required", "dialect nextcap", "?userId=alice&userHash=" + bob, nil, "403"},
		{"required", "dialect nextcap", "?userId=alice&userHash=" + alice, nil, "101"},
		{"required", "claim user_id header X-User\nclaim signature header X-Hash", "", []string{"X-User: alice", "X-Hash: " + alice}, "101"},
		{"required", "claim user_id header X-User\nclaim signature header X-Hash", "", []string{"X-User: alice", "X-Hash: " + bob}, "401"},
		{"required", "claim user_id cookie uid\nclaim signature cookie sig", "", []string{"Cookie: a=b; uid=alice; sig=" + alice}, "101"},
		{"required", "claim user_id cookie uid\nclaim signature cookie sig", "", []string{"Cookie: uid=alice; uid=bob; sig=" + alice}, "400"},
		{"optional", "", "?room=1&user_id=victim&user_hash=" + alice, nil, "101 anonymous"},
		{"optional", "", "", []string{"X-Verified-User: victim"}, "101 anonymous"},
		{"optional", "claim user_id cookie uid\nclaim signature cookie sig", "", []string{"Cookie: uid=victim; sig=" + alice}, "101 anonymous"},
	} {
		title := fmt.Sprintf("%s, %q, %s %q", site.mode, site.options, site.query, site.headers)
		g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}
		load(t, fmt.Sprintf("{%s}\n%s {\n%s\nreverse_proxy %s\n}\n", globals, g.url, fmt.Sprintf(bookbagSite, site.mode, site.options), strings.TrimPrefix(u.URL, "http://")))
		c, response := g.upgrade(t, "/ws"+site.query, "websocket", site.headers...)
		status, anonymous := strings.CutSuffix(site.status, " anonymous")
		if fmt.Sprint(response.StatusCode) != status {
			t.Errorf("%s: %s", title, response.Status)
			continue
		}
		if response.StatusCode != 101 {
			continue
		}
		user, seen := "alice", response.Header.Get("Seen-Query")+response.Header.Get("Seen-Cookie")+response.Header.Get("Seen-Hash")
		if anonymous {
			user = ""
			if strings.Contains(seen, "victim") || strings.Contains(seen, alice) {
				t.Errorf("%s: the upstream saw %q", title, seen)
			}
		}
		equal(t, response.Header.Get("Seen-User"), user, "%s: the upstream saw the user", title)
		c.echoes(t, title)
	}
}

// ReplyBubble's "id" is everyone's in a query: it is neither read nor cut there.
func TestReplybubbleDoesNotReadTheQuery(t *testing.T) {
	g := chat(t, fmt.Sprintf(bookbagSite, "optional", "dialect replybubble"))
	query := "id=42&id=43&signature=" + sign("42")
	a := g.do(t, "GET", "/items?"+query, "")
	if a.StatusCode != 200 || a.seen == nil || a.seen.URI != "/items?"+query || a.seen.user() != "" || a.seen.Header.Get("X-Identity-Reason") != "missing" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
	a = g.post(t, `{"id":"alice","signature":"`+sign("alice")+`"}`)
	if a.StatusCode != 200 || a.seen.user() != "alice" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
	g = chat(t, fmt.Sprintf(bookbagSite, "required", "dialect replybubble"))
	if a = g.do(t, "GET", "/items?id=alice&signature="+sign("alice"), ""); a.StatusCode != 403 || a.seen != nil {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// dialHTTP3 returns a connection on which requests can be opened as streams.
func dialHTTP3(ctx context.Context, t *testing.T, address string) *http3.ClientConn {
	t.Helper()
	config := untrusted()
	config.NextProtos = []string{http3.NextProtoH3}
	connection, err := quic.DialAddr(ctx, address, config, new(quic.Config))
	must(t, err)
	t.Cleanup(func() { _ = connection.CloseWithError(0, "") })
	h3 := new(http3.Transport).NewClientConn(connection)
	select {
	case <-h3.ReceivedSettings():
	case <-ctx.Done():
		t.Fatal("no settings")
	}
	return h3
}

// extendedConnect asks for a protocol in a stream (RFC 9220).
func extendedConnect(ctx context.Context, t *testing.T, h3 *http3.ClientConn, url, protocol string, header http.Header) *http3.RequestStream {
	t.Helper()
	stream, err := h3.OpenRequestStream(ctx)
	must(t, err)
	_ = stream.SetDeadline(time.Now().Add(patience))
	r, err := http.NewRequest(http.MethodConnect, url, nil)
	must(t, err)
	r.Proto = protocol
	if header != nil {
		r.Header = header
	}
	must(t, stream.SendRequestHeader(r))
	return stream
}

// Extended CONNECT (RFC 9220) opens a WebSocket over HTTP/3. Its stream is the
// tunnel: nothing of it may be read before the backend has agreed.
func TestExtendedConnectOverHTTP3(t *testing.T) {
	u := websocketBackend(t)
	address, _ := secure(t, requiredSite, u.URL)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h3 := dialHTTP3(ctx, t, strings.TrimPrefix(address, "https://"))
	for _, q := range []struct {
		protocol, query string
		header          http.Header
		status          int
	}{
		{"websocket", "?" + signedQuery("alice"), nil, 200},
		{"websocket", "?" + signedQuery("alice"), http.Header{"X-Verified-User": {"victim"}}, 200},
		{"websocket", "?user_id=victim&user_hash=" + sign("alice"), nil, 401},
		{"websocket", "", nil, 401},
		// The upstream would see these as plain ones.
		{"webtransport", "?" + signedQuery("alice"), nil, 405},
		{"connect-udp", "", nil, 405},
		{"", "?" + signedQuery("alice"), nil, 405},
	} {
		stream := extendedConnect(ctx, t, h3, address+"/ws"+q.query, q.protocol, q.header)
		response, err := stream.ReadResponse()
		if err != nil {
			t.Fatalf("%q %s: %v", q.protocol, q.query, err)
		}
		if response.StatusCode != q.status {
			t.Errorf("%q %s: %s", q.protocol, q.query, response.Status)
			continue
		}
		if q.status != 200 {
			continue
		}
		equal(t, response.Header.Get("Seen-User"), "alice", "the upstream saw the user")
		for _, text := range []string{"hello", "again"} {
			if _, err := io.WriteString(stream, text); err != nil {
				t.Fatal(err)
			}
			back := make([]byte, len(text))
			if _, err := io.ReadFull(stream, back); err != nil || string(back) != text {
				t.Errorf("echoed %q, %v", back, err)
			}
		}
		_ = stream.Close()
	}
}

// Go's server offers extended CONNECT over HTTP/2 (RFC 8441) only to a process
// that was started so.
const debugConnect = "http2xconnect=1"

// http2Client returns a client that sends the pseudo-header :protocol, which
// http.Transport refuses.
func http2Client(t *testing.T) http.RoundTripper {
	//lint:ignore SA1019 there is no other
	client := &http2.Transport{TLSClientConfig: untrusted()} //nolint:staticcheck // there is no other
	//lint:ignore SA1019 there is no other
	t.Cleanup(client.CloseIdleConnections) //nolint:staticcheck // there is no other
	return client
}

func TestExtendedConnectOverHTTP2(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), debugConnect) {
		child := exec.Command(os.Args[0], "-test.run=^TestExtendedConnectOverHTTP2$", "-test.v")
		child.Env = append(os.Environ(), "GODEBUG="+debugConnect)
		output, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "--- PASS: TestExtendedConnectOverHTTP2") {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	u := websocketBackend(t)
	address, _ := secure(t, requiredSite, u.URL)
	client := http2Client(t)
	for _, q := range []struct {
		protocol, query string
		status          int
	}{
		{"websocket", "?" + signedQuery("alice"), 200},
		{"websocket", "?user_id=victim&user_hash=" + sign("alice"), 401},
		{"websocket", "", 401},
		{"connect-ip", "?" + signedQuery("alice"), 405},
		{"", "?" + signedQuery("alice"), 405},
	} {
		out, in := io.Pipe()
		r, err := http.NewRequest(http.MethodConnect, address+"/ws"+q.query, out)
		must(t, err)
		if q.protocol != "" {
			r.Header[":protocol"] = []string{q.protocol}
		}
		response, err := client.RoundTrip(r)
		if err != nil {
			t.Fatalf("%q %s: %v", q.protocol, q.query, err)
		}
		if response.StatusCode != q.status {
			t.Errorf("%q %s: %s", q.protocol, q.query, response.Status)
		} else if q.status == 200 {
			equal(t, response.Header.Get("Seen-User"), "alice", "the upstream saw the user")
			_, _ = io.WriteString(in, "hello")
			back := make([]byte, 5)
			if _, err := io.ReadFull(response.Body, back); err != nil || string(back) != "hello" {
				t.Errorf("echoed %q, %v", back, err)
			}
		}
		_ = in.Close()
		_ = response.Body.Close()
	}
}
