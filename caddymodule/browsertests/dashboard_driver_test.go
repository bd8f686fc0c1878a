package browsertests

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// board is the dashboard of a gateway.
type board struct {
	*tab
	*gateway
}

// hurry tells the page that it became visible, so that it refreshes at once.
const hurry = "document.dispatchEvent(new Event('visibilitychange'))"

// openBoard starts a gateway and a browser. Other origins, too, may ask its admin
// endpoint.
func openBoard(t *testing.T, options, site string, origins ...string) *board {
	t.Helper()
	g := newGateway(t, options, site, append([]string{""}, origins...))
	g.run(t)
	p := newTab(t)
	p.between = hurry
	return &board{p, g}
}

// open loads the page, at a place such as "/widgets/shop".
func (b *board) open(place string) {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+b.admin+adminapi.Path+"#"+place))
}

// press clicks on a button, in the dialog where one is open.
func (b *board) press(name string) {
	b.t.Helper()
	within := ""
	if look[bool](b.tab, "Boolean(document.querySelector('dialog[open]'))") {
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
	secret := look[string](b.tab, "document.querySelector('dialog .secret').textContent")
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
	if look[bool](b.tab, fmt.Sprintf(`document.documentElement.outerHTML.includes(%q) ||
		[...document.querySelectorAll('input')].some((input) => input.value.includes(%[1]q))`, secret)) {
		b.t.Error("the secret is still in the page")
	}
}
