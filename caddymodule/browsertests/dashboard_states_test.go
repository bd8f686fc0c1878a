package browsertests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestDashboardThroughCommand opens the dashboard of a gateway that is configured
// as Caddy is by default: no browser can open its endpoint, but the command's URL.
func TestDashboardThroughCommand(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "", liveSite, nil)
	g.run(t)
	b := &board{newTab(t), g}
	b.open("/")
	b.says("client is not allowed to access from origin")

	b.do(chromedp.Navigate(g.dashboard(t)))
	b.press("Create the first widget")
	b.write("shop")
	b.press("Create")
	secret := b.secret()
	if got := b.outcome(t, "shop", secret); got != "verified" {
		t.Errorf("signed with the secret that was shown: %s", got)
	}
	b.wait("document.querySelector('#snippet').textContent.includes('hashClaim')")
}

// TestDashboardWarns shows what is wrong with a gateway.
func TestDashboardWarns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	b := openBoard(t, "encryption_key {env.TEST_KEY}\nwidgets file "+path, liveSite)
	b.create(t, `{"id":"shop"}`)
	other := strings.Replace(b.config, "encryption_key {env.TEST_KEY}", "encryption_key "+widgets.NewEncryptionKey(), 1)
	b.load(t, other)
	b.open("/")
	const missingKey = "/encryption key.* is missing/i.test(document.querySelector('.notices').innerText)"
	b.wait(missingKey)
	b.says("unavailable")
	b.show("missing-key")
	b.load(t, b.config)
	b.wait("!" + missingKey)

	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte("damaged\n"), 0o600))
	b.says("Store unreachable")
	b.wait("document.querySelector('.notices .notice') && document.getElementById('create').disabled")
	b.show("store-unreachable")
	b.says("shop") // what is known is shown all the same
	must(t, os.WriteFile(path, whole, 0o600))
	b.wait("!document.getElementById('create').disabled")

	// A configuration without this module is explained, too.
	b.load(t, "{\n"+b.endpoint([]string{""})+"\n}")
	b.says("The running configuration has no chat_identity")
	b.load(t, b.config)
	b.wait("document.getElementById('freshness').textContent === 'Live' && !document.body.innerText.includes('has no chat_identity')")
}

// TestDashboardLostLedger: a ledger at another path is none of the gateway's own,
// until somebody accepts that.
func TestDashboardLostLedger(t *testing.T) {
	t.Parallel()
	ledger := filepath.Join(t.TempDir(), "ledger.db")
	b := openBoard(t, "ledger bolt "+ledger, "chat_identity required {\nsecret {env.TEST_SECRET}\ndialect snapengage\none_time\n}\n"+answers)
	b.open("/")
	b.says("Ledger reachable")
	b.kill()
	must(t, os.Remove(ledger))
	b.run(t)
	b.says("Ledger lost")
	b.wait("/accept-loss/.test(document.querySelector('.notices').innerText)")
	b.show("ledger-lost")
	if c := b.call(t, "POST", "ledger/accept-loss", ""); c.status != 200 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	b.says("Ledger reachable")
}

// TestDashboardSigningKeys: the page says which key signs, once there is one, and which is next.
func TestDashboardSigningKeys(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "encryption_key {env.TEST_KEY}", liveSite)
	b.open("/")
	b.says("Counting since")
	if look[bool](b.tab, "document.body.innerText.includes('Signs with')") {
		t.Error("nothing has needed a key")
	}
	c := b.call(t, "POST", "keys/rotate", "")
	var rotated adminapi.SigningKeys
	if err := json.Unmarshal([]byte(c.body), &rotated); err != nil || len(rotated.Keys) != 2 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	b.wait(fmt.Sprintf(`/^Signs with %s, \d+ seconds? old; next %s, published for \d+ seconds?$/m.test(document.querySelector('.state').innerText)`,
		rotated.Keys[1].ID[:8], rotated.Keys[0].ID[:8]))
	b.show("signing-keys")
}

// TestDashboardWithoutGateway: the gateway stops while the page is open, and comes back.
func TestDashboardWithoutGateway(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.says("shop")
	b.kill()
	b.says("The gateway has not answered since")
	b.wait(`/^Gateway down since \d\d:\d\d UTC$/.test(document.getElementById('freshness').textContent)`)
	b.wait("document.querySelector('.old tr[data-id=shop]')") // what was known is still there, and marked
	b.show("down")
	b.press("New widget")
	b.write("another")
	b.press("Create")
	b.wait("document.querySelector('dialog [role=alert]').innerText.includes('does not answer')")
	b.run(t)
	b.press("Create")
	b.secret()
	b.wait("document.getElementById('freshness').textContent === 'Live' && !document.body.innerText.includes('has not answered') && !document.querySelector('.old')")
}

// TestDashboardOfHandlers shows a widget that a site block brings itself.
func TestDashboardOfHandlers(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", "chat_identity {\nsecret {env.TEST_SECRET}\n}\n"+answers)
	b.post(t, "", claim(testSecret, "user-1"))
	b.open("/")
	b.click("//a[normalize-space()='default']")
	b.says("is in a site’s own chat_identity block")
	b.says("Too early to say")
	if strings.Contains(b.text(), "Switch to required") {
		t.Error("it can be switched here")
	}
}

// TestDashboardVerdict: the page says of a widget what the command says.
func TestDashboardVerdict(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", liveSite)
	secret := b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.click("//a[normalize-space()='shop']")
	says := func(verdict string) {
		t.Helper()
		b.wait(fmt.Sprintf("document.querySelector('.verdict')?.textContent.startsWith(%q)", verdict))
		out, err := b.caddy(t, "chat-identity", "readiness", "shop", "--address", b.admin).Output()
		if err != nil || !strings.Contains(string(out), verdict) {
			t.Errorf("%s%v, want %q", out, err, verdict)
		}
	}
	says("Nothing is known yet: no requests")
	b.post(t, "shop", `{"text":"hi"}`)
	says("Nobody signs yet: 0 verified, and 1 request without a claim")
	b.show("not-signing")
	b.outcome(t, "shop", secret)
	says("Too early to say: ready needs at least 20 verified requests (1 so far)")
	b.outcome(t, "shop", testSecret)
	says("Not ready: of 3 requests")
	b.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`)
	says("Required already: of 3 requests")
}

// TestDashboardProofs: where a widget has signatures and tokens, the page says how many of
// the verified were which.
func TestDashboardProofs(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", "chat_identity {\nwidget {header.X-Widget-Key}\nclaim token header Authorization\nidentify /identify\nsession 1h\n}\n"+answers)
	secret := b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.click("//a[normalize-space()='shop']")
	b.outcome(t, "shop", secret)
	b.wait("/Too early to say.*1 so far/.test(document.querySelector('.verdict')?.textContent)")
	if look[bool](b.tab, "!!document.querySelector('.tokens')") || strings.Contains(b.text(), "by a token") {
		t.Error("speaks of tokens where there is none")
	}
	for range 3 {
		if _, found := b.post(t, "shop", `{"text":"hi"}`, "Authorization: Bearer "+token(secret, "user-1")); !strings.HasPrefix(found, "verified ") {
			t.Fatalf("a token is %s", found)
		}
	}
	b.wait("document.querySelectorAll('.tokens').length === 3 && /^75.% of the verified by token$/.test(document.querySelector('.tokens').textContent)")
	b.wait("document.querySelector('.verdict').textContent.includes('75% were proved by a token and 1 by a signature')")
	b.wait("document.querySelectorAll('.sessions').length === 0")
	var identified struct{ Session struct{ Token string } }
	_, answer := request(t, "POST", b.url+"/identify", claim(secret, "user-1"), "X-Widget-Key: shop")
	must(t, json.Unmarshal([]byte(answer), &identified))
	if _, found := b.post(t, "shop", `{"text":"hi"}`, "X-Chat-Session: "+identified.Session.Token); !strings.HasPrefix(found, "verified ") {
		t.Fatalf("a session is %s", found)
	}
	b.wait("document.querySelectorAll('.sessions').length === 3 && /^17.% of the verified by session$/.test(document.querySelector('.sessions').textContent)")
}

// token is a user's JSON Web Token, good for a minute.
func token(secret, user string) string {
	return testbed.HS256(secret, fmt.Sprintf(`{"sub":%q,"exp":%d}`, user, time.Now().Add(time.Minute).Unix()))
}

// TestDashboardReveals shows a secret again, where that is configured.
func TestDashboardReveals(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "allow_reveal", liveSite)
	secret := b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.says("Secrets can be shown again.")
	b.gone(secret)
	b.click("//a[normalize-space()='shop']")
	b.press("Show the secret")
	b.wait("document.querySelector('dialog .secret')")
	if shown := look[string](b.tab, "document.querySelector('dialog .secret').textContent"); shown != secret {
		t.Errorf("shows %q", shown)
	}
	b.press("Done")
	b.gone(secret)
}

// TestDashboardOfMany opens the page of a gateway with ten thousand widgets and
// more of them busy than it counts apart, and counts what it loads.
func TestDashboardOfMany(t *testing.T) {
	t.Parallel()
	const many = 10_000
	b := openBoard(t, "encryption_key {env.TEST_KEY}", liveSite)
	key, err := widgets.ParseEncryptionKey(testKey)
	must(t, err)
	secret, err := verifier.NewSecret(testSecret)
	must(t, err)
	ring := widgets.NewRing(key)
	id := func(i int) string { return fmt.Sprintf("widget-%05d.with-a-name-of-some-length", i) }
	for first := 0; first < many; first += adminapi.MovePage {
		var records []*widgets.Record
		for i := first; i < first+adminapi.MovePage; i++ {
			record, err := widgets.NewRecord(id(i), "optional", "bookbag", secret, ring, time.Now())
			must(t, err)
			records = append(records, record)
		}
		body, err := json.Marshal(records)
		must(t, err)
		if c := b.call(t, "POST", "import", string(body)); c.status != 200 {
			t.Fatalf("%d %s", c.status, c.body)
		}
	}
	good, bad := claim(testSecret, "user-1"), claim("another secret", "user-1")
	b.send(t, 3*many/10, func(i int) (widget, message string) {
		if i%3 == 0 {
			return id(i / 2), bad
		}
		return id(i / 2), good
	})
	var loaded, finished atomic.Int64
	if err := chromedp.Listen(b.ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			loaded.Add(int64(e.EncodedDataLength))
			finished.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	b.between = "" // what is asked for out of turn counts as loaded, too
	start := time.Now()
	b.open("/")
	b.wait("document.querySelectorAll('.widgets tbody tr').length === 50")
	b.between = hurry
	took, bytes := time.Since(start), loaded.Load()
	t.Logf("the list of %d widgets: %d answers, %d bytes, %v", many, finished.Load(), bytes, took.Round(time.Millisecond))
	if bytes < 10_000 || bytes > 300<<10 {
		t.Errorf("the page loads %d bytes", bytes)
	}
	b.show("many")
	b.pick("sort", "id")
	b.lists("1–50 of 10,000", id(0))
	b.click("//a[normalize-space()='Next']")
	b.lists("51–100 of 10,000", id(50))
	loaded.Store(0)
	b.do(chromedp.SendKeys("#search", "widget-0999"))
	b.wait("document.querySelectorAll('tbody tr').length === 10")
	t.Logf("a search: %d bytes", loaded.Load())
}

// send sends so many messages, from some clients at once.
func (g *gateway) send(t *testing.T, count int, message func(i int) (widget, body string)) {
	var clients sync.WaitGroup
	for first := range 8 {
		clients.Go(func() {
			for i := first; i < count; i += 8 {
				widget, body := message(i)
				g.post(t, widget, body)
			}
		})
	}
	clients.Wait()
}

// dashboard runs the dashboard command until the test ends, and returns the URL
// that it prints.
func (g *gateway) dashboard(t *testing.T) string {
	t.Helper()
	cmd := g.caddy(t, "chat-identity", "dashboard", "--address", g.admin)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return strings.TrimSpace(line)
}
