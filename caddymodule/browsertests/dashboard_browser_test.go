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
	b.says("Previous")
	b.says("in the last hour")
	b.press("End the grace…")
	b.wait("document.querySelector('dialog')?.textContent.includes('On this gateway, the previous secret was last used')")
	b.show("end-grace")
	b.press("End the grace")
	b.wait("!document.querySelector('dialog') && !document.body.innerText.includes('Previous')")
	for secret, want := range map[string]string{first: "invalid invalid", second: "verified"} {
		if got := b.outcome(t, "shop", secret); got != want {
			t.Errorf("the grace has ended: %s, want %s", got, want)
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
	b.says("Deleted at ")
	b.show("deleted")
	if c := b.call(t, "GET", "widgets/shop", ""); c.status != 404 {
		t.Errorf("deleted, and still there: %d %s", c.status, c.body)
	}
	b.click("//a[normalize-space()='All widgets']")
	b.says("No widgets yet")
}

// readiness has the page say what required mode would refuse, and switches to it.
func (b *board) readiness(secret string) {
	t := b.t
	t.Helper()
	b.says("Not ready:") // the rotated ones were refused
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
	b.wait("document.querySelector('dialog')?.textContent.includes('required mode would have refused')")
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
	b.selects("form select", "nextcap")
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
	b := openBoard(t, "", strings.Replace(liveSite, "chat_identity", "chat_identity /chat/*", 1)+"\nchat_identity /v2/* {\nwidget {header.X-Widget-Key}\ndialect nextcap\n}")
	b.create(t, `{"id":"shop","dialect":"snapengage"}`)
	b.create(t, `{"id":"plain"}`)
	b.open("/widgets/shop")
	b.wait("document.querySelector('#snippet').textContent.includes('createHmac')")
	for _, tab := range []struct{ name, has string }{
		{"Python", "def hash_claim(dialect, **user):"}, {"PHP", "hash_hmac('sha256'"}, {"Ruby", "OpenSSL::HMAC.digest"}, {"Go", "hmac.New(sha256.New"},
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

	// The code is that of the handlers that serve the widget.
	b.open("/widgets/plain")
	b.wait("document.querySelector('#snippet').textContent.includes('user_hash')")
	b.says("'X-Widget-Key': 'plain'")
	b.press("Copy chat-identity.js")
	b.says(b.url + "/chat/")
	b.wait("document.querySelectorAll('.signing option').length > 1")
	b.selects(".signing select", "2")
	b.wait("document.querySelector('#snippet').textContent.includes('userHash')")
	b.says(b.url + "/v2/")
	b.show("code")

	// One that no handler serves yet: the reader chooses the dialect.
	b.create(t, `{"id":"elsewhere","dialect":"nextcap"}`)
	b.load(t, strings.Replace(b.config, "widget {header.X-Widget-Key}", "widget shop", 2))
	b.open("/widgets/elsewhere")
	b.says("No handler verifies")
	b.selects(".signing .field:not([hidden]) select", "replybubble")
	b.wait(`document.querySelector('#snippet').textContent.includes('"id": "{user_id}"')`)
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
	b.lists("1–50 of 121", "declared")
	b.click("//a[normalize-space()='Next']")
	b.lists("51–100 of 121", "w-049")
	b.click("//a[normalize-space()='Next']")
	b.lists("101–121 of 121", "w-099")
	b.click("//a[normalize-space()='Previous']")
	b.lists("51–100 of 121", "w-049")
	// A reload and a link that is passed on show the same, and Back goes back.
	b.do(chromedp.Reload())
	b.lists("51–100 of 121", "w-049")
	b.script("history.back()")
	b.lists("101–121 of 121", "w-099")
	b.do(chromedp.SendKeys("#search", "w-11"))
	b.lists("1–10 of 10", "w-110")
	b.do(chromedp.SendKeys("#search", "<b>"))
	b.says("No widget’s id begins with “w-11<b>”.")

	b.open("/?sort=id")
	b.lists("1–50 of 121", "declared")
	b.pick("filter", "grace")
	b.says("No widget matches.")
	b.call(t, "POST", "widgets/w-077/rotate", `{"grace":"1h"}`)
	b.lists("1 of 1", "w-077")
	b.pick("sort", "newest")
	b.pick("mode", "required")
	b.says("No widget matches.")
	b.call(t, "PATCH", "widgets/w-077", `{"mode":"required"}`)
	b.lists("1 of 1", "w-077")
	if hash := look[string](b.tab, "location.hash"); hash != "#/?sort=newest&filter=grace&mode=required" {
		t.Errorf("the list is at %s", hash)
	}
	b.script("history.go(-3)")
	b.lists("1–50 of 121", "declared")
	if look[string](b.tab, "document.querySelector('[name=filter]').value") != "" {
		t.Error("Back leaves the field as it was")
	}
	b.open("/?filter=grace")
	b.lists("1 of 1", "w-077")
	b.pick("filter", "failing")
	b.says("No widget matches.")
	b.outcome(t, "w-003", testSecret)
	b.lists("1 of 1", "w-003")
	b.click("//a[normalize-space()='w-003']")
	b.says("createHmac")
	b.script("history.back()")
	b.lists("1 of 1", "w-003")
	// A declared widget is shown, and cannot be changed.
	b.open("/widgets/declared")
	b.says("defined in the configuration")
	b.says("hashClaim")
	if text := b.text(); strings.Contains(text, "Rotate") || strings.Contains(text, "Delete") {
		t.Errorf("a declared widget can be changed:\n%s", text)
	}
	b.post(t, "w-0777", claim(testSecret, "user-1"))
	b.open("/")
	b.wait("document.querySelector('.strays')?.textContent.includes('w-0777 1 request')")
	b.open("/widgets/w-0777")
	b.says("There is no such widget")
	b.says("1 request named it")
	b.show("unknown")
	b.click("//a[normalize-space()='w-077']")
	b.says("createHmac")
	b.open("/widgets/no body")
	b.says("No widget can have this id")
	b.open("/widgets/nobody")
	b.press("Create it…")
	b.press("Create")
	b.secret()
	b.says("createHmac")
	b.call(t, "DELETE", "widgets/nobody", "")
	b.says("not on this page")
}

// lists waits until the list shows these positions, and that widget first.
func (b *board) lists(position, first string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.querySelector('.position')?.textContent === %q && document.querySelector('.widgets tbody tr')?.dataset.id === %q", position, first))
}

// pick chooses a value of one of the list's fields.
func (b *board) pick(name, value string) { b.selects("[name="+name+"]", value) }

// selects has a list's value changed at once, since polling may replace the list.
func (b *board) selects(selector, value string) {
	b.t.Helper()
	b.wait(fmt.Sprintf("document.querySelector(%q)", selector))
	b.script(fmt.Sprintf(`{
		const list = document.querySelector(%q)
		list.value = %q
		list.dispatchEvent(new Event('change', {bubbles: true}))
	}`, selector, value))
}

// TestDashboardTakesSecret creates a widget with a secret that its server has already,
// and says what is wrong with an id or a secret while it is typed.
func TestDashboardTakesSecret(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.open("/")
	b.press("Create the first widget")
	for _, wrong := range []struct{ typed, says string }{
		{"shöp", "“ö” cannot be in an id"}, {"my shop", "A space cannot be in an id"}, {".shop", "begins with a letter or digit"},
		{"default", "is reserved"}, {strings.Repeat("x", 129), "this one has 129"},
	} {
		b.fill("dialog input[type=text]", wrong.typed)
		b.wait(fmt.Sprintf("document.querySelector('dialog .wrong')?.textContent.includes(%q)", wrong.says))
		if !look[bool](b.tab, "document.querySelector('dialog button[type=submit]').disabled") {
			t.Errorf("%q can be sent", wrong.typed)
		}
	}
	b.show("invalid-id")
	b.fill("dialog input[type=text]", "shop")
	b.choose("Use an existing one")
	b.wait("document.activeElement.type === 'password'")
	b.keys("too-short")
	b.says("at least 16 bytes: this one has 9")
	b.fill("dialog input[type=password]", testSecret)
	b.press("Create")
	b.wait("location.hash === '#/widgets/shop'")
	b.gone(testSecret)
	if got := b.outcome(t, "shop", testSecret); got != "verified" {
		t.Errorf("signed with the secret that was typed: %s", got)
	}
}

// fill replaces what is in a field, as typing does.
func (b *board) fill(selector, text string) {
	b.t.Helper()
	b.script(fmt.Sprintf(`{
		const field = document.querySelector(%s)
		field.value = %s
		field.dispatchEvent(new Event('input', {bubbles: true}))
	}`, js(selector), js(text)))
}
