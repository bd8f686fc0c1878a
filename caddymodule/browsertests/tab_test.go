package browsertests

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// tab is a page in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
	// between is done once a second while something is waited for.
	between string
}

func newTab(t *testing.T) *tab { return &tab{t: t, ctx: newBrowser(t)} }

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatalf("%v; the page says:\n%s", err, p.text())
	}
}

// script runs JavaScript.
func (p *tab) script(text string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](text))
}

// look returns the value of a JavaScript expression.
func look[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// text is what the page shows.
func (p *tab) text() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// wait waits until an expression is true in the page.
func (p *tab) wait(expression string) {
	p.t.Helper()
	deadline, next := time.Now().Add(testbed.Patience), time.Now().Add(time.Second)
	for {
		if p.between != "" && time.Now().After(next) {
			next = time.Now().Add(time.Second)
			_ = chromedp.Do(p.ctx, chromedp.Evaluate[chromedp.Void](p.between))
		}
		value, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if value && err == nil {
			return
		}
		if time.Now().After(deadline) || p.ctx.Err() != nil {
			p.t.Fatalf("waited for %s (%v); the page says:\n%s", expression, err, p.text())
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// says waits until the page shows a text.
func (p *tab) says(text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.body.innerText.includes(%s)", js(text)))
}

// shows waits until the first element that a selector finds holds a text, shown
// or not.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("document.querySelector(%s)?.textContent.includes(%s)", js(selector), js(text)))
}

// has checks that an element holds all of these texts, and none of those with a
// leading "!".
func (p *tab) has(selector string, wants ...string) {
	p.t.Helper()
	text := look[string](p, fmt.Sprintf("document.querySelector(%s).textContent", js(selector)))
	for _, want := range wants {
		if unwanted, not := strings.CutPrefix(want, "!"); strings.Contains(text, unwanted) == not {
			p.t.Errorf("%s: want %q, it says\n%s", selector, want, text)
		}
	}
}

// click clicks on what an XPath or a CSS selector finds, as a mouse does.
func (p *tab) click(selector string) {
	p.t.Helper()
	if strings.HasPrefix(selector, "//") {
		p.wait(fmt.Sprintf("document.evaluate(%s, document, null, XPathResult.BOOLEAN_TYPE).booleanValue", js(selector)))
		p.do(chromedp.Click(selector))
		return
	}
	p.wait(fmt.Sprintf("document.querySelector(%[1]s) && !document.querySelector(%[1]s).disabled", js(selector)))
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// keys types text, or presses keys.
func (p *tab) keys(text ...string) {
	p.t.Helper()
	for _, key := range text {
		p.do(chromedp.KeyEvent(key))
	}
}
