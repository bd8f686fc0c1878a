package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// fetch asks for a URL as a program that follows no redirects. Headers are
// "Name: value"; one named Host is the request's.
func fetch(t testing.TB, method, url, body string, headers ...string) *answered {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	must(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	response, err := adminHTTP.Transport.RoundTrip(r)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return &answered{Response: response, body: string(text)}
}

// page returns what a page of the admin endpoint says.
func (g *gateway) page(t testing.TB, path string) string {
	t.Helper()
	a := fetch(t, "GET", "http://"+g.admin+path, "")
	equal(t, a.StatusCode, 200, "%s", path)
	return a.body
}

func TestAdminDashboardIsServed(t *testing.T) {
	g := live(t, "", liveSite)
	base := "http://" + g.admin
	page := fetch(t, "GET", base+adminapi.Path, "")
	if page.StatusCode != 200 || !strings.Contains(page.body, "<title>Chat identity</title>") ||
		!strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'") ||
		page.Header.Get("Content-Type") != "text/html; charset=utf-8" || page.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v %.200s", page.StatusCode, page.Header, page.body)
	}
	if r := fetch(t, "GET", base+"/chat_identity", ""); r.StatusCode/100 != 3 || r.Header.Get("Location") != adminapi.Path {
		t.Errorf("without the slash: %d %s", r.StatusCode, r.Header.Get("Location"))
	}
	if r := fetch(t, "HEAD", base+adminapi.Path, ""); r.StatusCode != 200 || r.body != "" || r.ContentLength != int64(len(page.body)) {
		t.Errorf("HEAD: %d, %d bytes", r.StatusCode, r.ContentLength)
	}
	equal(t, fetch(t, "GET", base+adminapi.Path, "", "If-None-Match: "+page.Header.Get("ETag")).StatusCode, 304, "known already")
	if r := fetch(t, "GET", base+adminapi.Path+"assets/app.js", ""); r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("a script: %d %v", r.StatusCode, r.Header)
	}
	for _, path := range []string{"assets/", "assets", "assets/none.js", "index.html", "assets/%2e%2e/index.html"} {
		if r := fetch(t, "GET", base+adminapi.Path+path, ""); r.StatusCode != 404 && r.StatusCode/100 != 3 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if r := fetch(t, method, base+adminapi.Path, ""); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, allowed %s", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	// Answers of the API cannot be taken for anything else either.
	if r := g.call(t, "GET", "widgets", ""); r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%v", r.header)
	}
}

func TestAdminSnippets(t *testing.T) {
	g := live(t, "", liveSite)
	g.create(t, `{"id":"shop"}`)
	for _, c := range []struct {
		query  string
		status int
		says   string
	}{
		{"", 200, `"dialect":"bookbag","message":"{user_id}","fields":["user_id","user_hash"]`},
		{"?dialect=snapengage&widget=shop", 200, `"fields":["user_id","hmacNonce","hmacTimestamp","hmacSignature"]`},
		{"?dialect=inviaro&widget=shop-7", 200, "key: 'shop-7'"},
		{"?dialect=jwt", 200, `"fields":["user_token"]`},
		{"?widget=shop", 200, `"fields":["user_id","user_hash"],`},
		{"?widget=nobody", 404, "there is no widget with that id: 'caddy chat-identity list' has the ids"},
		{"?widget=default", 404, "cannot be created here"},
		{"?dialect=klingon", 400, "unknown dialect 'klingon'"},
		{"?widget='%0aevil()", 400, "invalid widget id"},
		{"?language=go", 400, "this call takes dialect, widget"},
	} {
		if got := g.call(t, "GET", "snippets"+c.query, ""); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %.300s", c.query, got.status, got.body)
		}
	}
}

// TestAdminCrossOrigin: whatever changes something and comes from a page of
// another origin is refused, also where an operator has allowed that origin to
// Caddy's endpoint.
func TestAdminCrossOrigin(t *testing.T) {
	g := newLive(t, "", liveSite)
	g.config = strings.Replace(g.config, "admin "+g.admin, fmt.Sprintf("admin %s {\norigins %[1]s \"\" https://other.example\n}", g.admin), 1)
	load(t, g.config)
	own := "Origin: http://" + g.admin
	for _, c := range []struct {
		name    string
		headers []string
		passes  bool
	}{
		{"a program", nil, true},
		{"this module's command", []string{own}, true},
		{"the page", []string{own, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: same-origin"}, true},
		{"another site", []string{"Origin: https://other.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, false},
		{"another site, an old browser", []string{"Origin: https://other.example"}, false},
		{"another port", []string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, false},
		{"another port, which hides its origin", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, false},
		{"a form of another site", []string{"Origin: https://other.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, false},
		{"a sandboxed frame", []string{"Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, false},
		{"an opaque origin", []string{"Origin: null"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.call(t, "DELETE", "widgets/shop", "")
			g.create(t, `{"id":"kept"}`)
			defer g.call(t, "DELETE", "widgets/kept", "")
			for _, call := range [][3]string{
				{"POST", "widgets", `{"id":"shop"}`}, {"PATCH", "widgets/kept", `{"mode":"off"}`}, {"POST", "widgets/kept/rotate", ""},
				{"POST", "reseal", ""}, {"POST", "import", ""}, {"DELETE", "widgets/kept", ""},
			} {
				before := g.call(t, "GET", "widgets", "").body
				r := fetch(t, call[0], "http://"+g.admin+adminapi.Path+call[1], call[2], c.headers...)
				if passed := r.StatusCode < 300; passed != c.passes {
					t.Errorf("%s %s: %d %s", call[0], call[1], r.StatusCode, r.body)
				}
				if after := g.call(t, "GET", "widgets", "").body; !c.passes && after != before {
					t.Errorf("%s %s has changed something:\n%s\n%s", call[0], call[1], before, after)
				}
			}
		})
	}
}

// TestDashboardCommand opens the dashboard through the command, at a port and at
// a unix socket, as any program could.
func TestDashboardCommand(t *testing.T) {
	for _, where := range []string{"", "unix/" + filepath.Join(t.TempDir(), "admin.sock")} {
		g := newLive(t, "", liveSite)
		if where != "" {
			g.config = strings.Replace(g.config, "admin "+g.admin, "admin "+where, 1)
			g.admin = where
		}
		load(t, g.config)
		url := openDashboard(t, g.admin)
		host, rest, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		key, _, _ := strings.Cut(rest, "/")
		if len(key) < 26 || !strings.HasPrefix(host, "127.0.0.1:") {
			t.Fatalf("%s", url)
		}
		if r := fetch(t, "GET", url, "", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none"); r.StatusCode != 200 || !strings.Contains(r.body, "<title>") {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		browser := []string{"Origin: http://" + host, "Referer: " + url, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: same-origin"}
		if r := fetch(t, "POST", url+"widgets", `{"id":"shop"}`, browser...); r.StatusCode != 201 || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d %s", r.StatusCode, r.body)
		}
		equal(t, fetch(t, "POST", url+"widgets", `{"id":"shop"}`, browser...).StatusCode, 409, "status")
		for _, c := range []struct {
			method, url string
			headers     []string
			status      int
		}{
			{"GET", "http://" + host + adminapi.Path, nil, 404},
			{"GET", "http://" + host + "/" + strings.Repeat("A", len(key)) + adminapi.Path, nil, 404},
			{"GET", "http://" + host + "/" + key + "/config/", nil, 404},
			{"GET", "http://" + host + "/" + key + "/chat_identity/../config/", nil, 404},
			{"GET", "http://" + host + "/" + key + "/chat_identity/%2e%2e/config/", nil, 404},
			{"GET", url, []string{"Host: evil.example"}, 403},
			{"GET", url, []string{"Host: localhost:9000"}, 200}, // a tunnel
			{"POST", url + "widgets/shop/rotate", []string{"Origin: https://evil.example"}, 403},
			{"POST", url + "widgets/shop/rotate", []string{"Sec-Fetch-Site: same-site", "Origin: http://127.0.0.1:1"}, 403},
		} {
			equal(t, fetch(t, c.method, c.url, "", c.headers...).StatusCode, c.status, "%s %s %v", c.method, c.url, c.headers)
		}
	}
}

func TestDashboardCommandRefuses(t *testing.T) {
	g := live(t, "", liveSite)
	for _, c := range []struct{ flag, says string }{
		{"--listen=0.0.0.0:8019", "must be a loopback address"},
		{"--listen=example.com:80", "must be a loopback address"},
		{"--listen=8019", "must be a loopback address"},
		{"--listen=" + g.admin, "address already in use"},
	} {
		if out, errors, err := runCommand(t, "", "dashboard", "--address", g.admin, c.flag); err == nil || !strings.Contains(errors, c.says) || out != "" {
			t.Errorf("%s: %s%s%v", c.flag, out, errors, err)
		}
	}
	if _, errors, err := runCommand(t, "", "dashboard", "--address", "127.0.0.1:1"); err == nil || !strings.Contains(errors, "no Caddy answers") {
		t.Errorf("%s%v", errors, err)
	}
}

// openDashboard runs the dashboard command until the test ends, and returns the URL
// that it prints.
func openDashboard(t *testing.T, admin string) string {
	t.Helper()
	cmd := caddyCommand(t.TempDir(), "chat-identity", "dashboard", "--address", admin)
	out, err := cmd.StdoutPipe()
	must(t, err)
	said, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	note, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.Contains(note, "Whoever has the URL") {
		t.Fatalf("%v: %s", err, note)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, note)
	}
	return strings.TrimSpace(line)
}
