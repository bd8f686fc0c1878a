package caddymodule

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// guarded are sites with a handler of this module in every place that the Caddyfile
// has for one. UPSTREAM is proxied to from /chat and from elsewhere.
func guarded() map[string]string {
	const proxy = "\nreverse_proxy UPSTREAM\n"
	options := " {\nsecret {env.TEST_SECRET}\n}\n"
	sites := map[string]string{
		"handle":         "handle /chat* {\nchat_identity required" + options + proxy + "}\nhandle {\nchat_identity off\n" + proxy + "}",
		"handle, nested": "handle {\nhandle /chat* {\nchat_identity" + options + proxy + "}\nhandle {\nchat_identity /none* required" + options + proxy + "}\n}",
		"route":          "route {\nchat_identity /chat* required" + options + proxy + "}",
		"route, both":    "route {\nchat_identity /chat/open* required" + options + "chat_identity /chat* optional" + options + proxy + "}",
		"two at a site":  "chat_identity /chat* optional" + options + "chat_identity /chat/open* required" + options + proxy,
		"header":         "@m header X-Chat yes\nchat_identity @m required" + options + proxy,
		"identify":       "chat_identity /chat* required {\nsecret {env.TEST_SECRET}\nidentify /identify\n}\n" + proxy,
		"error routes":   "error 418\nhandle_errors {\nchat_identity off\n" + proxy + "}",
		"error routes of refusals": "chat_identity required {\nsecret {env.TEST_SECRET}\nrefuse error\n}\n" + proxy +
			"handle_errors {\nchat_identity off\n" + proxy + "}",
		"named route": "invoke guarded",
	}
	for _, mode := range []string{"off", "optional", "required"} {
		sites[mode] = "chat_identity " + mode + options + proxy
		sites[mode+", with a matcher"] = "chat_identity /chat* " + mode + options + proxy
	}
	return sites
}

// namedRoute is the one that guarded invokes.
const namedRoute = "&(guarded) {\nroute {\nchat_identity /chat* required {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM\n}\n}\n"

// secureSite runs a site of the given content over TLS.
func secureSite(t *testing.T, content, upstream string) (address string) {
	t.Helper()
	port := freePort(t)
	load(t, fmt.Sprintf("{%s}\n%shttps://localhost:%d {\ntls internal\n%s\n}\n", secureGlobals,
		strings.ReplaceAll(namedRoute, "UPSTREAM", upstream), port, strings.ReplaceAll(content, "UPSTREAM", upstream)))
	awaitCertificate(t, port)
	return fmt.Sprintf("localhost:%d", port)
}

// smuggled is what a client writes into a tunnel: the upstream's next request.
const smuggled = "GET /admin HTTP/1.1\r\nHost: backend\r\nX-Verified-User: victim\r\nContent-Length: 0\r\n\r\n"

// TestTunnels: Caddy hands on the stream of a CONNECT as raw bytes on a connection
// that the upstream keeps, so that a client could write a second request there,
// which no gateway has seen. None gets through, whatever matcher and mode.
func TestTunnels(t *testing.T) {
	u := newUpstream(t)
	for name, site := range guarded() {
		t.Run(name, func(t *testing.T) {
			address := secureSite(t, site, strings.TrimPrefix(u.URL, "http://"))
			for _, target := range []string{address, "/chat", "/other", "/"} {
				for _, framing := range []string{
					fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
					fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
					"\r\n" + smuggled,
				} {
					for _, method := range []string{"CONNECT", "Connect"} {
						got := tunnelOverHTTP1(t, address, method+" "+target+" HTTP/1.1\r\nHost: "+address+"\r\n"+framing)
						checkTunnel(t, u, method+" "+target+" over HTTP/1.1", got)
					}
				}
			}
			checkTunnel(t, u, "CONNECT over HTTP/2", tunnelOverHTTP2(t, address))
			for _, protocol := range []string{"", "webtransport", "connect-udp", "WebSocket"} {
				checkTunnel(t, u, "CONNECT "+protocol+" over HTTP/3", tunnelOverHTTP3(t, address, protocol))
			}
		})
	}
}

func checkTunnel(t *testing.T, u *upstream, title string, response *http.Response) {
	t.Helper()
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") == "" || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %s %v", title, response.Status, response.Header)
	}
	if seen := u.take(); seen != nil {
		t.Errorf("%s: the upstream was sent %+v", title, seen)
	}
}

func tunnelOverHTTP1(t *testing.T, address, text string) *http.Response {
	t.Helper()
	c, err := tls.Dial("tcp", address, untrusted())
	must(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	if rest, _ := io.ReadAll(in); len(rest) > 0 {
		t.Errorf("%q was answered twice: %s", text, rest)
	}
	return response
}

func tunnelOverHTTP2(t *testing.T, address string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodConnect, "https://"+address, strings.NewReader(smuggled))
	must(t, err)
	r.ContentLength = -1
	response, err := http2Client(t).RoundTrip(r)
	must(t, err)
	_ = response.Body.Close()
	return response
}

func tunnelOverHTTP3(t *testing.T, address, protocol string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream := extendedConnect(ctx, t, dialHTTP3(ctx, t, address), "https://"+address+"/chat", protocol, nil)
	_, _ = io.WriteString(stream, smuggled) // a refusal may have come before
	response, err := stream.ReadResponse()
	must(t, err)
	return response
}

// TestGuards: what keeps a client from talking past the gateway works for every
// request of a site, over every protocol.
func TestGuards(t *testing.T) {
	u := newUpstream(t)
	for name, site := range guarded() {
		t.Run(name, func(t *testing.T) {
			address := secureSite(t, site, strings.TrimPrefix(u.URL, "http://"))
			for version, transport := range transports(t) {
				client := &http.Client{Transport: transport, Timeout: patience}
				arrived := 0
				for _, path := range []string{"/chat", "/chat/open", "/other", "/identify", "/?" + signedQuery("alice")} {
					r, err := http.NewRequest("PUT", "https://"+address+path, io.MultiReader(strings.NewReader("{}")))
					must(t, err)
					r.Header = http.Header{
						"Content-Type": {"text/plain"}, "X-Verified-User": {"victim"}, "x-verified-widget": {"victim"}, "X-Identity-Outcome": {"victim"},
						"X-Verified-Assertion": {"victim"}, "X-Identity-Merge-From": {"victim"},
					}
					if version == 0 {
						r.Header["Connection"] = []string{"X-Verified-User, Upgrade, HTTP2-Settings"}
						r.Header["Upgrade"] = []string{"h2c"}
						r.Header["HTTP2-Settings"] = []string{"victim"}
					}
					r.Trailer = http.Header{"X-Verified-User": {"victim"}}
					response, err := client.Do(r)
					if err != nil {
						t.Fatalf("HTTP/%d %s: %v", version+1, path, err)
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
					client.CloseIdleConnections()
					seen := u.take()
					if seen == nil {
						continue // refused
					}
					arrived++
					if text := fmt.Sprint(seen.Header, seen.Trailer); strings.Contains(text, "victim") || seen.Header.Get("Upgrade") != "" {
						t.Errorf("HTTP/%d %s: %s", version+1, path, text)
					}
				}
				if arrived == 0 {
					t.Errorf("HTTP/%d: nothing arrived", version+1)
				}
			}
		})
	}
}

// TestEveryHandlerGuards goes through the handlers of configurations, as they are
// adapted: none lets a tunnel or a forged header pass, and one that is reached only
// where a matcher matches comes with another that is always reached.
func TestEveryHandlerGuards(t *testing.T) {
	var configs []string
	for _, site := range guarded() {
		configs = append(configs, ":80 {\n"+site+"\n}\n"+namedRoute)
	}
	files, err := filepath.Glob("testdata/handler_*.good.caddyfiletest")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text := read(t, file)
		config, _, _ := strings.Cut(string(text), "----------")
		configs = append(configs, config)
	}
	checked := 0
	for _, config := range configs {
		config = strings.NewReplacer("UPSTREAM", "127.0.0.1:1", "{file./run/secrets/previous}", "{env.TEST_SECRET}").Replace(config)
		adapted, err := adapt(config)
		if err != nil {
			t.Fatalf("%v\n%s", err, config)
		}
		for _, raw := range handlersOf(t, adapted) {
			checkGuards(t, adapted, raw)
			checked++
		}
	}
	if checked < len(configs) {
		t.Errorf("only %d handlers in %d configurations", checked, len(configs))
	}
}

// handlersOf returns every chat_identity handler of a configuration, and fails
// where a route has one behind a matcher and its neighbor none without.
func handlersOf(t *testing.T, config []byte) (handlers []json.RawMessage) {
	t.Helper()
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if node["handler"] == "chat_identity" {
				delete(node, "handler")
				raw, err := json.Marshal(node)
				node["handler"] = "chat_identity"
				must(t, err)
				handlers = append(handlers, raw)
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			open := false
			for _, child := range node {
				route, _ := child.(map[string]any)
				holds := slices.ContainsFunc(asList(route["handle"]), func(h any) bool { return h.(map[string]any)["handler"] == "chat_identity" })
				if holds {
					open = route["match"] != nil
				}
				walk(child)
			}
			if open {
				t.Errorf("no guard behind a handler with a matcher: %s", config)
			}
		}
	}
	var tree any
	must(t, json.Unmarshal(config, &tree))
	walk(tree)
	return handlers
}

func asList(node any) []any {
	list, _ := node.([]any)
	return list
}

func checkGuards(t *testing.T, config []byte, raw json.RawMessage) {
	t.Helper()
	parsed := new(caddy.Config)
	must(t, json.Unmarshal(config, parsed))
	ctx := provision(t, string(parsed.AppsRaw["chat_identity"]))
	loaded, err := ctx.LoadModuleByID("http.handlers.chat_identity", raw)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	h := loaded.(*Handler)
	for _, method := range []string{"CONNECT", "POST", "GET", "OPTIONS"} {
		for _, path := range []string{"/chat", "/other", h.Identify} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "http://gateway"+path, nil)
			r.Header = http.Header{"X-Verified-User": {"victim"}, "X_Identity.Email": {"victim"}, "Connection": {"X-Verified-User"}}
			for _, name := range h.Headers {
				if name != "off" {
					r.Header[name] = []string{"victim"}
				}
			}
			r.Trailer = http.Header{"X-Verified-User": {"victim"}}
			passed := ""
			next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				passed = fmt.Sprint(r.Header, r.Trailer, " ")
				return nil
			})
			repl := caddy.NewReplacer()
			r = caddyhttp.PrepareRequest(r, repl, w, nil)
			_ = h.ServeHTTP(w, r, next)
			if strings.Contains(passed, "victim") || strings.Contains(passed, "Connection:[X") {
				t.Errorf("%s %s passed %s: %s", method, path, passed, raw)
			}
			if method == "CONNECT" && (passed != "" || w.Code != 405) {
				t.Errorf("CONNECT %s: %d, passed %q: %s", path, w.Code, passed, raw)
			}
		}
	}
}
