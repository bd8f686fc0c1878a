package dashboard

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func TestServe(t *testing.T) {
	ask := func(method, name string, headers ...string) *http.Response {
		r := httptest.NewRequest(method, "/anywhere/"+name, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		Serve(w, r, name)
		return w.Result()
	}
	for name, f := range files {
		got := ask("GET", name)
		if got.StatusCode != 200 || got.ContentLength != 0 && got.ContentLength != int64(len(f.content)) {
			t.Errorf("%q: %d", name, got.StatusCode)
		}
		for header, want := range map[string]string{
			"Content-Type": f.kind, "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-cache", "ETag": f.etag,
		} {
			if got.Header.Get(header) != want {
				t.Errorf("%q: %s: %q, want %q", name, header, got.Header.Get(header), want)
			}
		}
		if again := ask("GET", name, "If-None-Match", f.etag); again.StatusCode != http.StatusNotModified {
			t.Errorf("%q: unchanged, but sent again: %d", name, again.StatusCode)
		}
		if head := ask("HEAD", name); head.StatusCode != 200 || head.Header.Get("ETag") != f.etag {
			t.Errorf("%q: HEAD: %d", name, head.StatusCode)
		}
	}
	for _, name := range []string{"index.html", "assets", "assets/", "assets/../index.html", "/", "../dashboard.go"} {
		if Has(name) {
			t.Errorf("%s is served", name)
		}
	}
}

// TestPage holds the page to what its policy and its size promise.
func TestPage(t *testing.T) {
	total := 0
	for name, f := range files {
		total += len(f.content)
		text := string(f.content)
		for _, forbidden := range []string{
			"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setAttribute('style'",
			"localStorage", "sessionStorage", "document.cookie", "DOMParser", "srcdoc", "javascript:",
		} {
			if strings.Contains(text, forbidden) {
				t.Errorf("%s has %s", name, forbidden)
			}
		}
		if found := regexp.MustCompile(`(?i)\b(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`).FindString(text); found != "" && !strings.Contains(text, "http://www.w3.org/2000/svg") {
			t.Errorf("%s names another host: %s", name, found)
		}
	}
	if total > 120_000 {
		t.Errorf("the page and its parts are %d bytes", total)
	}
	t.Logf("the page and its parts are %d bytes", total)
	index := string(files[""].content)
	for name := range files {
		if strings.HasSuffix(name, ".js") && strings.Count(index, `"`+name+`"`) != 1 {
			t.Errorf("the page does not ask for %s at once", name)
		}
	}
	if found := regexp.MustCompile(`(?i)<script>|<script [^>]*>[^<]|<style|\son[a-z]+=|\sstyle=`).FindString(index); found != "" {
		t.Errorf("the page has inline code or style: %s", found)
	}
	// Caddy's admin endpoint refuses what browsers load in the mode no-cors.
	for _, tag := range regexp.MustCompile(`<(?:link rel="(?:stylesheet|modulepreload)"|script)[^>]*>`).FindAllString(index, -1) {
		if !strings.Contains(tag, "crossorigin") && !strings.Contains(tag, `type="module"`) && !strings.Contains(tag, "modulepreload") {
			t.Errorf("%s is loaded in the mode no-cors", tag)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(tag, -1) {
			if !Has(m[1]) {
				t.Errorf("%s loads a missing file, or none relative to the page", tag)
			}
		}
	}
}

// TestPageKnows: the page has a name for every reason, and offers every dialect.
func TestPageKnows(t *testing.T) {
	reasons, dialog := string(files["assets/reasons.js"].content), string(files["assets/dialog.js"].content)
	for _, reason := range traffic.Reasons {
		if !strings.Contains(reasons, "\n  "+string(reason)+": [") {
			t.Errorf("reasons.js lacks %s", reason)
		}
	}
	var names []string
	for _, d := range verifier.Dialects {
		names = append(names, "'"+d.Name+"'")
	}
	if list := "dialects = [" + strings.Join(names, ", ") + "]"; !strings.Contains(dialog, list) {
		t.Errorf("dialog.js lacks %s", list)
	}
}
