package browsertests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// TestDashboardExecutesNothing sends markup in everything that a client chooses,
// for every reason, and looks at all that the page shows. What a script would
// do, or the page's policy had to stop, fails the test with the browser.
func TestDashboardExecutesNothing(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	secret := b.create(t, `{"id":"shop"}`)
	b.create(t, `{"id":"token","dialect":"snapengage"}`)
	payloads := []string{
		`<img src=x onerror="window.executed=1">`, `<script>window.executed=1</script>`, `"><svg onload=window.executed=1>`,
		`javascript:window.executed=1`, `{{constructor.constructor('window.executed=1')()}}`, "\u202e</title><iframe srcdoc='<script>parent.executed=1</script>'>",
	}
	for _, payload := range payloads {
		text := js(payload)
		headers := []string{
			"User-Agent: " + url.QueryEscape(payload), "Referer: http://127.0.0.1/" + strings.NewReplacer("\u202e", "").Replace(payload),
			"X-Request-Id: " + strings.NewReplacer("\u202e", "").Replace(payload),
		}
		for _, widget := range []string{"shop", "token", strings.NewReplacer("\u202e", "").Replace(payload)} {
			for _, body := range []string{
				fmt.Sprintf(`{"user_id":%s,"user_hash":"%s","user_metadata":{"name":%s,"email":%s,%s:%[1]s}}`, text, sign(secret, payload), text, text, text),
				fmt.Sprintf(`{"user_id":%s,"user_hash":%[1]s,"hmacSignature":%[1]s,"hmacNonce":%[1]s,"hmacTimestamp":%[1]s,"name":%[1]s}`, text),
				fmt.Sprintf(`{"user_id":%s,"user_hash":"%s"}`, text, sign(testSecret, payload)),
				fmt.Sprintf(`{"user_id":%s}`, text),
				fmt.Sprintf(`{"user_id":"a","user_hash":%s,"user_hash":%[1]s}`, text),
				fmt.Sprintf(`{"user_id":[%s],%[1]s:1}`, text),
				payload, "{" + payload,
			} {
				request(t, "POST", b.url+"/"+url.PathEscape(payload)+"?user_id="+url.QueryEscape(payload), body, append(headers, "X-Widget-Key: "+widget)...)
				request(t, "POST", b.url+"/chat", body, append(headers, "X-Widget-Key: "+widget)...)
			}
		}
	}
	b.open("/")
	b.wait(`/of \d/.test(document.querySelector('tr[data-id="shop"]')?.innerText)`)
	b.says("Malformed")
	// The page's own fields take markup, too, and the API answers with it.
	for _, payload := range payloads {
		b.fill("#search", payload)
		text := js(payload)
		b.wait(fmt.Sprintf("document.querySelector('.empty').textContent.includes('No widget’s id begins with “' + %s)", text))
	}
	b.fill("#search", "")
	for place, part := range map[string]string{
		"/widgets/shop": ".windows .card", "/widgets/token": ".windows .card", "javascript:window.executed=1": ".windows .card",
		"/widgets/%3Cimg%20src=x%20onerror=window.executed=1%3E": ".missing", "/widgets/<img src=x onerror=window.executed=1>": ".missing",
		"/?sort=<img src=x onerror=window.executed=1>": "#trouble .notice", "/?after=%3Cscript%3Ewindow.executed=1%3C/script%3E&prefix=x": "#trouble .notice",
	} {
		b.open(place)
		b.wait(fmt.Sprintf("document.querySelector(%q)", part))
	}
	b.open("/widgets/shop")
	b.says("request id as in the log")
	page := look[string](b.tab, "document.documentElement.outerHTML")
	for _, mark := range []string{"executed", "onerror", "onload", "iframe", "constructor"} {
		if strings.Contains(page, mark) {
			t.Errorf("the page holds %s", mark)
		}
	}
	if look[bool](b.tab, "'executed' in window") {
		t.Error("a client's script was executed")
	}
	// The policy is effective: injected scripts do not run.
	b.script(`{
		const script = document.createElement('script')
		try { script.textContent = 'window.executed = 1' } catch { script.append(new Text('window.executed = 1')) }
		document.body.append(script)
	}`)
	b.script(`{
		const image = document.createElement('img')
		image.setAttribute('src', 'x')
		try { image.setAttribute('onerror', 'window.executed = 1') } catch {}
		document.body.append(image)
	}`)
	if refused := look[bool](b.tab, `(() => { try { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); return false } catch { return true } })()`); !refused {
		t.Error("the page takes text for markup")
	}
	if look[bool](b.tab, "'executed' in window") {
		t.Error("an injected script was executed")
	}
	if troubles := troublesOf(t, b.ctx); !strings.Contains(strings.Join(troubles, "\n"), "Content Security Policy") {
		t.Errorf("the policy has stopped nothing: %q", troubles)
	}
}

// TestDashboardFromElsewhere has a page of another origin try everything that
// changes something, in a browser in which the dashboard is open. That origin
// may ask Caddy's own endpoint: an operator has allowed it.
func TestDashboardFromElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><title>elsewhere</title><iframe name="frame"></iframe>`))
	}))
	defer elsewhere.Close()
	b := openBoard(t, "", liveSite, elsewhere.Listener.Addr().String())
	b.create(t, `{"id":"shop","mode":"required"}`)
	before := b.call(t, "GET", "widgets", "").body
	b.do(chromedp.Navigate(elsewhere.URL))
	api := "http://" + b.admin + adminapi.Path
	tried, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`(async () => {
		const said = []
		const tries = [
			['GET', 'widgets'],
			['POST', 'widgets', '{"id":"evil"}'], ['PATCH', 'widgets/shop', '{"mode":"off"}'], ['POST', 'widgets/shop/rotate', '{}'],
			['DELETE', 'widgets/shop'], ['POST', 'reseal', '{}'], ['POST', 'widgets/shop/reveal', '{}'],
		]
		for (const [method, path, body] of tries) {
			for (const type of ['application/json', 'text/plain']) {
				for (const mode of ['cors', 'no-cors']) {
					try {
						const answer = await fetch(%q + path, {method, body, mode, headers: {'Content-Type': type}, credentials: 'omit'})
						said.push(method + ' ' + mode + ' ' + answer.status)
					} catch { said.push(method + ' ' + mode + ' stopped') }
				}
			}
		}
		return said.join('\n')
	})()`, api), chromedp.EvalAwaitPromise))
	must(t, err)
	if !strings.Contains(tried, "GET cors 200") || !strings.Contains(tried, "POST cors 403") {
		t.Errorf("the origin is not allowed by Caddy, so nothing is proved:\n%s", tried)
	}
	for _, line := range strings.Split(tried, "\n") {
		if strings.HasSuffix(line, " 200") && !strings.HasPrefix(line, "GET") || strings.HasSuffix(line, "201") || strings.HasSuffix(line, "204") {
			t.Errorf("from elsewhere: %s", line)
		}
	}
	// A form can be sent without permission.
	b.script(fmt.Sprintf(`{
		document.querySelector('iframe').addEventListener('load', () => { document.title = 'framed' })
		const form = document.createElement('form')
		Object.assign(form, {method: 'post', action: %q, enctype: 'text/plain', target: 'frame'})
		const field = document.createElement('input')
		Object.assign(field, {name: '{"id":"evil","dialect":"', value: '"}'})
		form.append(field)
		document.body.append(form)
		form.submit()
	}`, api+"widgets"))
	b.wait("document.title === 'framed'")
	// Nor does a frame: but the page allows none around it.
	b.script(fmt.Sprintf(`document.title = ''; document.querySelector('iframe').src = %q`, api))
	b.wait("document.title === 'framed'")
	if after := b.call(t, "GET", "widgets", "").body; after != before {
		t.Errorf("changed from elsewhere:\n%s\n%s", before, after)
	}
	// What the browser has stopped, it says.
	if troubles := strings.Join(troublesOf(t, b.ctx), "\n"); !strings.Contains(troubles, "frame") {
		t.Errorf("the page was shown in a frame: %s", troubles)
	}
}
