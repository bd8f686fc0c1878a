package browsertests

import (
	"fmt"
	"strings"
	"testing"
)

// show takes screenshots by day and night, and of a phone, and checks in each
// that everything can be read and named, and that nothing is wider than the
// phone.
func (b *board) show(name string) {
	b.t.Helper()
	for _, view := range []struct {
		name  string
		dark  bool
		width int64
	}{{"light", false, 1280}, {"dark", true, 1280}, {"phone", false, 360}, {"phone-dark", true, 360}} {
		b.do(colors(view.dark), size(view.width, 800))
		b.wait(fmt.Sprintf("innerWidth === %d || document.documentElement.scrollWidth > %[1]d", view.width))
		if width := look[int64](b.tab, "document.documentElement.scrollWidth"); width > view.width {
			b.t.Errorf("%s is %d pixels wide where there are %d", name, width, view.width)
		}
		for _, fault := range look[[]string](b.tab, faults) {
			b.t.Errorf("%s, %s: %s", name, view.name, fault)
		}
		screenshot(b.t, b.ctx, "dashboard-"+name+"-"+view.name)
	}
	b.do(colors(false), size(1280, 800))
	b.wait("innerWidth === 1280")
}

// faults are fields and buttons without a name, and text that has too little
// contrast (WCAG 2.2, 1.4.3: 4.5 to 1, large text 3 to 1), except on what is
// disabled.
const faults = `(() => {
	const found = []
	for (const control of document.querySelectorAll('button, input, select, a')) {
		const named = control.innerText.trim() || control.ariaLabel || [...(control.labels ?? [])].some((label) => label.innerText.trim())
		if (!named) found.push('without a name: ' + control.outerHTML)
	}
	const part = (text) => text.match(/[\d.]+/g).map(Number)
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0)
	const behind = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const colour = part(getComputedStyle(e).backgroundColor)
			if (colour.length === 3 || colour[3] > 0) return colour
		}
		return [255, 255, 255]
	}
	const open = document.querySelector('dialog[open]') ?? document.body
	const texts = document.createTreeWalker(open, NodeFilter.SHOW_TEXT)
	while (texts.nextNode()) {
		const element = texts.currentNode.parentElement
		if (!texts.currentNode.data.trim() || !element.checkVisibility({opacityProperty: true}) || element.closest(':disabled, .unseen, option')) continue
		const style = getComputedStyle(element)
		const [a, b] = [light(part(style.color)), light(behind(element))].sort((x, y) => y - x)
		const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700
		const ratio = (a + .05) / (b + .05)
		if (ratio < (large ? 3 : 4.5)) found.push(ratio.toFixed(2) + ' to 1: ' + texts.currentNode.data)
	}
	return found
})()`

// TestDashboardLooks shows a gateway with widgets of all kinds, for somebody to
// look at.
func TestDashboardLooks(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "widget declared {\nsecret {env.TEST_SECRET}\nmode required\n}", liveSite)
	for _, w := range []struct {
		id, more               string
		verified, missing, bad int
	}{
		{"shop-checkout", `,"mode":"required"`, 1203, 0, 0},
		{"support.example.com", `,"mode":"optional"`, 577, 105, 31},
		{"help-centre", ``, 203, 12, 0},
		{"campaign-2027", `,"mode":"off"`, 0, 0, 0},
		{strings.Repeat("as-long-as-ids-are.", 7)[:128], ``, 3, 1, 0},
	} {
		secret := b.create(t, fmt.Sprintf(`{"id":"%s"%s}`, w.id, w.more))
		for count, body := range map[*int]string{&w.verified: claim(secret, "user-1"), &w.missing: `{"text":"hi"}`, &w.bad: claim(testSecret, "user-1")} {
			b.send(t, *count, func(int) (widget, message string) { return w.id, body })
		}
	}
	b.send(t, 5, func(int) (widget, message string) {
		return "support.example.com", `{"user_id":"a","user_id":"b","user_hash":"c"}`
	})
	b.call(t, "POST", "widgets/help-centre/rotate", `{"grace":"24h"}`)
	b.open("/")
	b.wait("document.querySelectorAll('tbody tr').length === 6")
	b.wait(`document.querySelector('tbody tr').innerText.includes('1,203')`)
	b.show("list")
	b.click("//a[normalize-space()='shop-checkout']")
	b.says("Required already: of 1203 requests")
	b.show("required")
	b.press("Rotate…")
	b.show("rotate")
	b.script("document.querySelector('dialog button').click()")
	b.open("/widgets/declared")
	b.says("read-only")
	b.says("hashClaim")
	b.show("declared")
}
