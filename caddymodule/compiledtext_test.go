package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// compiledTexts are texts that are compiled: each kind of placeholder alone, and
// mixed with literals and with each other.
var compiledTexts = []string{
	"{http.request.header.X-Widget-Key}",
	"{http.request.header.x-widget-key}",
	"{http.request.header.X_Widget_Key}",
	"{http.request.header.Host}",
	"{http.request.header.}",
	"{http.request.uri.query.widget}",
	"{http.request.uri.query.a b}",
	"{http.request.cookie.widget}",
	"{http.request.uri.path}",
	"{http.request.uri.path.0}",
	"{http.request.uri.path.1}",
	"{http.request.uri.path.+2}",
	"{http.request.uri.path.99}",
	"{http.request.host}",
	"shop",
	"shop-{http.request.host}",
	"{http.request.uri.path.1}/{http.request.header.X-Widget-Key}",
	"a}{http.request.uri.query.widget}}-{http.request.cookie.widget}.",
}

// uncompiledTexts are left to Caddy's replacer.
var uncompiledTexts = []string{
	"{http.request.uri.path.file}", "{http.request.uri.path.-1}", "{http.request.host.labels.0}", "{http.request.method}",
	"{http.request.remote.host}", "{http.vars.widget}", "{env.HOME}", `\{x\}{http.request.host}`,
	"{http.request.host}{http.request.uri}",
}

func TestCompiledTextsAreWhatCaddyReplaces(t *testing.T) {
	var requests []*http.Request
	for _, target := range []string{
		"/", "/chat/shop/9", "//chat//shop", "/chat/", "/a%2Fb/c", "/?widget=a", "/?widget=a&widget=b", "/?widget=", "/?widget",
		"/?widget=a;b", "/?wid%67et=a%20b+c", "/?widget=%zz&widget=b", "/?a+b=1", "/?Widget=a&&=x", "*",
	} {
		for _, host := range []string{"chat.example.com", "chat.example.com:8443", "[::1]:80", "[::1]", "a:b:c", ""} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL, r.Host = &url.URL{Path: target}, host
			if u, err := url.ParseRequestURI(target); err == nil {
				r.URL = u
			}
			requests = append(requests, r)
		}
	}
	requests = append(requests, &http.Request{URL: new(url.URL), Header: make(http.Header)}, withQueryParameters(20_000))
	for _, header := range []http.Header{
		{"X-Widget-Key": {"shop"}}, {"X-Widget-Key": {"shop", "other"}}, {"X-Widget-Key": {""}}, {"X-Widget-Key": {"", ""}},
		{"X-Widget-Key": nil}, {"x-widget-key": {"raw"}}, {"X_Widget_Key": {"respelled"}}, {"X-Widget-Key": {"\xff{env.HOME}"}},
		{"Host": {"inside"}, "": {"empty"}},
		{"Cookie": {"widget=a"}}, {"Cookie": {"Widget=a; widget=b"}}, {"Cookie": {`widget="a b"`, "widget=c"}},
		{"Cookie": {"widget=a\x7f; widget=b"}}, {"Cookie": {"widget"}}, {"Cookie": {"wid get=a; ; =x; widget=%20"}},
		{"Cookie": {strings.Repeat("widget=a;", 5000)}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/chat/shop?widget=q", nil)
		r.Header = header
		requests = append(requests, r)
	}
	for _, text := range compiledTexts {
		for _, r := range requests {
			compareTexts(t, text, r)
		}
	}
	for _, text := range uncompiledTexts {
		if compileText(text) != nil {
			t.Errorf("%s was compiled", text)
		}
	}
}

func withQueryParameters(n int) *http.Request {
	return &http.Request{URL: &url.URL{RawQuery: strings.Repeat("&", n) + "widget=a"}, Header: make(http.Header)}
}

// compareTexts compares a text's values with those of Caddy's replacer.
func compareTexts(t *testing.T, text string, r *http.Request) {
	t.Helper()
	parts := compileText(text)
	if parts == nil {
		t.Fatalf("%s was not compiled", text)
	}
	repl := caddyhttp.NewTestReplacer(r)
	if got, want := evaluate(parts, r, true), repl.ReplaceAll(text, ""); got != want {
		t.Errorf("%s: %q, want %q for %v of %q with %v", text, got, want, r.URL, r.Host, r.Header)
	}
	want, err := repl.ReplaceOrErr(text, true, true)
	if got := evaluate(parts, r, false); got != want || err != nil && got != "" {
		t.Errorf("%s: %q, want %q (%v) for %v of %q with %v", text, got, want, err, r.URL, r.Host, r.Header)
	}
}

func FuzzCompiledText(f *testing.F) {
	for _, text := range compiledTexts {
		f.Add(text, "/chat/shop", "widget=a&widget=b", "chat.example.com:80", "shop", "widget=a; Widget=b")
	}
	f.Fuzz(func(t *testing.T, text, path, query, host, header, cookie string) {
		if _, err := new(Handler).newNamedText(verifier.Widget, text); err != nil || compileText(text) == nil {
			return
		}
		compareTexts(t, text, &http.Request{
			URL: &url.URL{Path: path, RawQuery: query}, Host: host,
			Header: http.Header{"X-Widget-Key": {header}, "Cookie": {cookie}, "Other": {header, cookie}},
		})
	})
}

// TestPlainHeaders: what plain passes is what the longer way finds nothing
// wrong with.
func TestPlainHeaders(t *testing.T) {
	for _, field := range []verifier.Field{verifier.Widget, verifier.Conversation} {
		for _, header := range []http.Header{
			{}, {"X-Key": {"a"}}, {"X-Key": {""}}, {"X-Key": nil}, {"X-Key": {"a", "a"}}, {"X-Key": {"a", ""}}, {"X-Key": {"\xff"}}, {"x-key": {"a"}},
			{"X_Key": {"a"}}, {"X_Key": nil}, {"X.key": {"a"}, "X-Key": {"a"}}, {"X_Key": nil, "X-Key": {"a"}}, {"x-key": {"a"}, "X-Key": {"a"}},
			{"Y-Key": {"a", "b"}, "X-Key": {"a"}}, {"Xx-Key": {"\xff"}},
		} {
			r := &http.Request{Header: header}
			place := headerPlace{field, "x-key"}
			var reading verifier.Reading
			place.read(r, &reading)
			wrong := !settled(&reading) || field != verifier.Widget && place.respelled(r)
			if place.plain(r) && wrong {
				t.Errorf("%s %v is not plain", field, header)
			}
			if len(header) == 1 && len(header["X-Key"]) == 1 && header.Get("X-Key") != "\xff" && !place.plain(r) {
				t.Errorf("%s %v is plain", field, header)
			}
		}
	}
}
