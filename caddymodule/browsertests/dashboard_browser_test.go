package browsertests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestDashboardWidgetLife creates, uses and deletes a widget, by mouse.
func TestDashboardWidgetLife(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.open("/")
	b.says("No widgets yet")
	b.show("empty")

	b.press("Create the first widget")
	b.write("shop")
	b.choose("Optional")
	b.show("create")
	b.press("Create")
	b.wait("document.querySelector('dialog .secret')")
	b.show("secret")
	first := b.secret()
	b.wait("location.hash === '#/widgets/shop'")
	if got := b.outcome(t, "shop", first); got != "verified" {
		t.Fatalf("signed with the secret that was shown: %s", got)
	}

	// The list counts it, and leads back.
	b.click("//a[normalize-space()='All widgets']")
	b.wait(`document.querySelector('tr[data-id="shop"]')?.innerText.includes('of 1')`)
	b.wait(`document.querySelector('tr[data-id="shop"]').innerText.includes('100\u00a0%')`)
	b.click("//a[normalize-space()='shop']")

	// A rotation with a grace: both verify.
	b.press("Rotate…")
	b.choose("1 hour")
	b.press("Generate a new secret")
	second := b.secret()
	b.says("Previous")
	for _, secret := range []string{first, second} {
		if got := b.outcome(t, "shop", secret); got != "verified" {
			t.Errorf("in grace: %s", got)
		}
	}
	// One without: neither does.
	b.press("Rotate…")
	b.choose("End it now")
	b.press("Generate a new secret")
	third := b.secret()
	for _, secret := range []string{first, second} {
		if got := b.outcome(t, "shop", secret); got != "invalid invalid" {
			t.Errorf("rotated: %s", got)
		}
	}
	if got := b.outcome(t, "shop", third); got != "verified" {
		t.Errorf("the newest: %s", got)
	}
	// A duration that is typed in.
	b.press("Rotate…")
	b.choose("Another duration")
	b.write("soon")
	if !look[bool](b.tab, "document.querySelector('dialog button[type=submit]').disabled") {
		t.Error("a grace of 'soon' can be sent")
	}
	b.press("Cancel")

	b.readiness(third)
	b.policy(third)

	b.press("Delete this widget…")
	b.write("sho")
	if !look[bool](b.tab, "document.querySelector('dialog button[type=submit]').disabled") {
		t.Error("the widget can be deleted before its id is typed")
	}
	b.do(chromedp.KeyEvent("p"))
	b.show("delete")
	b.press("Delete the widget")
	b.says("No widgets yet")
	if c := b.call(t, "GET", "widgets/shop", ""); c.status != 404 {
		t.Errorf("deleted, and still there: %d %s", c.status, c.body)
	}
}

// readiness has the page say what required mode would refuse, and switches to it.
func (b *board) readiness(secret string) {
	t := b.t
	t.Helper()
	b.says("Not yet.") // the rotated ones were refused
	response, _ := b.post(t, "shop", fmt.Sprintf(`{"user_id":"user-1","user_hash":"%s","user_metadata":{"email":"ada@example.com"}}`,
		sign(secret, "ada@example.com")))
	id := response.Header.Get("X-Request-Id")
	if len(id) != 36 {
		t.Fatalf("the request's id: %v", response.Header)
	}
	b.says(id)
	b.says("Likely mistake")
	b.wait("/e-mail/.test(document.querySelector('.hints').innerText)")
	b.show("widget")
	b.press("Switch to required anyway")
	b.says("Required mode would have refused")
	b.show("require")
	b.press("Switch to required")
	b.wait("document.querySelector('.title .mode').textContent === 'required'")
	if response, _ := b.post(t, "shop", `{"text":"hi"}`); response.StatusCode != 401 {
		t.Errorf("in required mode, unsigned: %s", response.Status)
	}
}

// policy changes mode and dialect in their form.
func (b *board) policy(secret string) {
	t := b.t
	t.Helper()
	b.click("//form//label[.//b[normalize-space()='Optional']]")
	b.do(chromedp.SetValue("form select", "nextcap"))
	b.script("document.querySelector('form select').dispatchEvent(new Event('input', {bubbles: true}))")
	b.press("Save")
	b.wait("document.querySelector('.title').innerText.includes('nextcap')")
	b.wait("document.querySelector('#snippet').textContent.includes('userHash')")
	if _, found := b.post(t, "shop", fmt.Sprintf(`{"userId":"user-1","userHash":"%s"}`, sign(secret, "user-1"))); found != "verified  user-1" {
		t.Errorf("in the dialect that was set: %s", found)
	}
}

// TestDashboardSnippets looks through the tabs, by mouse and by keyboard.
func TestDashboardSnippets(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.create(t, `{"id":"shop","dialect":"snapengage"}`)
	b.create(t, `{"id":"plain"}`)
	b.open("/widgets/shop")
	b.wait("document.querySelector('#snippet').textContent.includes('createHmac')")
	for _, tab := range []struct{ name, has string }{
		{"Python", "def chat_identity(user_id):"}, {"PHP", "hash_hmac('sha256'"}, {"Ruby", "OpenSSL::HMAC.hexdigest"}, {"Go", "hmac.New(sha256.New"},
	} {
		b.click("//button[@role='tab' and normalize-space()='" + tab.name + "']")
		b.wait(fmt.Sprintf("document.querySelector('#snippet').textContent.includes(%q)", tab.has))
		b.wait("document.querySelector('#snippet').textContent.includes('hmacSignature')")
		b.wait(fmt.Sprintf("document.querySelector('[role=tab][aria-selected=true]').textContent === %q", tab.name))
	}
	b.do(chromedp.KeyEvent(kb.ArrowRight))
	b.wait("document.activeElement.textContent === 'Node.js' && document.activeElement.ariaSelected === 'true'")
	b.do(chromedp.KeyEvent(kb.End))
	b.wait("document.activeElement.textContent === 'Go'")

	// A widget without a dialect of its own: the reader chooses.
	b.open("/widgets/plain")
	b.wait("document.querySelector('#snippet').textContent.includes('user_hash')")
	b.do(chromedp.SetValue(".signing select", "replybubble"))
	b.script("document.querySelector('.signing select').dispatchEvent(new Event('change', {bubbles: true}))")
	b.wait("document.querySelector('#snippet').textContent.includes('signature')")
	b.wait("!document.querySelector('#snippet').textContent.includes('user_hash')")
}

// TestDashboardByKeyboard creates a widget without a mouse. The focus is always visible.
func TestDashboardByKeyboard(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.create(t, `{"id":"another"}`)
	b.open("/")
	b.wait(`document.querySelector('tr[data-id="another"]')`)
	tab := func(until string) {
		t.Helper()
		for range 40 {
			b.do(chromedp.KeyEvent(kb.Tab))
			if seen := look[string](b.tab, `(() => {
				const e = document.activeElement
				const style = getComputedStyle(e.classList.contains('id') ? e.closest('tr') : e)
				return e === document.body || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 ? '' : e.outerHTML
			})()`); seen != "" {
				t.Errorf("the focus is not visible on %s", seen)
			}
			if look[bool](b.tab, until) {
				return
			}
		}
		t.Fatalf("no key leads to %s", until)
	}
	tab("document.activeElement.classList.contains('skip')")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait("document.activeElement.id === 'main'")
	tab("document.activeElement.id === 'create'")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait("document.activeElement.matches('dialog input[type=text]')")
	b.do(chromedp.KeyEvent("by-keys"))
	tab("document.activeElement.matches('dialog input[type=radio]')")
	b.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	tab("document.activeElement.matches('dialog select')")
	tab("document.activeElement.textContent === 'Create'")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait("document.activeElement.textContent === 'Copy the secret'")
	// A stray key does not lose it.
	b.do(chromedp.KeyEvent(kb.Escape))
	b.says("You have not copied it.")
	secret := look[string](b.tab, "document.querySelector('dialog .secret').textContent")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.wait("/^(Copied|Select it)/.test(document.activeElement.textContent)")
	tab("document.activeElement.textContent === 'Done'")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.gone(secret)
	b.wait("document.activeElement.matches('h1') && document.activeElement.textContent === 'by-keys'")
	if c := b.call(t, "GET", "widgets/by-keys", ""); c.Mode != "required" {
		t.Errorf("created as %s", c.body)
	}
	if got := b.outcome(t, "by-keys", secret); got != "verified" {
		t.Errorf("signed with its secret: %s", got)
	}
}

// TestDashboardKeepsFocus: the list refreshes itself without closing a dialog or moving
// the focus.
func TestDashboardKeepsFocus(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.between = ""
	secret := b.create(t, `{"id":"b-busy"}`)
	b.create(t, `{"id":"a-idle"}`)
	b.open("/")
	b.wait(`document.querySelector('tr[data-id="b-busy"]')`)
	b.do(chromedp.Focus(`tr[data-id="a-idle"] a`))
	look[bool](b.tab, "window.kept = document.activeElement, true")
	b.outcome(t, "b-busy", secret)
	b.wait(`document.querySelector('tr[data-id="b-busy"]').innerText.includes('of 1')`)
	if !look[bool](b.tab, "document.activeElement === window.kept && document.querySelector('tbody tr').dataset.id === 'a-idle'") {
		t.Error("the focus is lost, or the rows moved under it")
	}
	b.press("New widget")
	b.write("half-typed")
	b.outcome(t, "b-busy", secret)
	b.wait(`document.querySelector('tr[data-id="b-busy"]').innerText.includes('of 2')`)
	if !look[bool](b.tab, "document.activeElement.value === 'half-typed'") {
		t.Error("the open dialog has lost what was typed")
	}
	b.press("Cancel")
	// Once nobody holds it, the busy one is first.
	b.script("document.activeElement.blur()")
	b.do(chromedp.MouseEvent("mouseMoved", 5, 5))
	b.wait("document.querySelector('tbody tr').dataset.id === 'b-busy'")
}

// TestDashboardFinds searches and turns pages.
func TestDashboardFinds(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "widget declared {\nsecret {env.TEST_SECRET}\n}", liveSite)
	for i := range 120 {
		b.create(t, fmt.Sprintf(`{"id":"w-%03d"}`, i))
	}
	b.open("/")
	b.wait("document.querySelectorAll('tbody tr').length === 50")
	b.press("All by id")
	b.wait("document.querySelector('tbody tr').dataset.id === 'declared'")
	b.press("Next")
	b.wait(`document.querySelector('tbody tr').dataset.id === 'w-049'`)
	b.press("Next")
	b.wait(`document.querySelectorAll('tbody tr').length === 21`)
	b.press("Previous")
	b.wait(`document.querySelector('tbody tr').dataset.id === 'w-049'`)
	b.do(chromedp.SendKeys("#search", "w-11"))
	b.wait(`document.querySelectorAll('tbody tr').length === 10 && document.querySelector('tbody tr').dataset.id === 'w-110'`)
	b.do(chromedp.SendKeys("#search", "<b>"))
	b.says("No widget’s id begins with “w-11<b>”.")
	// A declared widget is shown, and cannot be changed.
	b.open("/widgets/declared")
	b.says("defined in the configuration")
	b.says("chatIdentity")
	if text := b.text(); strings.Contains(text, "Rotate") || strings.Contains(text, "Delete") {
		t.Errorf("a declared widget can be changed:\n%s", text)
	}
	b.open("/widgets/nobody")
	b.says("nobody")
	b.wait("document.querySelector('[role=alert]')")
}
