package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/browsertest"
)

// testPage does in Chromium what the page invites to. Beside what each scenario
// checks, an exception, a logged error or something that the page's policy had to
// stop fails it.
func testPage(t *testing.T, s *stand) {
	for _, scenario := range []struct {
		name string
		test func(*testing.T, *stand)
	}{
		{"anonymous", pageAnonymous},
		{"signing in merges", pageMerges},
		{"forged", pageForged},
		{"required", pageRequired},
		{"a conversation is claimed", pageClaimed},
		{"calls are opened once", pageCalls},
		{"signing out", pageSignsOut},
		{"one account after the other", pageChangesAccount},
		{"a reload", pageReloads},
		{"markup", pageMarkup},
		{"a phone", pagePhone},
		{"keys alone", pageKeys},
	} {
		t.Run(scenario.name, func(t *testing.T) { scenario.test(t, s) })
	}
}

func pageAnonymous(t *testing.T, s *stand) {
	p := s.tab(t)
	p.shows("#badge", "Anonymous")
	p.shows("#identified-line", "The gateway knows of nobody.")
	p.say("Hello there", "I do not know who you are")
	p.has("#sent", "Hello there", "!user_id", "!user_hash")
	p.has("#received", "X-Identity-Outcome: anonymous", "X-Identity-Reason: missing", "!X-Verified-User", "Hello there")
}

func pageMerges(t *testing.T, s *stand) {
	p := s.tab(t)
	p.say("Where is my order?", "I do not know who you are")
	p.signIn("ada")
	p.shows("#identified-line", "The gateway says: this is usr_ada.")
	p.shows("#log .pending", "Written before you signed in")
	p.say("It is me, Ada", "Hello Ada! Your website vouches for you")
	p.has("#log", "Merged: 1 message of visitor")
	p.shows("#badge", "Verified")
	p.has("#log .row.visitor", "Where is my order?", "merged")
	p.has("#received", "X-Verified-User: usr_ada", "X-Identity-Outcome: verified", "X-Identity-Merge-From: ", `"company": "Analytical Engines"`)
	browsertest.Screenshot(t, p.ctx, "quickstart-light")

	p.say("And once more", "Hello Ada!")
	p.has("#received", "X-Verified-User: usr_ada", "!X-Identity-Merge-From")
}

func pageForged(t *testing.T, s *stand) {
	p := s.tab(t)
	p.do(browsertest.Colours(true))
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")

	// Grace's id, with the signature that Ada was given.
	p.click("#forge button[type=submit]")
	p.shows("#claim", "claims to be 1906")
	p.shows("#identified-line", "Not verified")
	p.say("I am Grace, believe me", "Your claim did not verify")
	p.shows("#badge", "Invalid signature")
	p.has("#sent", `"user_id": "1906"`, "user_hash")
	p.has("#received", "X-Identity-Outcome: invalid", "!X-Verified-User", "!user_id", "!user_hash", "believe me")

	p.mode("required")
	p.shows("#badge", "Refused · 401")
	p.shows("#identified-line", "The gateway refused to say who this is.")
	p.say("Let me in", "Not delivered: 401 identity_unverified")
	p.shows("#received-title", "What the gateway answered")
	p.has("#received", "HTTP 401", "application/problem+json", `"reason": "invalid"`)
	browsertest.Screenshot(t, p.ctx, "quickstart-dark")

	p.click("#honest")
	p.shows("#identified-line", "this is usr_ada")
	p.say("It was me all along", "Hello Ada!")

	t.Run("half a claim", func(t *testing.T) {
		p.do(chromedp.SetValue(chromedp.CSS("#forged-hash"), "none"))
		p.click("#forge button[type=submit]")
		p.shows("#claim", "no signature")
		p.shows("#badge", "Refused · 401")
		p.mode("optional")
		p.say("No signature at all", "nobody signed for that")
		p.has("#received", "X-Identity-Reason: partial", "!X-Verified-User", "!user_id")
	})
}

func pageRequired(t *testing.T, s *stand) {
	p := s.tab(t)
	p.mode("required")
	p.shows("#badge", "Refused · 401")
	p.say("Anybody there?", "Not delivered: 401 identity_unverified")
	p.has("#received-line", "Refused at the gateway")
	p.has("#received", `"reason": "missing"`)
	p.signIn("grace")
	p.shows("#identified-line", "this is 1906")
	p.say("And now?", "Hello Grace!")
	p.has("#received", "X-Verified-User: 1906")

	p.mode("off")
	p.shows("#identified-line", "does not check")
	p.shows("#badge", "Not checked")
}

func pageClaimed(t *testing.T, s *stand) {
	p := s.tab(t)
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")
	p.say("A secret of mine", "Hello Ada!")
	p.click("#as-user")
	p.shows("#intrude-verdict", "403 identity_conversation_claimed")
	p.shows("#sent-title", "What another browser sent")
	p.has("#received", `"reason": "conversation_claimed"`)
	p.click("#as-stranger")
	p.waits(`() => !document.querySelector('#sent').textContent.includes('user_hash')`, "the stranger brings a claim")
	p.shows("#intrude-verdict", "403 identity_conversation_claimed")
	p.has("#log", "!Let me in!")
}

func pageCalls(t *testing.T, s *stand) {
	p := s.tab(t)
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
	p.has("#received", "X-Verified-User: usr_ada", "X-Verified-Widget: calls")
	p.click("#call-again")
	p.shows("#call-verdict", "403 identity_replayed")
	p.click("#call-old")
	p.shows("#call-verdict", "401 identity_expired")
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
}

func pageSignsOut(t *testing.T, s *stand) {
	p := s.tab(t)
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")
	p.say("Only for my eyes", "Hello Ada!")
	before := p.place()

	p.signIn("")
	p.shows("#identified-line", "The gateway knows of nobody.")
	p.shows("#log", "Say hello")
	p.has("#log", "!Only for my eyes")
	after := p.place()
	if after.Visitor == before.Visitor || after.Conversation == before.Conversation {
		t.Errorf("whoever comes next is still %+v", after)
	}
	p.say("Somebody else", "I do not know who you are")
	p.has("#sent", after.Visitor, after.Conversation, "!"+before.Visitor, "!user_id")

	// What was hers waits for her, and what was the other's is not hers.
	p.click("input[name=person][value='grace']")
	p.shows("#identified-line", "this is 1906")
	p.signIn("ada")
	p.shows("#log", "Only for my eyes")
	p.has("#log", "!Somebody else")
}

func pageChangesAccount(t *testing.T, s *stand) {
	p := s.tab(t)
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")
	p.say("Ada was here", "Hello Ada!")
	before := p.place()
	p.signIn("grace")
	p.shows("#identified-line", "this is 1906")
	p.waits(`(text) => !document.querySelector('#log').textContent.includes(text)`, "Grace reads what Ada wrote", "Ada was here")
	p.say("Grace was here", "Hello Grace!")
	p.has("#received", "X-Verified-User: 1906", "!"+before.Visitor)
}

func pageReloads(t *testing.T, s *stand) {
	p := s.tab(t)
	p.say("Remember me", "I do not know who you are")
	before := p.place()
	p.open(s)
	p.shows("#log .visitor", "Remember me")
	if after := p.place(); after != before {
		t.Errorf("%+v before, %+v after", before, after)
	}
}

// place is what the widget keeps in the browser.
type place struct {
	Visitor, Conversation string
	Identified            bool
}

func (p *tab) place() (kept place) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.get(`localStorage.getItem('chat-identity-demo')`)), &kept); err != nil || kept.Visitor == "" {
		p.t.Fatalf("the widget kept %+v (%v)", kept, err)
	}
	return kept
}

func pageMarkup(t *testing.T, s *stand) {
	const image = `<img src=x onerror=window.executed=1>`
	const script = `</pre><script>window.executed=1</script>`
	p := s.tab(t)
	check := func(t *testing.T, where ...string) {
		t.Helper()
		for _, selector := range where {
			p.has(selector, image)
		}
		if got := p.get(`document.querySelectorAll('main :is(img, script, svg, b)').length`); got != "0" {
			t.Errorf("%s elements were made of text", got)
		}
		if got := p.get(`window.executed`); got != "undefined" {
			t.Error("a script was executed")
		}
	}
	t.Run("an anonymous message", func(t *testing.T) {
		p.say(image+script, "I do not know who you are")
		check(t, "#log", "#sent", "#received")
	})
	t.Run("a forged id", func(t *testing.T) {
		p.do(chromedp.SetValue(chromedp.CSS("#forged-id"), image))
		p.click("#forge button[type=submit]")
		p.shows("#claim", image)
		p.say(script+image, "did not verify")
		check(t, "#claim", "#sent")
	})
	t.Run("a verified user of that name", func(t *testing.T) {
		claim, err := json.Marshal(map[string]any{
			"user_id": image, "user_hash": sign(image),
			"user_metadata": map[string]any{"name": image + script, "email": `"><b>@example.com`, "plan": image, image: script},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`chat('reset'); chat('identify', %s)`, claim)))
		p.shows("#identified-line", "this is "+image)
		p.say("hello", "Your website vouches for you")
		check(t, "#log", "#received", "#identified-line")
	})
	t.Run("after a reload", func(t *testing.T) {
		// The conversation is the one of the user with that name: the widget asks
		// for it again, and gets what was said in it.
		p.open(s)
		check(t)
	})
}

func pagePhone(t *testing.T, s *stand) {
	p := s.tab(t)
	p.do(browsertest.Size(360, 740))
	p.open(s)
	fits := func(when string) {
		t.Helper()
		if width := p.get(`document.documentElement.scrollWidth`); width != "360" {
			t.Errorf("%s: the page is %s pixels wide", when, width)
		}
	}
	fits("at first")
	p.say("Where is my order? "+strings.Repeat("0123456789", 12), "I do not know who you are")
	p.signIn("ada")
	p.shows("#identified-line", "this is usr_ada")
	p.say("It is me, Ada", "Merged: 1 message")
	fits("after a conversation")
	browsertest.Screenshot(t, p.ctx, "quickstart-phone")

	for _, id := range []string{"forge", "intrude", "call"} {
		p.click("#" + id + " summary")
		p.waits(`(id) => document.getElementById(id).open`, id+" stays closed", id)
	}
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
	p.click("#forge button[type=submit]")
	p.shows("#claim", "claims to be 1906")
	fits("with everything open")
}

// pageKeys goes the main way without a mouse: signs in, chooses a mode, writes,
// forges. What has the focus must show it.
func pageKeys(t *testing.T, s *stand) {
	p := s.tab(t)
	tabTo := func(selector string) {
		t.Helper()
		for range 30 {
			p.do(chromedp.KeyEvent(kb.Tab))
			if p.get(`getComputedStyle(document.activeElement.matches('.segments input') ? document.activeElement.nextElementSibling : document.activeElement).outlineStyle`) == "none" {
				t.Errorf("the focus is not to be seen on %s", p.get(`document.activeElement.outerHTML`))
			}
			if p.get(fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) == "true" {
				return
			}
		}
		t.Fatalf("the tab key never comes to %s", selector)
	}
	tabTo("input[name=person]")
	p.do(chromedp.KeyEvent(kb.ArrowRight))
	p.shows("#identified-line", "this is usr_ada")
	tabTo("input[name=mode]")
	p.do(chromedp.KeyEvent(kb.ArrowRight))
	p.shows("#identified-path", "POST /required/")
	tabTo("#forge summary")
	tabTo("#forged-id")
	tabTo("#call-once")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.shows("#call-verdict", "200 accepted")
	tabTo("#text")
	p.do(chromedp.KeyEvent("By keys alone" + kb.Enter))
	p.answered("By keys alone", "Hello Ada!")
	tabTo("#received")
}
