package browsertests

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// serve serves one page under a strict policy, and a script.
func serve(t *testing.T, body, script string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src *; img-src 'self' data:")
		_, _ = w.Write([]byte(`<!doctype html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">` +
			body + `<script src="/script.js"></script>`))
	})
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write([]byte(script + "\n;document.title = 'done'"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestTroubles(t *testing.T) {
	cases := []struct{ name, body, script, says string }{
		{"a sound page", `<p>fine</p>`, `console.log('hello'); console.warn('careful')`, ""},
		{"a status is borne", ``, `fetch('/none')`, ""},
		{"a script throws", ``, `setTimeout(() => { throw new Error('thrown') })`, "thrown"},
		{"a promise is rejected", ``, `Promise.reject(new Error('rejected'))`, "rejected"},
		{"an error is logged", ``, `console.error('went', {wrong: 1})`, `console.error: "went" Object`},
		{"a script in the page", `<script>document.title = 'inline'</script>`, ``, "Content Security Policy"},
		{"a handler in the page", `<img src="data:," onerror="document.title = 'inline'">`, ``, "Content Security Policy"},
		{"a dialog", ``, `alert('hello')`, "a dialog opened (alert): hello"},
		{"a request to another machine", ``, `fetch('http://elsewhere.example/').catch(() => {})`, "http://elsewhere.example/"},
	}
	ctx := newBrowser(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			url := serve(t, c.body, c.script)
			// Twice around the event loop: what the script has begun has happened.
			if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.Poll[chromedp.Void](`document.title === 'done'`),
				chromedp.Evaluate[chromedp.Void](`new Promise((f) => setTimeout(() => setTimeout(f)))`, chromedp.EvalAwaitPromise)); err != nil {
				t.Fatal(err)
			}
			said := strings.Join(troublesOf(t, ctx), "\n")
			if c.says == "" && said != "" || !strings.Contains(said, c.says) {
				t.Errorf("said %q, want %q", said, c.says)
			}
		})
	}
}

// TestEachHasItsOwn checks that two browsers share neither what they have stored
// nor their troubles.
func TestEachHasItsOwn(t *testing.T) {
	url := serve(t, ``, `localStorage.count = 1 + Number(localStorage.count || 0)`)
	for range 2 {
		ctx := newBrowser(t)
		must(t, chromedp.Do(ctx, chromedp.Navigate(url)))
		count, err := chromedp.Run(ctx, chromedp.Evaluate[string](`localStorage.count`))
		must(t, err)
		if count != "1" {
			t.Errorf("the page was visited %s times", count)
		}
	}
}

func TestView(t *testing.T) {
	type view struct {
		Width       int
		Dark, Still bool
	}
	ctx := newBrowser(t)
	look := func(before ...chromedp.Action[chromedp.Void]) view {
		t.Helper()
		must(t, chromedp.Do(ctx, before...))
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[view](`({
			width: innerWidth,
			dark: matchMedia('(prefers-color-scheme: dark)').matches,
			still: matchMedia('(prefers-reduced-motion: reduce)').matches,
		})`))
		must(t, err)
		return seen
	}
	if got, want := look(chromedp.Navigate(serve(t, `<p>hello</p>`, ``))), (view{1280, false, true}); got != want {
		t.Errorf("at first: %+v, want %+v", got, want)
	}
	if got, want := look(size(360, 640), colors(true)), (view{360, true, true}); got != want {
		t.Errorf("a phone at night: %+v, want %+v", got, want)
	}
}
