package browsertests

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// chat is the quickstart's page.
type chat struct{ *tab }

// TestQuickstart runs what `make demo` runs, and does what its page invites to.
// Beside what each scenario checks, an exception, a logged error or something
// that the page's policy had to stop fails it.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	base := runQuickstart(t)
	for _, scenario := range []struct {
		name string
		test func(*testing.T, string)
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
		t.Run(scenario.name, func(t *testing.T) { scenario.test(t, base) })
	}
}

func pageAnonymous(t *testing.T, base string) {
	p := openChat(t, base)
	p.shows("#badge", "Anonymous")
	p.shows("#identified-line", "The gateway knows of nobody.")
	p.say("Hello there", "I do not know who you are")
	p.has("#sent", "Hello there", "!user_id", "!user_hash")
	p.has("#received", "X-Identity-Outcome: anonymous", "X-Identity-Reason: missing", "!X-Verified-User", "Hello there")
}

func pageMerges(t *testing.T, base string) {
	p := openChat(t, base)
	p.say("Where is my order?", "I do not know who you are")
	p.signIn("ada", "The gateway says: this is usr_ada.")
	p.shows("#log .pending", "Written before you signed in")
	p.say("It is me, Ada", "Hello Ada! Your website vouches for you")
	p.has("#log", "Merged: 1 message of visitor")
	p.shows("#badge", "Verified")
	p.has("#log .row.visitor", "Where is my order?", "merged")
	p.has("#received", "X-Verified-User: usr_ada", "X-Identity-Outcome: verified", "X-Identity-Merge-From: ", `"company": "Analytical Engines"`)
	screenshot(t, p.ctx, "quickstart-light")

	p.say("And once more", "Hello Ada!")
	p.has("#received", "X-Verified-User: usr_ada", "!X-Identity-Merge-From")
}

func pageForged(t *testing.T, base string) {
	p := openChat(t, base)
	p.do(colors(true))
	p.signIn("ada", "this is usr_ada")

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
	screenshot(t, p.ctx, "quickstart-dark")

	p.click("#honest")
	p.shows("#identified-line", "this is usr_ada")
	p.say("It was me all along", "Hello Ada!")

	t.Run("half a claim", func(t *testing.T) {
		p.do(chromedp.SetValue(chromedp.CSS("#forged-hash"), "none"))
		p.click("#forge button[type=submit]")
		p.shows("#claim", "no signature")
		p.shows("#badge", "Refused · 401")
		p.mode("optional")
		p.say("No signature at all", "You named a user without a signature")
		p.has("#received", "X-Identity-Reason: partial", "!X-Verified-User", "!user_id")
	})
}

func pageRequired(t *testing.T, base string) {
	p := openChat(t, base)
	p.mode("required")
	p.shows("#badge", "Refused · 401")
	p.say("Anybody there?", "Not delivered: 401 identity_unverified")
	p.has("#received-line", "Refused at the gateway")
	p.has("#received", `"reason": "missing"`)
	p.signIn("grace", "this is 1906")
	p.say("And now?", "Hello Grace!")
	p.has("#received", "X-Verified-User: 1906")

	p.mode("off")
	p.shows("#identified-line", "does not check")
	p.shows("#badge", "Not checked")
}

func pageClaimed(t *testing.T, base string) {
	p := openChat(t, base)
	p.signIn("ada", "this is usr_ada")
	p.say("A secret of mine", "Hello Ada!")
	p.click("#as-user")
	p.shows("#intrude-verdict", "403 identity_conversation_claimed")
	p.shows("#sent-title", "What another browser sent")
	p.has("#received", `"reason": "conversation_claimed"`)
	p.click("#as-stranger")
	p.wait(`!document.querySelector('#sent').textContent.includes('user_hash')`)
	p.shows("#intrude-verdict", "403 identity_conversation_claimed")
	p.has("#log", "!Let me in!")
}

func pageCalls(t *testing.T, base string) {
	p := openChat(t, base)
	p.signIn("ada", "this is usr_ada")
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
	p.has("#received", "X-Verified-User: usr_ada", "X-Verified-Widget: calls")
	p.click("#call-again")
	p.shows("#call-verdict", "403 identity_replayed")
	p.click("#call-old")
	p.shows("#call-verdict", "401 identity_expired")
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
	p.click("#call-again")
	p.shows("#call-verdict", "403 identity_replayed")
	p.click("#call-live")
	p.shows("#call-verdict", "200 accepted")
	p.shows("#call-line", "On the line: usr_ada")
	p.has("#received", "X-Verified-User: usr_ada", "X-Verified-Widget: calls", "!hmacSignature", "!X-Chat-Session")
}

func pageSignsOut(t *testing.T, base string) {
	p := openChat(t, base)
	p.signIn("ada", "this is usr_ada")
	p.say("Only for my eyes", "Hello Ada!")
	before := p.place()

	p.signIn("", "The gateway knows of nobody.")
	p.shows("#log", "Say hello")
	p.has("#log", "!Only for my eyes")
	after := p.place()
	if after.Visitor == before.Visitor || after.Conversation == before.Conversation {
		t.Errorf("whoever comes next is still %+v", after)
	}
	p.say("Somebody else", "I do not know who you are")
	p.has("#sent", after.Visitor, after.Conversation, "!"+before.Visitor, "!user_id")

	// Her conversation is kept for her, and the other's is not hers.
	p.signIn("grace", "this is 1906")
	p.signIn("ada", "this is usr_ada")
	p.shows("#log", "Only for my eyes")
	p.has("#log", "!Somebody else")
}

func pageChangesAccount(t *testing.T, base string) {
	p := openChat(t, base)
	p.signIn("ada", "this is usr_ada")
	p.say("Ada was here", "Hello Ada!")
	before := p.place()
	p.signIn("grace", "this is 1906")
	p.wait(`!document.querySelector('#log').textContent.includes('Ada was here')`)
	p.say("Grace was here", "Hello Grace!")
	p.has("#received", "X-Verified-User: 1906", "!"+before.Visitor)
}

func pageReloads(t *testing.T, base string) {
	p := openChat(t, base)
	p.say("Remember me", "I do not know who you are")
	before := p.place()
	p.open(base)
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

func (p *chat) place() (kept place) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(look[string](p.tab, `localStorage.getItem('chat-identity-demo')`)), &kept); err != nil || kept.Visitor == "" {
		p.t.Fatalf("the widget kept %+v (%v)", kept, err)
	}
	return kept
}

func pageMarkup(t *testing.T, base string) {
	const image = `<img src=x onerror=window.executed=1>`
	const script = `</pre><script>window.executed=1</script>`
	p := openChat(t, base)
	check := func(t *testing.T, where ...string) {
		t.Helper()
		for _, selector := range where {
			p.has(selector, image)
		}
		if got := look[int](p.tab, `document.querySelectorAll('main :is(img, script, svg, b)').length`); got != 0 {
			t.Errorf("%d elements came of text", got)
		}
		if look[bool](p.tab, `'executed' in window`) {
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
		claim := js(map[string]any{
			"user_id": image, "user_hash": sign(testSecret, image),
			"user_metadata": map[string]any{"name": image + script, "email": `"><b>@example.com`, "plan": image, image: script},
		})
		p.script(fmt.Sprintf(`chat('reset'); chat('identify', %s)`, claim))
		p.shows("#identified-line", "this is "+image)
		p.say("hello", "Your website vouches for you")
		check(t, "#log", "#received", "#identified-line")
	})
	t.Run("after a reload", func(t *testing.T) {
		// The conversation is the one of the user with that name: the widget asks
		// for it again, and gets what was said in it.
		p.open(base)
		check(t)
	})
}

func pagePhone(t *testing.T, base string) {
	p := openChat(t, base)
	p.do(size(360, 740))
	p.open(base)
	fits := func(when string) {
		t.Helper()
		if width := look[int](p.tab, `document.documentElement.scrollWidth`); width != 360 {
			t.Errorf("%s: the page is %d pixels wide", when, width)
		}
	}
	fits("at first")
	p.say("Where is my order? "+strings.Repeat("0123456789", 12), "I do not know who you are")
	p.signIn("ada", "this is usr_ada")
	p.say("It is me, Ada", "Merged: 1 message")
	fits("after a conversation")
	screenshot(t, p.ctx, "quickstart-phone")

	for _, id := range []string{"forge", "intrude", "call"} {
		p.click("#" + id + " summary")
		p.wait(fmt.Sprintf("document.getElementById(%s).open", js(id)))
	}
	p.click("#call-once")
	p.shows("#call-verdict", "200 accepted")
	p.click("#forge button[type=submit]")
	p.shows("#claim", "claims to be 1906")
	fits("with everything open")
}

// pageKeys uses the page without a mouse: signs in, chooses a mode, writes, forges.
// The focus must be visible.
func pageKeys(t *testing.T, base string) {
	p := openChat(t, base)
	tabTo := func(selector string) {
		t.Helper()
		for range 30 {
			p.keys(kb.Tab)
			if look[string](p.tab, `getComputedStyle(document.activeElement.matches('.segments input') ? document.activeElement.nextElementSibling : document.activeElement).outlineStyle`) == "none" {
				t.Errorf("the focus is not visible on %s", look[string](p.tab, `document.activeElement.outerHTML`))
			}
			if look[bool](p.tab, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
				return
			}
		}
		t.Fatalf("the tab key never reaches %s", selector)
	}
	tabTo("input[name=person]")
	p.keys(kb.ArrowRight)
	p.shows("#identified-line", "this is usr_ada")
	tabTo("input[name=mode]")
	p.keys(kb.ArrowRight)
	p.shows("#identified-path", "POST /required/")
	tabTo("#forge summary")
	tabTo("#forged-id")
	tabTo("#call-once")
	p.keys(kb.Enter)
	p.shows("#call-verdict", "200 accepted")
	tabTo("#text")
	p.keys("By keys alone" + kb.Enter)
	p.answered("By keys alone", "Hello Ada!")
	tabTo("#received")
}

// runQuickstart runs the demo until the test ends, and returns its address.
func runQuickstart(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "quickstart")
	testbed.Build(t, program, "./examples/quickstart")
	demo := testbed.StartDemo(t, program, testbed.Gateway(t), "CHAT_IDENTITY_SECRET="+testSecret)
	demo.Prints(t, demo.URL+" ")
	return demo.URL
}

func openChat(t *testing.T, base string) *chat {
	t.Helper()
	p := &chat{newTab(t)}
	p.open(base)
	return p
}

func (p *chat) open(base string) {
	p.t.Helper()
	p.do(chromedp.Navigate(base + "/"))
	p.shows("#identified-path", "POST /") // the gateway has said who this is
	p.wait(`document.querySelector('#log').childElementCount`)
}

// signIn chooses who is signed in on the website: ada, grace or nobody, "". It waits
// until the gateway says who that is.
func (p *chat) signIn(person, says string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`input[name=person][value=%q]`, person))
	p.shows("#identified-line", says)
}

func (p *chat) mode(name string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`input[name=mode][value=%q]`, name))
	p.shows("#identified-path", "POST /"+name+"/")
}

// say types a message, sends it, and waits until what comes after it in the
// conversation says that.
func (p *chat) say(text, then string) {
	p.t.Helper()
	p.do(chromedp.Focus(chromedp.CSS("#text")), chromedp.KeyEvent(text+kb.Enter))
	p.answered(text, then)
}

func (p *chat) answered(text, then string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`(() => {
		const rows = [...document.querySelector('#log').children]
		const mine = rows.findLastIndex((row) => row.matches('.visitor'))
		return mine >= 0 && rows[mine].textContent.includes(%s)
			&& rows.slice(mine + 1).some((row) => row.textContent.includes(%s))
	})()`, js(text), js(then)))
}
