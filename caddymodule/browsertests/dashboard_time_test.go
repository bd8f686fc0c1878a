package browsertests

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDashboardOverTime: the requests over time are drawn, said to a screen reader, and in
// a table.
func TestDashboardOverTime(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.open("/")
	b.wait("/there were no requests/.test(document.querySelector('.timeline svg[role=img]')?.ariaLabel)")
	b.show("over-time-none")
	secret := b.create(t, `{"id":"shop"}`)
	for range 3 {
		b.outcome(t, "shop", secret)
	}
	b.post(t, "shop", `{"text":"hi"}`)
	b.outcome(t, "shop", testSecret)

	b.wait("/: 5 requests, 60\\s% verified/.test(document.querySelector('.timeline svg').ariaLabel)")
	b.wait("document.querySelector('.timeline rect.verified') && document.querySelector('.timeline rect.quiet') && document.querySelector('.timeline rect.warn')")
	b.wait("[...document.querySelectorAll('.timeline text')].some((text) => /^gateway started \\d\\d:\\d\\d UTC$/.test(text.textContent))")
	b.click(".over-time summary")
	const columns = "[...document.querySelectorAll('.scroll thead th')].map((cell) => cell.textContent).join()"
	b.wait(columns + " === 'From,Requests,Verified,Wrong signature,No claim'")
	const sums = "[...document.querySelectorAll('.scroll tbody tr')].map((row) => [...row.cells].slice(1).map((cell) => Number(cell.textContent)))" +
		".reduce((all, row) => all.map((n, i) => n + row[i]), [0, 0, 0, 0]).join()"
	b.wait(sums + " === '5,3,1,1'")
	b.wait("/^\\d+ \\w+ \\d{4}, \\d\\d:\\d\\d:\\d\\d UTC$/.test(document.querySelector('.scroll tbody th').textContent)")

	b.press("Day")
	b.wait("location.hash === '#/?span=day'")
	b.says("Requests per 15 minutes")
	b.wait(sums + " === '5,3,1,1'")
	b.show("over-time-day")
	// A bar says what it is.
	b.script("document.querySelector('.timeline').scrollIntoView({block: 'center'})")
	at := look[struct{ X, Y float64 }](b.tab, "(({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2}))(document.querySelector('.timeline rect.verified').getBoundingClientRect())")
	b.do(chromedp.MouseEvent("mouseMoved", at.X, at.Y))
	b.wait("/UTC: \\d requests?, .*verified/.test(document.querySelector('.readout').textContent) && !/In the day/.test(document.querySelector('.readout').textContent)")
	b.script("history.back()")
	b.says("Requests per minute")
}

// TestDashboardStandsStill: nothing moves while the page is refreshed, though its numbers
// change. What is new, such as another reason, may take room.
func TestDashboardStandsStill(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	secrets := map[string]string{"shop": b.create(t, `{"id":"shop"}`), "other": b.create(t, `{"id":"other"}`)}
	mixed := func(n int) {
		b.send(t, n, func(i int) (widget, message string) {
			widget = []string{"shop", "other"}[i%2]
			return widget, []string{claim(secrets[widget], "user-1"), claim(testSecret, "user-1"), `{"text":"hi"}`}[i/2%3]
		})
	}
	const watch = `window.moved = []; new PerformanceObserver((list) => {
		for (const entry of list.getEntries()) window.moved.push(...entry.sources.map((source) => (source.node?.outerHTML ?? source.node?.parentElement?.outerHTML ?? 'what is gone').slice(0, 200) +
			' from ' + JSON.stringify(source.previousRect) + ' to ' + JSON.stringify(source.currentRect)))
	}).observe({type: 'layout-shift'})`
	mixed(90) // so that there are as many examples of refusals as are kept
	for _, page := range []struct{ place, counts string }{
		{"/", `document.querySelector('tr[data-id=shop]')?.innerText`},
		{"/widgets/shop", `document.querySelector('.windows')?.innerText`},
	} {
		b.open(page.place)
		b.wait("/of \\d/.test(" + page.counts + ") && document.getElementById('freshness').textContent === 'Live'")
		b.script(watch)
		for _, n := range []int{6, 90, 1200} {
			before := look[string](b.tab, page.counts)
			mixed(n)
			b.wait(page.counts + " !== " + js(before))
		}
		for _, moved := range look[[]string](b.tab, "window.moved") {
			t.Errorf("%s: moved: %s", page.place, moved)
		}
	}
}
