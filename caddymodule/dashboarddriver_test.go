package caddymodule

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/browsertest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// boardSite is liveSite that tells who asks which id its request has in the log.
const boardSite = `header X-Request-Id {http.request.uuid}
` + liveSite

// board is the dashboard of a gateway in a browser.
type board struct {
	*gateway
	t   testing.TB
	ctx context.Context
	// unhurried leaves it to the page when it asks for news.
	unhurried bool
}

// openBoard starts a gateway and a browser. The other origins are allowed to
// ask its admin endpoint.
func openBoard(t testing.TB, options string, origins ...string) *board {
	t.Helper()
	return openBoardOf(t, newLive(t, options, boardSite), origins...)
}

// openBoardOf is openBoard for a gateway that is not yet loaded.
func openBoardOf(t testing.TB, g *gateway, origins ...string) *board {
	t.Helper()
	ctx := browsertest.New(t)
	g.letBrowsersIn(origins...)
	load(t, g.config)
	return &board{gateway: g, t: t, ctx: ctx}
}

// letBrowsersIn configures the admin endpoint so that browsers may open it, as
// docs/admin-api.md says.
func (g *gateway) letBrowsersIn(origins ...string) {
	g.config = strings.Replace(g.config, "admin "+g.admin,
		fmt.Sprintf("admin %s {\norigins %s \"\" %s\n}", g.admin, g.admin, strings.Join(origins, " ")), 1)
}

func (b *board) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v; the page says:\n%s", err, b.text())
	}
}

// open loads the page, at a place such as "/widgets/shop".
func (b *board) open(place string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+b.admin+adminapi.Path+"#"+place))
}

// look evaluates an expression in the page.
func look[T any](b *board, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// text is what the page says.
func (b *board) text() string {
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// wait waits until an expression is true in the page. It has the page believe
// that its reader has just come back, for which it asks for news at once.
func (b *board) wait(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	next := time.Now().Add(time.Second)
	for {
		if time.Now().After(next) && !b.unhurried {
			next = time.Now().Add(time.Second)
			_ = chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void]("document.dispatchEvent(new Event('visibilitychange'))"))
		}
		value, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if value && err == nil {
			return
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			b.t.Fatalf("in vain for %s (%v); the page says:\n%s", expression, err, b.text())
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// says waits until the page shows a text.
func (b *board) says(text string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// click clicks on what an XPath finds, as a mouse does.
func (b *board) click(xpath string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.evaluate(%q, document, null, XPathResult.BOOLEAN_TYPE).booleanValue", xpath))
	b.do(chromedp.Click(xpath))
}

// press clicks on a button, in the dialog where one is open.
func (b *board) press(name string) {
	b.t.Helper()
	within := ""
	if look[bool](b, "Boolean(document.querySelector('dialog[open]'))") {
		within = "//dialog"
	}
	b.click(fmt.Sprintf("%s//button[normalize-space()='%s' and not(@disabled)]", within, name))
}

// choose clicks on the label of a radio button.
func (b *board) choose(label string) {
	b.t.Helper()
	b.click(fmt.Sprintf("//dialog//label[.//b[normalize-space()='%s']]", label))
}

// write types into the dialog's text field.
func (b *board) write(text string) {
	b.t.Helper()
	b.wait("document.querySelector('dialog[open] input[type=text]:not([hidden])')")
	b.do(chromedp.Focus("dialog[open] input[type=text]"), chromedp.KeyEvent(text))
}

// secret reads the secret that is shown, closes its dialog, and checks that it
// is gone from the page then.
func (b *board) secret() string {
	b.t.Helper()
	b.wait("document.querySelector('dialog .secret')")
	secret := look[string](b, "document.querySelector('dialog .secret').textContent")
	if len(secret) != 64 {
		b.t.Fatalf("the secret is %q", secret)
	}
	b.says("It will not be shown again.")
	b.press("Done")
	b.says("You have not copied it.")
	b.press("Done")
	b.gone(secret)
	return secret
}

// gone checks that a text is nowhere in the page, not in its fields either.
func (b *board) gone(secret string) {
	b.t.Helper()
	b.wait("!document.querySelector('dialog')")
	if look[bool](b, fmt.Sprintf(`document.documentElement.outerHTML.includes(%q) ||
		[...document.querySelectorAll('input')].some((input) => input.value.includes(%[1]q))`, secret)) {
		b.t.Error("the secret is still in the page")
	}
}
