package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/browsertest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestDashboardThroughCommand opens the dashboard of a gateway that is configured
// as Caddy is by default: no browser can open its endpoint, but the command's URL.
func TestDashboardThroughCommand(t *testing.T) {
	g := live(t, "", liveSite)
	b := &board{gateway: g, t: t, ctx: browsertest.New(t)}
	b.open("/")
	b.says("client is not allowed to access from origin")

	b.do(chromedp.Navigate(openDashboard(t, g.admin)))
	b.press("Create the first widget")
	b.write("shop")
	b.press("Create")
	secret := b.secret()
	if got := b.outcome(t, "shop", secret); got != "verified" {
		t.Errorf("signed with the secret that was shown: %s", got)
	}
	b.wait("document.querySelector('#snippet').textContent.includes('chatIdentity')")
}

// TestDashboardWarns shows what is wrong with a gateway.
func TestDashboardWarns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	b := openBoard(t, "encryption_key {env.TEST_KEY}\nwidgets file "+path)
	b.create(t, `{"id":"shop"}`)
	other := strings.Replace(b.config, "encryption_key {env.TEST_KEY}", "encryption_key "+widgets.NewEncryptionKey(), 1)
	load(t, other)
	b.open("/")
	b.says("An encryption key is missing.")
	b.says("unavailable")
	b.show("missing-key")
	load(t, b.config)
	b.wait("!document.body.innerText.includes('An encryption key is missing.')")

	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("damaged\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.says("The store of widgets cannot be reached.")
	b.wait("document.getElementById('create').disabled")
	b.says("shop") // what is known is shown all the same
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	b.wait("!document.getElementById('create').disabled")

	// A configuration without this module, too, is said in words.
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	b.says("The running configuration has no chat_identity")
	load(t, b.config)
	b.wait("document.getElementById('freshness').textContent === 'Live' && !document.body.innerText.includes('has no chat_identity')")
}

// TestDashboardLostLedger: a ledger at another path is none of the gateway's own,
// until somebody accepts that.
func TestDashboardLostLedger(t *testing.T) {
	b := openBoardOf(t, newLive(t, ownLedger(t), losing))
	b.open("/")
	b.says("Ledger reachable")
	b.loseLedger(t)
	b.says("The ledger was lost.")
	b.says("Ledger lost")
	if c := b.call(t, "POST", "ledger/accept-loss", ""); c.status != 200 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	b.says("Ledger reachable")
}

// TestDashboardWithoutGateway: the gateway goes while somebody looks, and comes back.
func TestDashboardWithoutGateway(t *testing.T) {
	ctx := browsertest.New(t)
	p := newProcess(t, "", liveSite)
	p.letBrowsersIn()
	p.run(t)
	b := &board{gateway: p.gateway, t: t, ctx: ctx}
	b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.says("shop")
	p.kill(t)
	b.says("The gateway does not answer.")
	b.wait("document.getElementById('freshness').textContent === 'No connection'")
	b.says("shop") // what was known still stands there
	b.press("New widget")
	b.write("another")
	b.press("Create")
	b.wait("document.querySelector('dialog [role=alert]').innerText.includes('does not answer')")
	p.run(t)
	b.press("Create")
	b.secret()
	b.wait("document.getElementById('freshness').textContent === 'Live' && !document.body.innerText.includes('does not answer')")
}

// TestDashboardOfHandlers shows a widget that a site block brings itself.
func TestDashboardOfHandlers(t *testing.T) {
	b := openBoardOf(t, newLive(t, "", "chat_identity {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM"))
	b.post(t, claim("user-1"))
	b.open("/")
	b.click("//a[normalize-space()='default']")
	b.says("is in a site’s own chat_identity block")
	b.says("Ready.")
	if strings.Contains(b.text(), "Switch to required") {
		t.Error("it can be switched here")
	}
}

// TestDashboardVerdict: the page says of a widget what the command says.
func TestDashboardVerdict(t *testing.T) {
	b := openBoard(t, "")
	secret := b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.click("//a[normalize-space()='shop']")
	says := func(page, command string) {
		t.Helper()
		b.says(page)
		out, errors, err := runCommand(t, "", "readiness", "shop", "--address", b.admin)
		if want := "ready: " + command; err != nil || !strings.Contains(out, want) {
			t.Errorf("%s%s%v, want %q", out, errors, err, want)
		}
	}
	says("Too early to say.", "not known")
	b.outcome(t, "shop", secret)
	says("Ready.", "yes\n")
	b.post(t, `{"text":"hi"}`, "X-Widget-Key: shop")
	says("Ready, if nobody is to chat without signing in.", "yes, if nobody is to chat without signing in")
	b.show("unsigned")
	b.outcome(t, "shop", testSecret)
	says("Not yet.", "no\n")
	b.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`)
	says("Required.", "it is required already")
}

// TestDashboardReveals shows a secret again, where that is configured.
func TestDashboardReveals(t *testing.T) {
	b := openBoard(t, "allow_reveal")
	secret := b.create(t, `{"id":"shop"}`)
	b.open("/")
	b.says("Secrets can be shown again.")
	b.gone(secret)
	b.click("//a[normalize-space()='shop']")
	b.press("Show the secret")
	b.wait("document.querySelector('dialog .secret')")
	if shown := look[string](b, "document.querySelector('dialog .secret').textContent"); shown != secret {
		t.Errorf("shows %q", shown)
	}
	b.press("Done")
	b.gone(secret)
}

// TestDashboardOfMany opens the page of a gateway with ten thousand widgets and
// a day's traffic, and counts what it loads.
func TestDashboardOfMany(t *testing.T) {
	const many = 10_000
	b := openBoard(t, "encryption_key {env.TEST_KEY}")
	app := active(t)
	secret, _ := verifier.NewSecret(testSecret)
	for first := 0; first < many; first += adminapi.MovePage {
		var records []*widgets.Record
		for i := first; i < first+adminapi.MovePage; i++ {
			made, err := widgets.NewRecord(fmt.Sprintf("widget-%05d.with-a-name-of-some-length", i), "optional", "snapengage", secret, app.ring.Load(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, made)
		}
		body, err := json.Marshal(records)
		if err != nil {
			t.Fatal(err)
		}
		if c := b.call(t, "POST", "import", string(body)); c.status != 200 {
			t.Fatalf("%d %s", c.status, c.body)
		}
	}
	reasons := append([]verifier.Reason{""}, verifier.Reasons...)
	for i := range many {
		for j := range 1 + i%97 {
			reason := reasons[j%len(reasons)]
			active(t).traffic.Count(fmt.Sprintf("widget-%05d.with-a-name-of-some-length", i), traffic.FindingOf(reason.Outcome(), reason), widgets.ModeOptional, 0)
		}
	}
	var loaded, answers atomic.Int64
	if err := chromedp.Listen(b.ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			loaded.Add(int64(e.EncodedDataLength))
			answers.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	b.unhurried = true // what is asked for out of turn counts as loaded, too
	start := time.Now()
	b.open("/")
	b.wait("document.querySelectorAll('tbody tr').length === 50")
	b.unhurried = false
	took, bytes := time.Since(start), loaded.Load()
	t.Logf("the list of %d widgets: %d answers, %d bytes, %v", many, answers.Load(), bytes, took.Round(time.Millisecond))
	if bytes < 10_000 || bytes > 300<<10 {
		t.Errorf("the page loads %d bytes", bytes)
	}
	b.show("many")
	b.press("All by id")
	b.wait("document.querySelector('tbody tr').dataset.id.startsWith('widget-00000')")
	b.press("Next")
	b.wait("document.querySelector('tbody tr').dataset.id.startsWith('widget-00050')")
	loaded.Store(0)
	b.do(chromedp.SendKeys("#search", "widget-0999"))
	b.wait("document.querySelectorAll('tbody tr').length === 10")
	t.Logf("a search: %d bytes", loaded.Load())
}
