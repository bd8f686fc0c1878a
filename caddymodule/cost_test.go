package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// costedRequest is a request that is served again and again.
type costedRequest struct {
	handler caddyhttp.MiddlewareHandler
	body    []byte
	token   string
	session string
	conn    context.Context // of the client's connection
	read    bytes.Reader
	w       *httptest.ResponseRecorder
	next    caddyhttp.Handler
	failed  string
}

// emptyHandler does nothing but call the next handler.
type emptyHandler struct{}

func (emptyHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

// newCosted has the requests forwarded to an upstream that reads the body and
// looks at one header.
func newCosted(t testing.TB, handler caddyhttp.MiddlewareHandler, body, user string) *costedRequest {
	t.Helper()
	conn := context.WithValue(context.Background(), connKey, &clientConn{cancel: func(error) {}}) // as for HTTP/1.1
	c := &costedRequest{handler: handler, body: []byte(body), conn: conn, w: httptest.NewRecorder()}
	room := make([]byte, 32<<10)
	c.next = caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		if got := r.Header.Get("X-Verified-User"); got != user {
			c.failed = "the upstream sees the user " + got
		}
		for {
			if _, err := r.Body.Read(room); err != nil {
				if err != io.EOF {
					c.failed = err.Error()
				}
				return r.Body.Close()
			}
		}
	})
	return c
}

// costed returns a handler as a Caddyfile would configure it: with a secret, or with
// requests that name their widget in a header, as those of many widgets do.
func costed(t testing.TB, h *Handler) *Handler {
	t.Helper()
	ctx := provision(t, `{"inline_widgets":[{"id":"shop","secrets":["{env.TEST_SECRET}"]}]}`)
	if h.Widget == "" {
		h.Secrets = []string{"{env.TEST_SECRET}"}
	}
	must(t, h.Provision(ctx))
	return h
}

const widgetHeader = "{http.request.header.X-Widget-Key}"

func (c *costedRequest) serve() {
	c.read.Reset(c.body)
	r := httptest.NewRequestWithContext(c.conn, http.MethodPost, "/chat", &c.read)
	r.Header["Content-Type"] = []string{"application/json"}
	r.Header["X-Widget-Key"] = []string{"shop"}
	if c.token != "" {
		r.Header["Authorization"] = []string{"Bearer " + c.token}
	}
	if c.session != "" {
		r.Header["X-Chat-Session"] = []string{c.session}
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), c.w, nil)
	if err := c.handler.ServeHTTP(c.w, r, c.next); err != nil {
		c.failed = err.Error()
	}
}

// costedBody is a signed message of about that size; objects fill it with many
// small ones in place of one long text.
func costedBody(size int, objects bool) string {
	head := fmt.Sprintf(`{"user_id":"user-123","user_hash":"%s",`, sign("user-123"))
	if objects {
		const event = `{"id":1000001,"kind":"event","at":"2026-01-02T03:04:05Z","ok":true},`
		return head + `"events":[` + strings.TrimSuffix(strings.Repeat(event, (size-len(head))/len(event)), ",") + `]}`
	}
	return head + `"text":"` + strings.Repeat("a text of words ", (size-len(head))/16) + `"}`
}

var costedBodies = []struct {
	name    string
	size    int
	objects bool
}{{"300B", 300, false}, {"4KB", 4 << 10, false}, {"64KB", 64 << 10, false}, {"1MB_string", 1<<20 - 100, false}, {"1MB_objects", 1<<20 - 100, true}}

// tokenHandler takes tokens as well as signatures.
func tokenHandler() *Handler {
	return &Handler{Mode: widgets.ModeRequired, Claims: []ClaimPlace{{Field: "token", ElsePlace: ElsePlace{Location: "header", Name: "Authorization"}}}}
}

// unclaimed returns a body of the same length whose claim has other names.
func unclaimed(body string) string {
	return strings.NewReplacer(`"user_id"`, `"user_xx"`, `"user_hash"`, `"user_xxxx"`).Replace(body)
}

// costedToken is a token of the user's.
func costedToken() string {
	return jwt(testSecret, fmt.Sprintf(`{"sub":"user-123","iat":%d,"exp":%d,"iss":"https://shop.example.com","jti":"4ZQ7TK2VXW3N5B6M"}`, time.Now().Unix(), inAnHour()))
}

// costedSession is a session of the user's.
func costedSession(t testing.TB) string {
	t.Helper()
	h := costed(t, &Handler{Mode: widgets.ModeRequired, Session: caddy.Duration(time.Hour), Identify: "/identify"})
	r := httptest.NewRequest(http.MethodPost, "/identify", strings.NewReader(costedBody(300, false)))
	r.Header["Content-Type"] = []string{"application/json"}
	w := httptest.NewRecorder()
	must(t, h.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil), nil))
	var answer identified
	must(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer.Session.Token
}

// BenchmarkHandler is the whole handler against an empty one.
func BenchmarkHandler(b *testing.B) {
	for _, body := range costedBodies {
		text := costedBody(body.size, body.objects)
		for _, bench := range []struct {
			name    string
			handler caddyhttp.MiddlewareHandler
			body    string
			user    string
		}{
			{"empty", emptyHandler{}, text, ""},
			{"verified", costed(b, &Handler{Mode: widgets.ModeRequired}), text, "user-123"},
			{"by_header", costed(b, &Handler{Mode: widgets.ModeRequired, Widget: widgetHeader}), text, "user-123"},
			{"cut", costed(b, new(Handler)), strings.Replace(text, `"user_hash"`, `"other"`, 1), ""},
			{"empty_token", emptyHandler{}, unclaimed(text), ""},
			{"token", costed(b, tokenHandler()), unclaimed(text), "user-123"},
			{"empty_session", emptyHandler{}, unclaimed(text), ""},
			{"session", costed(b, &Handler{Mode: widgets.ModeRequired, Session: caddy.Duration(time.Hour)}), unclaimed(text), "user-123"},
		} {
			b.Run(body.name+"/"+bench.name, func(b *testing.B) {
				c := newCosted(b, bench.handler, bench.body, bench.user)
				if strings.HasSuffix(bench.name, "token") {
					c.token = costedToken()
				}
				if strings.HasSuffix(bench.name, "session") {
					c.session = costedSession(b)
				}
				b.SetBytes(int64(len(bench.body)))
				b.ReportAllocs()
				for b.Loop() {
					c.serve()
				}
				if c.failed != "" {
					b.Fatal(c.failed)
				}
			})
		}
	}
}

// BenchmarkAssertion is a verified request with and without an assertion, of many users in
// turn, all of whose assertions were minted before: what is measured is no signature.
func BenchmarkAssertion(b *testing.B) {
	for _, users := range []int{64, 100_000} {
		bodies := make([][]byte, users)
		for i := range bodies {
			user := fmt.Sprintf("6f1c1e2a-0000-4000-8000-%012d", i)
			bodies[i] = fmt.Appendf(nil, `{"user_id":"%s","user_hash":"%s","text":"a text of words"}`, user, sign(user))
		}
		for _, audience := range []string{"", "https://backend.internal"} {
			b.Run(fmt.Sprintf("%d/%t", users, audience != ""), func(b *testing.B) {
				h := &Handler{Mode: widgets.ModeRequired, Secrets: []string{"{env.TEST_SECRET}"}, Assertion: audience}
				must(b, h.Provision(provision(b, `{"assertion":{"lifetime":"1h"}}`)))
				c := newCosted(b, h, "", "")
				forwarded := c.next
				c.next = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					if (r.Header.Get("X-Verified-Assertion") != "") != (audience != "") {
						b.Error("the assertion is not as configured")
					}
					r.Header.Del("X-Verified-User")
					return forwarded.ServeHTTP(w, r)
				})
				for _, c.body = range bodies {
					c.serve()
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					c.body = bodies[i%users]
					c.serve()
				}
				if c.failed != "" {
					b.Fatal(c.failed)
				}
			})
		}
	}
}

// TestHandlerAllocates holds the handler to what it allocates beyond an empty
// one, whatever the size of the body.
func TestHandlerAllocates(t *testing.T) {
	runs := 500 // of which a few are logged
	if raceEnabled {
		runs = 1 // to see that each is served
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pools
	for _, body := range costedBodies {
		text := costedBody(body.size, body.objects)
		empty := newCosted(t, emptyHandler{}, text, "")
		empty.token = costedToken()
		base := testing.AllocsPerRun(runs, empty.serve)
		for _, test := range []struct {
			name    string
			handler *Handler
			body    string
			user    string
			limit   float64
		}{
			{"verified", costed(t, &Handler{Mode: widgets.ModeRequired}), text, "user-123", 3},
			{"by header", costed(t, &Handler{Mode: widgets.ModeRequired, Widget: widgetHeader}), text, "user-123", 3},
			{"asserted", costed(t, &Handler{Mode: widgets.ModeRequired, Assertion: "backend"}), text, "user-123", 3},
			{"cut", costed(t, new(Handler)), strings.Replace(text, `"user_hash"`, `"other"`, 1), "", 4},
			{"token", costed(t, tokenHandler()), unclaimed(text), "user-123", 4},
			{"HTTP/2", costed(t, &Handler{Mode: widgets.ModeRequired}), text, "user-123", 5},
		} {
			c := newCosted(t, test.handler, test.body, test.user)
			if c.token = empty.token; test.name == "HTTP/2" {
				c.conn = context.Background() // over HTTP/2 each request has a context of its own
			}
			got := testing.AllocsPerRun(runs, c.serve) - base
			t.Logf("%s, %s: %v allocations", body.name, test.name, got)
			if c.failed != "" || empty.failed != "" {
				t.Fatalf("%s, %s: %s%s", body.name, test.name, c.failed, empty.failed)
			}
			if !raceEnabled && got > test.limit {
				t.Errorf("%s, %s: %v allocations beyond an empty handler, want at most %v", body.name, test.name, got, test.limit)
			}
		}
	}
}
