package caddymodule

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/streams"
)

// streamUpstream opens WebSockets and event streams, which say nothing or, at /flood, more
// than anybody reads.
type streamUpstream struct {
	*httptest.Server
	open atomic.Int64
}

func newStreamUpstream(t testing.TB) *streamUpstream {
	t.Helper()
	u := newUnstartedStreamUpstream(t)
	u.Start()
	return u
}

func newUnstartedStreamUpstream(t testing.TB) *streamUpstream {
	t.Helper()
	u := new(streamUpstream)
	u.Server = httptest.NewUnstartedServer(u)
	t.Cleanup(u.CloseClientConnections)
	return u
}

func (u *streamUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.open.Add(1)
	defer u.open.Add(-1)
	flood := strings.HasPrefix(r.URL.Path, "/flood")
	if r.Header.Get("Upgrade") != "" {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		if flood {
			_, _ = io.Copy(c, endless{})
		}
		_, _ = io.Copy(c, buffered)
		return
	}
	w.Header().Set("Content-Type", "Text/Event-Stream; charset=utf-8")
	_ = http.NewResponseController(w).Flush()
	if flood {
		_, _ = io.Copy(w, endless{})
	}
	<-r.Context().Done()
}

// TestStreamsOfFastCGI: Caddy waits for such a responder whatever becomes of the request, and
// so the client's side is closed while it waits.
func TestStreamsOfFastCGI(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	speak := make(chan struct{})
	go func() {
		_ = fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
			<-speak
			_, _ = io.Copy(w, endless{})
		}))
	}()
	t.Cleanup(func() { _ = listener.Close() })
	g := newStreamGateway(t, "http://"+listener.Addr().String()+" {\ntransport fastcgi {\nroot /\n}\n}")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	for i, o := range g.openers(ctx, t) {
		if !strings.HasPrefix(o.name, "event stream") || strings.HasSuffix(o.name, "3") {
			continue
		}
		widget := fmt.Sprintf("shop-%d", i)
		stream := o.open(t, "/?widget="+widget+"&user_id=alice&user_hash="+signWith(g.create(t, `{"id":"`+widget+`"}`), "alice"))
		g.rotate(t, widget, "")
		_, _ = io.Copy(io.Discard, stream) // or hangs
	}
	close(speak)
	eventually(t, "a stream is open after its backend has spoken", func() bool { return openStreams.Count() == 0 })
}

// endless is events without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "data: x\n\n"[i%9]
	}
	return len(p), nil
}

// streamGateway is a gateway whose requests name their widget in the query, over every
// version of HTTP.
type streamGateway struct {
	*gateway // HTTP/1.1 and h2c
	secure   string
}

func newStreamGateway(t *testing.T, upstream string) *streamGateway {
	t.Helper()
	port, clear, admin := freePort(t), freePort(t), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	g := &streamGateway{&gateway{url: fmt.Sprintf("http://localhost:%d", clear), admin: admin}, fmt.Sprintf("https://localhost:%d", port)}
	site := "chat_identity required {\nwidget {query.widget}\n}\nreverse_proxy " + strings.TrimPrefix(upstream, "http://")
	g.config = fmt.Sprintf("{%s\nchat_identity {\nwidgets file %s\n}\nservers :%d {\nprotocols h1 h2c\n}\n}\n%s {\ntls internal\n%s\n}\n%s {\n%s\n}\n",
		strings.Replace(secureGlobals, "admin off", "admin "+admin, 1), filepath.Join(t.TempDir(), "widgets.jsonl"), clear, g.secure, site, g.url, site)
	load(t, g.config)
	awaitCertificate(t, port)
	return g
}

// opener opens a stream at a target of a gateway, and returns what it sends.
type opener struct {
	name string
	open func(t *testing.T, target string) io.Reader
}

// openers are of all kinds, over every version of HTTP.
func (g *streamGateway) openers(ctx context.Context, t *testing.T) []opener {
	over := transports(t)
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h2, h3 := http2Client(t), dialHTTP3(ctx, t, strings.TrimPrefix(g.secure, "https://"))
	dial := func(t *testing.T, secure bool) net.Conn {
		c, err := net.Dial("tcp", g.host())
		if secure {
			c, err = tls.Dial("tcp", strings.TrimPrefix(g.secure, "https://"), untrusted())
		}
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	raw := func(secure bool, headers string) func(t *testing.T, target string) io.Reader {
		return func(t *testing.T, target string) io.Reader {
			c := dial(t, secure)
			_, err := io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: "+g.host()+"\r\n"+headers+"\r\n")
			must(t, err)
			in := bufio.NewReader(c)
			response, err := http.ReadResponse(in, nil)
			must(t, err)
			if response.StatusCode != 101 && response.StatusCode != 200 {
				t.Errorf("opened: %s", response.Status)
			}
			return in
		}
	}
	events := func(base string, transport http.RoundTripper, method string) func(t *testing.T, target string) io.Reader {
		return func(t *testing.T, target string) io.Reader {
			r, err := http.NewRequestWithContext(ctx, method, base+target, nil)
			must(t, err)
			response, err := transport.RoundTrip(r)
			must(t, err)
			t.Cleanup(func() { _ = response.Body.Close() })
			equal(t, response.StatusCode, 200, "opened")
			return response.Body
		}
	}
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	return []opener{
		{"WebSocket, HTTP/1.1", raw(false, upgrade)},
		{"WebSocket, HTTP/1.1 with TLS", raw(true, upgrade)},
		{"WebSocket, HTTP/2", func(t *testing.T, target string) io.Reader {
			out, in := io.Pipe()
			t.Cleanup(func() { _ = in.Close() })
			r, err := http.NewRequestWithContext(ctx, http.MethodConnect, g.secure+target, out)
			must(t, err)
			r.Header[":protocol"] = []string{"websocket"}
			response, err := h2.RoundTrip(r)
			must(t, err)
			t.Cleanup(func() { _ = response.Body.Close() })
			equal(t, response.StatusCode, 200, "opened")
			return response.Body
		}},
		{"WebSocket, HTTP/3", func(t *testing.T, target string) io.Reader {
			stream := extendedConnect(ctx, t, h3, g.secure+target, "websocket", nil)
			response, err := stream.ReadResponse()
			must(t, err)
			equal(t, response.StatusCode, 200, "opened")
			return stream
		}},
		{"event stream, HTTP/1.1", raw(false, "")},
		{"event stream, HTTP/1.1 with TLS", raw(true, "Accept: text/event-stream\r\n")},
		{"event stream, HTTP/2", events(g.secure, over[1], "GET")},
		{"event stream, h2c", events(g.url, &http.Transport{Protocols: h2c}, "GET")},
		{"event stream by POST, HTTP/2", events(g.secure, over[1], "POST")},
		{"event stream, HTTP/3", events(g.secure, over[2], "GET")},
	}
}

// TestStreamsEnd: a rotation and a deletion end every kind of stream over every version of
// HTTP, on both sides, of clients that read nothing and of upstreams that say nothing, and no
// other widget's.
func TestStreamsEnd(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), debugConnect) {
		child := exec.Command(os.Args[0], "-test.run=^TestStreamsEnd$", "-test.v", "-test.timeout=170s")
		child.Env = append(os.Environ(), "GODEBUG="+debugConnect)
		output, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "--- PASS: TestStreamsEnd") {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	u := newStreamUpstream(t)
	g := newStreamGateway(t, u.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	all, before := g.openers(ctx, t), openStreams.Ended(streams.Rotated)
	target := func(path, widget, secret string) string {
		return path + "?widget=" + widget + "&user_id=alice&user_hash=" + signWith(secret, "alice")
	}
	for _, path := range []string{"/silent", "/flood"} {
		for i, end := range []func(widget string){
			func(widget string) { g.rotate(t, widget, "") },
			func(widget string) { equal(t, g.call(t, "DELETE", "widgets/"+widget, "").status, 204, "deleted") },
		} {
			// More of what is flooded than two connections take would wait for what nobody reads.
			widget := fmt.Sprintf("shop%s-%d", strings.ReplaceAll(path, "/", "-"), i)
			secret, other := g.create(t, `{"id":"`+widget+`"}`), g.create(t, `{"id":"other-`+widget+`"}`)
			var opened, kept []io.Reader
			for _, o := range all {
				opened = append(opened, o.open(t, target(path, widget, secret)))
				kept = append(kept, o.open(t, target("/silent", "other-"+widget, other)))
			}
			equal(t, openStreams.Count(), 2*len(all), "open streams")
			eventually(t, "nothing is flooded", func() bool { return u.open.Load() == int64(2*len(all)) })
			began := time.Now()
			end(widget)
			eventually(t, path+": streams are still open", func() bool {
				return openStreams.Count() == len(all) && u.open.Load() == int64(len(all))
			})
			t.Logf("%s: %d streams ended %v after the call began", widget, len(all), time.Since(began))
			for i, o := range all {
				_, err := io.Copy(io.Discard, opened[i])
				if raw := strings.Contains(o.name, "1.1"); err == nil && !raw {
					t.Errorf("%s%s: the end looks as if nothing more was to come", o.name, path)
				}
			}
			end("other-" + widget)
			for _, k := range kept {
				_, _ = io.Copy(io.Discard, k)
			}
			eventually(t, "streams of the other widget are still open", func() bool { return openStreams.Count() == 0 && u.open.Load() == 0 })
		}
	}
	equal(t, openStreams.Ended(streams.Rotated)-before, uint64(8*len(all)), "ended, as counted")
}
