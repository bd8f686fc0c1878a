package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// answered is an answer with what the upstream saw of the request, if it came through.
type answered struct {
	*http.Response
	body string
	seen *seen
}

// problem returns the answer's problem document, empty where it is none.
func (a *answered) problem(t testing.TB) (p problem) {
	t.Helper()
	if a.Header.Get("Content-Type") != "application/problem+json" {
		return p
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return p
}

// verdict says what became of a request: the user as whom it was forwarded, or
// the outcome and the reason, or the status and the reason of its refusal.
func verdict(t testing.TB, a *answered) string {
	t.Helper()
	if a.seen == nil {
		return strings.TrimSpace(fmt.Sprintf("%d %s", a.StatusCode, a.problem(t).Reason))
	}
	outcome := a.seen.Header.Get("X-Identity-Outcome")
	if user := a.seen.user(); user != "" && outcome == "verified" {
		return user
	}
	return strings.TrimSpace(outcome + " " + a.seen.Header.Get("X-Identity-Reason"))
}

const jsonType = "Content-Type: application/json"

// request returns a request to the gateway, whose body's length is unknown where it
// is chunked. Headers are "Name: value".
func (g *gateway) request(t testing.TB, method, path, body string, chunked bool, headers ...string) *http.Request {
	t.Helper()
	var reader io.Reader
	switch {
	case chunked:
		reader = io.MultiReader(strings.NewReader(body))
	case body != "":
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, g.url+path, reader)
	must(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// do sends a request.
func (g *gateway) do(t testing.TB, method, path, body string, headers ...string) *answered {
	t.Helper()
	return g.send(t, g.request(t, method, path, body, false, headers...))
}

// post sends a JSON body.
func (g *gateway) post(t testing.TB, body string, headers ...string) *answered {
	t.Helper()
	return g.do(t, "POST", "/chat", body, append([]string{jsonType}, headers...)...)
}

func (g *gateway) send(t testing.TB, r *http.Request) *answered {
	t.Helper()
	g.upstream.take()
	client := http.DefaultClient
	if g.client != nil {
		client = g.client
	}
	response, err := client.Do(r)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return &answered{response, string(body), g.upstream.take()}
}

// statusAt posts a JSON body and returns the status of the answer, 0 where none came.
func (g *gateway) statusAt(client *http.Client, path, body string) int {
	response, err := client.Post(g.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// status is statusAt of the chat.
func (g *gateway) status(client *http.Client, body string) int {
	return g.statusAt(client, "/chat", body)
}

// manyClients returns a client with up to n connections at once.
func manyClients(n int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxConnsPerHost: n}}
}

// retried sends a request again that was not answered: when Caddy changes its
// listening socket, the kernel resets the connections which the old one had not
// accepted yet, and the old server closes those from which it has read nothing.
type retried struct{ next http.RoundTripper }

func (r retried) RoundTrip(request *http.Request) (response *http.Response, err error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if response, err = r.next.RoundTrip(request); err == nil {
			return response, nil
		}
		time.Sleep(2 * time.Millisecond)
		if request.Body, err = request.GetBody(); err != nil {
			return nil, err
		}
	}
	return r.next.RoundTrip(request)
}

// conn is a connection on which a test writes an HTTP/1.1 request by hand.
type conn struct {
	net.Conn
	in *bufio.Reader
	t  testing.TB
}

// dial connects to a gateway. Whatever then hangs fails the test.
func (g *gateway) dial(t testing.TB) *conn {
	t.Helper()
	c, err := net.Dial("tcp", g.host())
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &conn{c, bufio.NewReader(c), t}
}

func (c *conn) write(text string) {
	c.t.Helper()
	_, err := io.WriteString(c, text)
	must(c.t, err)
}

// answer reads one answer, its body included, and passes over those that only ask for
// the request's body, as upstreams do, too.
func (c *conn) answer() (*http.Response, string) {
	c.t.Helper()
	response := c.head()
	for response.StatusCode == http.StatusContinue {
		response = c.head()
	}
	body, err := io.ReadAll(response.Body)
	must(c.t, err)
	return response, string(body)
}

// head reads one answer without its body.
func (c *conn) head() *http.Response {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	must(c.t, err)
	return response
}

// early posts to a path what comes behind the Host line, and returns the answer. One
// that waits for more than that fails the test.
func (g *gateway) early(t testing.TB, path, text string) (*http.Response, string) {
	t.Helper()
	c := g.dial(t)
	defer c.Close()
	c.write("POST " + path + " HTTP/1.1\r\nHost: " + g.host() + "\r\n" + text)
	return c.answer()
}

// begin sends the head of a POST, and returns once the gateway asks for the body.
func (g *gateway) begin(t testing.TB, path, body string, headers ...string) *conn {
	t.Helper()
	c := g.dial(t)
	c.write(strings.Replace(g.wire("POST", path, "", append(headers, "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(body)))...), "Connection: close\r\n", "", 1))
	equal(t, c.head().StatusCode, http.StatusContinue, "the head of a request")
	return c
}

// host is the gateway's address.
func (g *gateway) host() string { return strings.TrimPrefix(g.url, "http://") }

// wire is a request as it is sent on a connection of its own. Unless a header frames
// the body, it has a Content-Length.
func (g *gateway) wire(method, path, body string, headers ...string) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, path, g.host())
	framed := body == ""
	for _, h := range headers {
		text += h + "\r\n"
		framed = framed || strings.HasPrefix(h, "Content-Length: ") || strings.HasPrefix(h, "Transfer-Encoding: ")
	}
	if !framed {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return text + "\r\n" + body
}

// raw writes bytes to the gateway and returns everything that comes back
// until the connection closes.
func (g *gateway) raw(t testing.TB, text string) string {
	t.Helper()
	c := g.dial(t)
	defer c.Close() // not at the end of the test: some call this by the thousand
	g.upstream.take()
	c.write(text)
	var answer bytes.Buffer
	_, _ = io.Copy(&answer, c)
	return answer.String()
}

// halfClosed is raw for a client that says that it sends no more.
func (g *gateway) halfClosed(t testing.TB, text string) string {
	t.Helper()
	c := g.dial(t)
	defer c.Close()
	g.upstream.take()
	_, _ = io.WriteString(c, text)         // it may have answered already
	_ = c.Conn.(*net.TCPConn).CloseWrite() // fails where the gateway has closed already
	answer, _ := io.ReadAll(c)
	return string(answer)
}

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3})`)

// statusOf returns the last status of a raw answer, 0 where there is none.
func statusOf(answer string) (status int) {
	for _, m := range statusLine.FindAllStringSubmatch(answer, -1) {
		status, _ = strconv.Atoi(m[1])
	}
	return status
}

// chunks frames a body in chunks of odd sizes, one with an extension.
func chunks(body string) string {
	var b strings.Builder
	for size := 1; body != ""; size = size*3%101 + 1 {
		size = min(size, len(body))
		extension := ""
		if size%2 == 0 {
			extension = ";x=\"y\""
		}
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", size, extension, body[:size])
		body = body[size:]
	}
	return b.String() + "0\r\n\r\n"
}

// sign returns the hex HMAC-SHA256 of a message with the test's secret.
func sign(message string) string { return signWith(testSecret, message) }

func signWith(secret, message string) string { return testbed.Sign(secret, message) }

// claim is a signed bookbag claim as a JSON body.
func claim(user string) string {
	id, _ := json.Marshal(user)
	return fmt.Sprintf(`{"user_id":%s,"user_hash":"%s","text":"hi"}`, id, sign(user))
}
