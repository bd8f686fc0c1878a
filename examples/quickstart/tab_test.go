package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/browsertest"
)

// patience is how long the page may take for what it is expected to do.
const patience = time.Minute

// tab is the demo's page in a browser of its own, and somebody in front of it.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// tab opens the page.
func (s *stand) tab(t *testing.T) *tab {
	t.Helper()
	p := &tab{t, browsertest.New(t)}
	p.open(s)
	return p
}

func (p *tab) open(s *stand) {
	p.t.Helper()
	p.do(chromedp.Navigate(s.base + "/"))
	p.shows("#identified-path", "POST /") // the gateway has said who this is
	p.waits(`() => document.querySelector('#log').childElementCount`, "no history arrives")
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) click(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeEnabled)); err != nil {
		p.t.Fatalf("clicking %s: %v", selector, err)
	}
}

// signIn chooses who is signed in on the website: ada, grace or nobody, "".
func (p *tab) signIn(person string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`input[name=person][value=%q]`, person))
}

func (p *tab) mode(name string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`input[name=mode][value=%q]`, name))
	p.shows("#identified-path", "POST /"+name+"/")
}

// say types a message, sends it, and waits until what comes after it in the
// conversation says that.
func (p *tab) say(text, then string) {
	p.t.Helper()
	p.do(chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent(text+kb.Enter))
	p.answered(text, then)
}

func (p *tab) answered(text, then string) {
	p.t.Helper()
	p.waits(`(text, then) => {
		const rows = [...document.querySelector('#log').children];
		const mine = rows.findLastIndex((row) => row.matches('.visitor'));
		return mine >= 0 && rows[mine].textContent.includes(text)
			&& rows.slice(mine + 1).some((row) => row.textContent.includes(then));
	}`, fmt.Sprintf("nothing after %q says %q", text, then), text, then)
}

// shows waits until the first element that the selector finds has that text.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.waits(`(selector, text) => document.querySelector(selector)?.textContent.includes(text)`,
		fmt.Sprintf("%s does not show %q", selector, text), selector, text)
}

// waits waits until the JavaScript function returns something true.
func (p *tab) waits(function, or string, args ...any) {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.PollFunction[chromedp.Void](function,
		chromedp.WithPollingArgs(args...), chromedp.WithPollingTimeout(patience)))
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", or, err, p.text("body"))
	}
}

// text returns what an element says, hidden or not.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return p.get(fmt.Sprintf(`document.querySelector(%q).textContent`, selector))
}

// get returns the value of an expression, as text.
func (p *tab) get(expression string) string {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// has checks that a listing has all of these, lacks what is written with a
// leading "!".
func (p *tab) has(selector string, wants ...string) {
	p.t.Helper()
	text := p.text(selector)
	for _, want := range wants {
		if unwanted, not := strings.CutPrefix(want, "!"); strings.Contains(text, unwanted) == not {
			p.t.Errorf("%s: want %q, it says\n%s", selector, want, text)
		}
	}
}
