package browsertests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestPageFile holds chat-identity.js to what its README promises.
func TestPageFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "examples", "page", "chat-identity.js"))
	must(t, err)
	if len(text) >= 4000 {
		t.Errorf("it has %d bytes", len(text))
	}
	for _, forbidden := range []string{"import", "require", "localStorage", "sessionStorage", "cookie", "indexedDB"} {
		if strings.Contains(string(text), forbidden) {
			t.Errorf("it has %s", forbidden)
		}
	}
}

// TestPageWithoutSession: where the gateway gives no session, each request has a claim
// of its own.
func TestPageWithoutSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, "dialect snapengage\none_time")
	v := s.visit(newTab(t), `{"claim":"/me"}`)
	equal(t, v.says("anonymous"), "200 ")
	s.do(func() { s.user, s.claims = "ada", 0 })
	equal(t, v.says("one"), "200 ada")
	equal(t, v.says("two"), "200 ada")
	equal(t, v.run(`const form = new FormData()
		form.append('text', 'three')
		await chatIdentity.fetch('/chat/messages', { method: 'POST', body: form })
		return [...form.keys()]`), "text")
	equal(t, v.run(`const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: new URLSearchParams({ text: 'four' }) })
		return await answer.text()`), "ada")
	equal(t, v.run(`const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: '{"text":"five"}' })
		return await answer.text()`), "ada")
	equal(t, v.run(`return (await chatIdentity.fetch('/chat/messages?text=six')).text()`), "ada")
	equal(t, v.run(socket), "ada")
	equal(t, v.run(events), "ada")
	said, claims := s.said()
	equal(t, said, `POST /chat/messages : anonymous
POST /chat/messages ada: one
POST /chat/messages ada: two
POST /chat/messages ada: three
POST /chat/messages ada: four
POST /chat/messages ada: five
GET /chat/messages ada: six
GET /chat/socket ada:
GET /chat/events ada:`)
	equal(t, claims, 8)
}

// socket and events open a stream and return the first text that comes.
const socket = `const socket = new WebSocket((await chatIdentity.url('/chat/socket')).replace('http', 'ws'))
	return new Promise((told) => { socket.onmessage = ({ data }) => { socket.close(); told(data) }; socket.onerror = () => told('refused') })`

const events = `const source = new EventSource(await chatIdentity.url('/chat/events'))
	return new Promise((told) => { source.onmessage = ({ data }) => { source.close(); told(data) }; source.onerror = () => { source.close(); told('refused') } })`

// sessions are the options of a handler that gives sessions for claims that count once.
const sessions = "dialect snapengage\none_time\nidentify /chat/identify\nsession 1m"

// identify is what the page passes to identify.
const identify = `{"claim":"/me","session":"/chat/identify"}`

// TestPageSession: one claim is traded for a session, which then proves every kind of
// request. Nothing of either reaches the chat or what the browser keeps.
func TestPageSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	equal(t, v.says("one"), "200 ada")
	equal(t, v.run(`const form = new FormData()
		form.append('text', 'two')
		form.append('file', new File(['three'], 'three.txt'))
		return (await chatIdentity.fetch('/chat/messages', { method: 'POST', body: form })).text()`), "ada")
	equal(t, v.run(`return (await chatIdentity.fetch('/chat/messages?text=four', { headers: { 'X-Mine': '5' } })).text()`), "ada")
	if _, claims := s.said(); claims != 1 {
		t.Errorf("%d claims", claims)
	}
	equal(t, v.run(socket), "ada")
	equal(t, v.run(events), "ada")
	equal(t, v.run(`return JSON.stringify([localStorage, sessionStorage, document.cookie, await indexedDB.databases(), await caches.keys()])`), `[{},{},"",[],[]]`)
	said, claims := s.said()
	equal(t, said, `POST /chat/messages ada: one
POST /chat/messages ada: two
GET /chat/messages ada: four
GET /chat/socket ada:
GET /chat/events ada:`)
	if claims < 2 {
		t.Error("a stream opened with the session of others")
	}
	for _, r := range s.seen {
		if text := fmt.Sprint(r.URL, r.Header); strings.Contains(strings.ToLower(text), "session") || strings.Contains(text, "hmac") {
			t.Errorf("the chat sees %s", text)
		}
	}
	equal(t, s.seen[2].Header.Get("X-Mine"), "5")
}

// TestPageReadme runs what the README puts into a page.
func TestPageReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "README.md"))
	must(t, err)
	_, block, found := strings.Cut(string(text), "```js page\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("the README has no block for a page")
	}
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), "")
	v.run(block)
	said, _ := s.said()
	equal(t, said, "POST /chat/messages ada: Where is my order?")
}

// TestPageRenews: before a session ends, and after, the next request gets a new one. If
// that fails, a session that still holds goes on.
func TestPageRenews(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	later := func(seconds int, broken bool, says string, claims int) {
		t.Helper()
		s.do(func() { s.broken = broken })
		v.script(fmt.Sprintf("window.now ??= Date.now; Date.now = () => now() + %d", seconds*1000))
		equal(t, v.says("hello"), says)
		if _, got := s.said(); got != claims {
			t.Errorf("after %d s: %d claims, want %d", seconds, got, claims)
		}
	}
	later(0, false, "200 ada", 1)
	later(45, true, "200 ada", 2)
	later(45, false, "200 ada", 3)
	later(45, false, "200 ada", 3)
	later(200, true, "chat-identity: /me gave no claim: 500", 4)
	later(200, false, "200 ada", 5)
	v.knows(`["ada"]`)
	equal(t, v.run(`const many = await Promise.all([1, 2, 3].map(() => { Date.now = () => now() + 4e5; return chatIdentity.url('/chat/events') }))
		return new Set(many).size`), "1")
}

// TestPageStartsOver: a session that is refused is left, and the request goes again with
// the next one. A stream that is opened again has the next one, too.
func TestPageStartsOver(t *testing.T) {
	t.Parallel()
	for mode, options := range map[string]string{"optional": "\nreject invalid 401", "required": ""} {
		refused := map[string]string{"optional": "401", "required": "403"}[mode]
		t.Run(mode, func(t *testing.T) { pageStartsOver(t, mode, options, refused) })
	}
}

func pageStartsOver(t *testing.T, mode, options, refused string) {
	s := newSite(t, sessions+options)
	s.call(t, "PATCH", "widgets/shop", fmt.Sprintf(`{"mode":%q}`, mode))
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	rotate := func() {
		t.Helper()
		c := s.call(t, "POST", "widgets/shop/rotate", "{}")
		s.do(func() { s.secret = c.Secret })
	}
	rotate()
	equal(t, v.says("one"), "200 ada")
	rotate()
	equal(t, v.run(socket), "ada")
	rotate()
	equal(t, v.run(events), "ada")

	// A website that signs with another secret is asked once.
	rotate()
	s.do(func() { s.secret, s.claims = "another-secret-of-some-length", 0 })
	equal(t, v.says("two"), "chat-identity: "+s.url+"/chat/identify gave no session: "+refused)
	v.knows(`["ada"]`)
	said, claims := s.said()
	equal(t, said, "POST /chat/messages ada: one\nGET /chat/socket ada:\nGET /chat/events ada:")
	equal(t, claims, 1)
}

// TestPageSignsInAnother: while a session is renewed, somebody else signs in. What the last user
// had begun fails, also where the gateway is asked for it with that user's claim, and what was
// begun since identify is the new user's.
func TestPageSignsInAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	asked := func(n int) {
		t.Helper()
		testbed.Until(t, fmt.Sprint(n, " claims to be asked for"), func() bool { _, claims := s.said(); return claims == n })
	}
	first, second := make(chan struct{}), make(chan struct{})
	s.do(func() { s.hold, s.claims = first, 0 })
	v.script(`window.adas = chatIdentity.url('/chat/events').catch((error) => error.message)`)
	asked(1)
	s.do(func() { s.user, s.hold = "grace", second })
	v.script(`chatIdentity('identify', ` + identify + `)
		window.graces = chatIdentity.fetch('/chat/messages', { method: 'POST', body: { text: 'mine' } }).then((answer) => answer.text()).catch((error) => error.message)`)
	asked(2)
	close(first) // with a claim of ada's, which is not used
	asked(3)
	s.do(func() { s.hold = nil })
	close(second)
	equal(t, v.run("return graces"), "grace")
	equal(t, v.run("return adas"), "chat-identity: the user has changed")
	v.knows(`["ada","grace"]`)

	// Nobody has called identify here: somebody else signed in in another tab.
	s.do(func() { s.user = "hopper" })
	equal(t, v.run(`return chatIdentity.url('/chat/events').catch((error) => error.message)`), "chat-identity: the user has changed")
	v.knows(`["ada","grace","hopper"]`)
	said, _ := s.said()
	equal(t, said, "POST /chat/messages grace: mine")
}

// TestPageSignsOut: what a page knew is gone at once, and an answer that is still on its
// way does not bring it back.
func TestPageSignsOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user, s.hold = "ada", make(chan struct{})
	v := s.visit(newTab(t), identify)
	v.script(`window.late = chatIdentity.fetch('/chat/messages', { method: 'POST', body: { text: 'late' } }).catch((error) => error.message)`)
	testbed.Until(t, "a claim to be asked for", func() bool { _, claims := s.said(); return claims == 1 })
	v.script("chatIdentity('reset')")
	close(s.hold)
	equal(t, v.run("return late"), "chat-identity: the user has changed")
	v.knows(`[null]`)
	equal(t, v.says("anonymous"), "200 ")
	said, _ := s.said()
	equal(t, said, "POST /chat/messages : anonymous")
}

// TestPageIdentifiesAgain: identify and reset again lose nothing that waits and tell
// nothing twice, unless the user is another.
func TestPageIdentifiesAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	again := func(user string) string {
		t.Helper()
		hold := make(chan struct{})
		s.do(func() { s.hold, s.claims = hold, 0 })
		v.script(`chatIdentity('identify', ` + identify + `)
			window.late = chatIdentity.fetch('/chat/messages', { method: 'POST', body: { text: 'late' } }).then((answer) => answer.text()).catch((error) => error.message)
			chatIdentity('identify', ` + identify + `)`)
		testbed.Until(t, "claims to be asked for", func() bool { _, claims := s.said(); return claims == 2 })
		s.do(func() { s.user, s.hold = user, nil })
		close(hold)
		return v.run("return late")
	}
	equal(t, again("ada"), "ada")
	equal(t, again("grace"), "chat-identity: the user has changed")
	v.knows(`["ada","grace"]`)
	v.script("chatIdentity('reset'); chatIdentity('reset')")
	equal(t, v.says("anonymous"), "200 ")
	v.knows(`["ada","grace",null]`)
	said, _ := s.said()
	equal(t, said, "POST /chat/messages ada: late\nPOST /chat/messages : anonymous")
}

// TestPageWaitsForNobody: a server that never answers is given up, and meanwhile a session
// that holds is used to its end.
func TestPageWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), identify)
	v.knows(`["ada"]`)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	s.do(func() { s.hold = hold })
	v.script("window.now = Date.now; Date.now = () => now() + 45000")
	equal(t, v.says("one"), "200 ada")
	v.script("Date.now = () => now() + 2e5")
	equal(t, v.says("two"), "chat-identity: /me gave no claim: no answer")
	said, _ := s.said()
	equal(t, said, "POST /chat/messages ada: one")
}

// TestPageWrongOptions: a mistake in the page is named in the browser's console.
func TestPageWrongOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	v := s.visit(newTab(t), "")
	v.script("window.warnings = []; console.warn = (warning) => warnings.push(String(warning))")
	for options, want := range map[string]string{
		`undefined`:                     "TypeError: options.claim is not a function",
		`{ claims: '/me' }`:             "TypeError: options.claim is not a function",
		`{ claim: { user_id: 'ada' } }`: "TypeError: options.claim is not a function",
		`{ claim: '/me', session: '/chat/identify', place: {} }`:           "TypeError: options.place is not a function",
		`{ claim: '/400', session: '/chat/identify' }`:                     "Error: chat-identity: /400 gave no claim: 400",
		`{ claim: '/nowhere', session: '/chat/identify' }`:                 "Error: chat-identity: /nowhere gave no claim: 404",
		`{ claim: '/', session: '/chat/identify' }`:                        "Error: chat-identity: / gave no claim: 200",
		`{ claim: '/me', session: '/' }`:                                   "Error: chat-identity: " + s.url + "/ gave no session: 200",
		`{ claim: '/me', session: '/chat/json' }`:                          "chat-identity: /chat/json did not verify the claim",
		`{ claim: () => ({ user_id: 'ada' }), session: '/chat/identify' }`: "chat-identity: /chat/identify did not verify the claim",
	} {
		v.script("warnings.length = 0; chatIdentity('identify', " + options + ")")
		v.wait("warnings.length")
		equal(t, v.run("return warnings"), want)
	}
	equal(t, v.run("chatIdentity('identfy')"), "chat-identity: no command identfy")
}

// TestPageBodies: only objects, and JSON texts of them, take fields. What else there is
// reaches the chat as it was written.
func TestPageBodies(t *testing.T) {
	t.Parallel()
	s := newSite(t, "dialect snapengage\none_time")
	s.user = "ada"
	v := s.visit(newTab(t), `{"claim":"/me"}`)
	const json, text = "application/json", "text/plain;charset=UTF-8"
	for init, want := range map[string]string{
		`body: { text: 'x' }`: json + ` {"text":"x"}`,
		`body: Object.assign(Object.create(null), { text: 'x' })`:                       json + ` {"text":"x"}`,
		`body: new (class { text = 'x' })()`:                                            json + ` {"text":"x"}`,
		`body: '{"text":"x"}'`:                                                          json + ` {"text":"x"}`,
		`body: '{"text":"x"}', headers: { 'Content-Type': 'application/vnd.api+json' }`: `application/vnd.api+json {"text":"x"}`,
		`body: '[1,2]'`: text + ` [1,2]`,
		`body: [1,2]`:   text + ` [1,2]`,
		`body: 'null'`:  text + ` null`,
		`body: 'hello'`: text + ` hello`,
		`body: new Blob(['x'], { type: 'image/png' })`: `image/png x`,
		`body: null`: ` `,
	} {
		equal(t, v.run("return (await (await chatIdentity.fetch('/chat/echo', { method: 'POST', "+init+" })).text()).replace(/,\"hmac.*/, '}')"), "ada "+want)
	}
	equal(t, v.run("await chatIdentity.fetch(new Request('/chat/messages'))"), "chat-identity: a Request is no URL")
	equal(t, v.run(`const answers = await Promise.all([1, 2, 3].map(() => chatIdentity.fetch('/chat/messages')))
		return answers.map((answer) => answer.status)`), "200,200,200")
}

// TestPageTabs: who signs in or out in one tab does so in the others, and what was written
// as one user is never sent as another.
func TestPageTabs(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessions)
	s.user = "ada"
	first := s.visit(newTab(t), identify)
	first.knows(`["ada"]`)
	second := first.another(identify)
	second.knows(`["ada"]`)
	equal(t, first.says("one"), "200 ada")
	equal(t, second.says("two"), "200 ada")

	s.do(func() { s.user = "" })
	second.script("chatIdentity('reset')")
	first.knows(`["ada",null]`)
	equal(t, first.says("three"), "200 ")

	s.do(func() { s.user = "grace" })
	second.script("chatIdentity('identify', " + identify + ")")
	first.knows(`["ada",null,"grace"]`)
	equal(t, first.says("four"), "200 grace")

	// The website signs somebody else in, and no page says so.
	s.do(func() { s.user = "ada" })
	first.script("window.real = Date.now; Date.now = () => real() + 2e5")
	equal(t, first.says("five"), "chat-identity: the user has changed")
	second.knows(`["ada",null,"grace","ada"]`)
	equal(t, second.says("six"), "200 ada")
	said, claims := s.said()
	equal(t, said, `POST /chat/messages ada: one
POST /chat/messages ada: two
POST /chat/messages : three
POST /chat/messages grace: four
POST /chat/messages ada: six`)
	if claims > 12 {
		t.Errorf("%d claims: the tabs answer each other", claims)
	}

	// Where somebody signed out, nobody is claimed until that tab's own identify.
	second.script("chatIdentity('reset')")
	second.knows(`["ada",null,"grace","ada",null]`)
	first.script("chatIdentity('identify', " + identify + ")")
	equal(t, first.says("seven"), "200 ada")
	equal(t, second.says("eight"), "200 ")
	second.script("chatIdentity('identify', " + identify + ")")
	second.knows(`["ada",null,"grace","ada",null,"ada"]`)

	// An answer that was on its way when somebody signed out is not the last word.
	s.do(func() { s.hold, s.claims = make(chan struct{}), 0 })
	first.script("Date.now = () => real() + 4e5; late = chatIdentity.fetch('/chat/messages').then((answer) => answer.text())")
	testbed.Until(t, "a claim to be asked for", func() bool { _, claims := s.said(); return claims == 1 })
	second.script("chatIdentity('reset')")
	s.do(func() { s.user = ""; close(s.hold); s.hold = nil })
	equal(t, first.run("return late"), "chat-identity: the user has changed")
	first.knows(`["ada",null,"grace","ada",null]`)
}

// TestPageSample runs the sample as its README says, and does what its page invites to.
func TestPageSample(t *testing.T) {
	t.Parallel()
	demo := startPage(t)
	p := newTab(t)
	p.do(chromedp.Navigate(demo.URL))
	p.wait("window.chatIdentity?.fetch")
	say := func(text, shown string) {
		t.Helper()
		p.do(chromedp.SetValue(chromedp.CSS("[name=text]"), text))
		p.click("#composer button")
		p.shows("#log", shown)
	}
	say("anybody?", "Not delivered: 401")
	p.click("#ada")
	p.shows("#who", "usr_ada")
	p.wait("source?.readyState === 1")
	p.has("#log", "!Not delivered")
	say("hello", "usr_ada: hello")
	post := func(body string) string {
		t.Helper()
		return (&visit{tab: p}).run("return (await chatIdentity.fetch('/chat/messages', { method: 'POST', body: " + body + " })).status")
	}
	equal(t, post("{ text: 'as JSON' }"), "204")
	p.shows("#log", "usr_ada: as JSON")
	for _, body := range []string{"{}", "{ text: 1 }", "'{'", "null", "new FormData"} {
		equal(t, post(body), "400")
	}
	p.click("#grace")
	p.shows("#who", "1906")
	p.wait("source?.readyState === 1")
	say("good morning", "1906: good morning")
	p.has("#log", "!hello")
	p.click("#out")
	p.shows("#who", "nobody")
	p.has("#log", "!good morning")
	demo.Stop(t, os.Interrupt)
}

// TestPageSampleCrashes has the gateway end with the server, however that ends.
func TestPageSampleCrashes(t *testing.T) {
	t.Parallel()
	crash := filepath.Join(t.TempDir(), "crash.js")
	must(t, os.WriteFile(crash, []byte("process.on('SIGUSR2', () => { throw new Error('crashed') })"), 0o600))
	demo := startPage(t, "NODE_OPTIONS=--require "+crash)
	must(t, demo.Process.Signal(syscall.SIGUSR2))
	if err := demo.Wait(t); err == nil {
		t.Error("the server did not crash")
	}
}

// startPage runs the sample until its gateway answers.
func startPage(t *testing.T, environment ...string) *testbed.Demo {
	t.Helper()
	demo := testbed.StartDemo(t, filepath.Join(testbed.Root(t), "examples", "page", "server.js"), testbed.Gateway(t), environment...)
	demo.Prints(t, demo.URL+" ")
	testbed.Until(t, "the gateway", func() bool {
		response, err := http.Get(demo.URL)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, &demo.Errors)
	return demo
}
