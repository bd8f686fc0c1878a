package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// health asks a probe's question, and checks that metrics and overview agree.
func (g *gateway) health(t testing.TB) adminapi.Health {
	t.Helper()
	c := g.call(t, "GET", "health", "")
	var h adminapi.Health
	must(t, json.Unmarshal([]byte(c.body), &h))
	if want := map[adminapi.Status]int{adminapi.OK: 200, adminapi.Degraded: 200, adminapi.Down: 503}[h.Status]; c.status != want {
		t.Errorf("%d: %s", c.status, c.body)
	}
	if (h.Status == adminapi.OK) != (len(h.Problems) == 0) {
		t.Errorf("%s", c.body)
	}
	for _, problem := range h.Problems {
		if !strings.Contains(problem, ": ") || strings.HasPrefix(problem, "widgets: ") || strings.Contains(problem, "context ") || strings.Contains(problem, "\n") {
			t.Errorf("a problem: %s", problem)
		}
	}
	return h
}

// healthy waits for that status, with a problem that says so, in answer, overview and metric.
func (g *gateway) healthy(t testing.TB, status adminapi.Status, problem string) {
	t.Helper()
	testbed.Succeeds(t, fmt.Sprintf("health is %s: %s", status, problem), func() error {
		h := g.health(t)
		var v adminapi.Overview
		g.askInto(t, "overview", &v)
		metric := fmt.Sprintf("health{status=%q}", status)
		if h.Status != status || !strings.Contains(strings.Join(h.Problems, "\n"), problem) || v.Health.Status != status || g.scrape(t)[metric] != 1 {
			return fmt.Errorf("%+v, overview %+v", h, v.Health)
		}
		return nil
	})
}

func TestHealthOfRedis(t *testing.T) {
	server := redistest.Start(t)
	g := live(t, "encryption_key {env.TEST_KEY}\nstale_if_error 6s\nwidgets redis redis://"+server.Addr, liveSite)
	secret := g.createInRedis(t)
	equal(t, g.outcome(t, "shop", secret), "verified", "at first")
	g.healthy(t, adminapi.OK, "")
	if c := g.call(t, "GET", "health", ""); c.body != `{"status":"ok"}`+"\n" {
		t.Errorf("%s", c.body)
	}
	server.Do("CONFIG", "SET", "maxmemory", "1")
	g.healthy(t, adminapi.Degraded, "maxmemory")
	server.Do("CONFIG", "SET", "maxmemory", "0")
	g.healthy(t, adminapi.OK, "")
	for name, begin := range map[string]func(){"killed": server.Kill, "stopped": server.Pause} {
		begin()
		if c := g.call(t, "POST", "widgets/shop/rotate", ""); c.status != http.StatusServiceUnavailable || strings.Contains(c.body, "context ") || !strings.Contains(c.body, "Nothing was changed: repeat this change after that") {
			t.Errorf("%s: a rotation: %d %s", name, c.status, c.body)
		}
		g.healthy(t, adminapi.Degraded, "Known widgets are served until")
		g.healthy(t, adminapi.Down, "No widget of the store is served any more")
		equal(t, g.outcome(t, "shop", secret), "unavailable unavailable", "%s", name)
		if name == "killed" {
			server.Restart()
		} else {
			server.Resume()
		}
		g.healthy(t, adminapi.OK, "")
	}
}

// TestLostWidgets empties Redis: the gateway says so everywhere, until there is a backup.
func TestLostWidgets(t *testing.T) {
	server := redistest.Start(t)
	p := newProcess(t, "encryption_key "+testEncryptionKey+"\nstale_if_error 1s\nwidgets redis redis://"+server.Addr, liveSite)
	p.run(t)
	secret := p.createInRedis(t)
	equal(t, p.outcome(t, "shop", secret), "verified", "at first")
	p.healthy(t, adminapi.OK, "")
	backup, _, err := p.command(t, "", "export")
	must(t, err)
	testbed.Until(t, "the store is noted", func() bool {
		notes, _ := filepath.Glob(filepath.Join(p.dir, "caddy", "chat_identity", "widgets-*"))
		return len(notes) == 1
	})
	lost := func(is bool) {
		t.Helper()
		var v adminapi.Overview
		p.askInto(t, "overview", &v)
		if (v.Store.Lost != "") != is || !v.Store.Reachable || !v.Writable || p.scrape(t)["store_lost{}"] != map[bool]float64{true: 1}[is] {
			t.Errorf("lost %t: %+v", is, v.Store)
		}
	}
	lost(false)
	server.Kill()
	server.Empty()
	server.Restart()
	p.healthy(t, adminapi.Down, "import")
	lost(true)
	equal(t, p.outcome(t, "shop", secret), "unavailable unavailable", "lost")
	out, stderr, err := p.command(t, "", "health")
	if err == nil || !strings.HasPrefix(out, "down\n- Redis has lost the widgets") || !strings.Contains(stderr, "is down") {
		t.Errorf("%q, %q, %v", out, stderr, err)
	}
	if !strings.Contains(p.log.String(), `"named":"shop"`) {
		t.Error("the log does not say which widget is unavailable")
	}
	for _, args := range [][]string{{"list"}, {"show", "shop"}, {"set", "shop", "--mode", "required"}, {"rotate", "shop"},
		{"delete", "shop", "--yes"}, {"create", "shop"}, {"create", "new"}} {
		if _, stderr, err := p.command(t, "", args...); err == nil || !strings.Contains(stderr, "Redis has lost the widgets") {
			t.Errorf("%v while they are lost: %v %s", args, err, stderr)
		}
	}
	p.kill(t)
	http.DefaultClient.CloseIdleConnections()
	p.run(t)
	equal(t, p.outcome(t, "shop", secret), "unavailable unavailable", "after a restart")
	p.healthy(t, adminapi.Down, "import")
	if _, stderr, err := p.command(t, backup, "import"); err != nil {
		t.Fatal(err, stderr)
	}
	p.healthy(t, adminapi.OK, "")
	lost(false)
	equal(t, p.outcome(t, "shop", secret), "verified", "after the import")
	server.Do("FLUSHALL")
	p.healthy(t, adminapi.Down, "accept-loss")
	for _, want := range []string{"is accepted", "Nothing to accept"} {
		if _, stderr, err := p.command(t, "", "store", "accept-loss"); err != nil || !strings.Contains(stderr, want) {
			t.Errorf("%v, %s, want %s", err, stderr, want)
		}
	}
	p.healthy(t, adminapi.OK, "")
	equal(t, p.outcome(t, "shop", secret), "invalid widget_unknown", "accepted")
	if n := strings.Count(p.log.String(), "was accepted through the admin API"); n != 1 {
		t.Errorf("acceptance was logged %d times", n)
	}
}

func TestHealthOfFiles(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	dir := t.TempDir()
	path, ledger := filepath.Join(dir, "widgets.jsonl"), filepath.Join(dir, "ledger.db")
	options := "widgets file " + path + "\nledger bolt " + ledger
	site := "handle /once {\n" + oneTime("required", "skew 1s") + "reverse_proxy UPSTREAM\n}\nhandle {\n" + liveSite + "\n}"
	g := live(t, options+"\nencryption_key {env.TEST_KEY}", site)
	secret := g.create(t, `{"id":"shop"}`)
	g.healthy(t, adminapi.OK, "")
	good := read(t, path)
	must(t, os.WriteFile(path, []byte("broken"), 0o600))
	g.healthy(t, adminapi.Degraded, "'caddy chat-identity export > "+path+"', as user ")
	if c := g.call(t, "POST", "store/accept-loss", ""); c.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", c.status, c.body)
	}
	equal(t, g.outcome(t, "shop", secret), "verified", "with a broken file")
	must(t, os.Remove(path))
	g.healthy(t, adminapi.Degraded, "accept-loss")
	var v adminapi.Overview
	if g.askInto(t, "overview", &v); v.Store.Lost == "" || v.Store.Reachable || g.scrape(t)["store_lost{}"] != 1 {
		t.Errorf("%+v", v.Store)
	}
	must(t, os.WriteFile(path, good, 0o600))
	g.healthy(t, adminapi.OK, "")

	// Of two keys, then of all.
	both := strings.Replace(g.config, "{env.TEST_KEY}", widgets.NewEncryptionKey()+" {env.TEST_KEY}", 1)
	load(t, both)
	g.create(t, `{"id":"other"}`)
	load(t, g.config)
	g.healthy(t, adminapi.Degraded, "if it is lost, rotate these widgets without a grace")
	g.rotate(t, "other", "{}")
	if h := g.health(t); h.Status != adminapi.OK {
		t.Errorf("no secret needs the missing key any more: %+v", h)
	}
	load(t, strings.Replace(g.config, "{env.TEST_KEY}", widgets.NewEncryptionKey(), 1))
	g.healthy(t, adminapi.Down, "encryption key")
	load(t, both)
	g.healthy(t, adminapi.OK, "")
	g.call(t, "DELETE", "widgets/other", "")

	must(t, os.Remove(ledger))
	g.healthy(t, adminapi.Down, "ledger")
	if c := g.call(t, "POST", "ledger/accept-loss", ""); c.status != 200 || !strings.Contains(c.body, `"one_time_from"`) {
		t.Errorf("%d %s", c.status, c.body)
	}
	g.healthy(t, adminapi.Degraded, "One-time signatures that were made before")
	g.healthy(t, adminapi.OK, "")
}

// TestHealthOfWhatIsUsed: what no handler needs is no problem.
func TestHealthOfWhatIsUsed(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://127.0.0.1:1", "chat_identity {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if h := g.health(t); h.Status != adminapi.OK {
			t.Fatalf("%+v", h)
		}
	}
}

// TestReplacedWidgets: next to another store's widgets, a list says that it is not all.
func TestReplacedWidgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	p := newProcess(t, "encryption_key "+testEncryptionKey+"\nwidgets file "+path, liveSite)
	_, _, err := p.offline(t, "create", "other")
	must(t, err)
	other := read(t, path)
	must(t, os.Remove(path))
	must(t, os.Remove(path+".lock"))
	p.run(t)
	secret := p.create(t, `{"id":"shop"}`)
	p.create(t, `{"id":"two"}`)
	must(t, os.WriteFile(path, other, 0o600))
	p.healthy(t, adminapi.Degraded, "none of the widgets that this gateway knew")
	out, stderr, err := p.command(t, "", "list")
	if err != nil || !strings.Contains(out, "other") || !strings.Contains(stderr, "Not all widgets are known: the file of widgets was replaced") {
		t.Errorf("%v %s%s", err, out, stderr)
	}
	if c := p.call(t, "POST", "widgets", `{"id":"new"}`); c.status != http.StatusConflict || !strings.Contains(c.body, "nothing was created") {
		t.Errorf("%d %s", c.status, c.body)
	}
	equal(t, p.outcome(t, "shop", secret), "invalid widget_unknown", "replaced")
	if !strings.Contains(p.log.String(), "No widget has the id that is named, but the file of widgets was replaced") {
		t.Error("the log's hint does not say why")
	}
}

// TestUnreadableStore: what is wrong with the store is not said to be a missing key, and while
// no configuration runs, not that it lacks the option.
func TestUnreadableStore(t *testing.T) {
	p := newProcess(t, "widgets file /dev/null", liveSite)
	p.run(t)
	if log := p.log.String(); strings.Contains(log, "there is no encryption key") || !strings.Contains(log, "the widgets cannot be read, so none can be created") {
		t.Errorf("%s", log)
	}
	must(t, caddy.Stop())
	if _, err := activeApp(); err == nil || !strings.Contains(err.Error(), "still being loaded") {
		t.Error(err)
	}
}

// TestForeignStore: a command as another user than the gateway's says whose it is.
func TestForeignStore(t *testing.T) {
	p := newProcess(t, "encryption_key "+testEncryptionKey+"\nwidgets file /sys/widgets.jsonl", liveSite)
	_, stderr, err := p.offline(t, "create", "shop")
	if strings.Contains(stderr, "read-only") {
		t.Skip("there is no folder that even the superuser cannot write to")
	}
	if err == nil || !strings.Contains(stderr, "(root owns /sys/widgets.jsonl): sudo -u root caddy chat-identity") {
		t.Errorf("%v %s", err, stderr)
	}
}

// TestMissingKeyShowsAtOnce: a request that lacks an encryption key is in health and metrics at
// once, before the widgets are counted again, and no longer than it is true.
func TestMissingKeyShowsAtOnce(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+redistest.Start(t).Addr, liveSite)
	secret := g.createInRedis(t)
	count(t)
	g.healthy(t, adminapi.OK, "")
	key, err := widgets.ParseEncryptionKey(widgets.NewEncryptionKey())
	must(t, err)
	app := active(t)
	must(t, app.store.Update(t.Context(), []string{"elsewhere"}, func(id string, _ *widgets.Record) (*widgets.Record, error) {
		return widgets.NewRecord(id, "", "", widgets.NewSecret(), widgets.NewRing(key), time.Now())
	}))
	equal(t, g.outcome(t, "elsewhere", testSecret), "unavailable unavailable", "a widget whose key is missing")
	h := g.health(t)
	if h.Status != adminapi.Degraded || !strings.Contains(strings.Join(h.Problems, "\n"), "encryption key "+key.ID()+" is missing") {
		t.Errorf("%+v", h)
	}
	equal(t, g.scrape(t)["missing_encryption_keys{}"], 1, "missing keys")
	equal(t, g.outcome(t, "shop", secret), "verified", "another widget")
	g.call(t, "POST", "widgets/elsewhere/rotate", "")
	count(t)
	g.healthy(t, adminapi.OK, "")
	equal(t, g.scrape(t)["missing_encryption_keys{}"], 0, "missing keys after its rotation")
}
