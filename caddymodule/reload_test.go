package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// reloadable is a site whose secret is that of an environment variable.
func reloadable(t *testing.T, secret, site string) (g *gateway, config []byte) {
	t.Helper()
	g = newGateway(t, "off", "", "chat_identity required {\nsecret "+secret+"\n}\n"+site)
	t.Cleanup(func() { _ = caddy.Stop() })
	return g, adapted(t, g.config)
}

func reloadSecret(generation int64) string {
	return fmt.Sprintf("the-secret-of-generation-%d", generation)
}

// TestReloads changes the secret twenty times under load. No request fails, a
// secret from before the last reload verifies nothing, the current one does.
func TestReloads(t *testing.T) {
	const reloads = 20
	g, config := reloadable(t, "{env.RELOADED_SECRET}", "respond {http.chat_identity.user}")
	var begun, done, current, retired atomic.Int64
	reload := func(generation int64) {
		t.Helper()
		t.Setenv("RELOADED_SECRET", reloadSecret(generation))
		begun.Store(generation)
		must(t, activate(config))
		done.Store(generation)
	}
	reload(1)
	s := newStress(g, 4)
	s.client.Transport = retried{&http.Transport{DisableKeepAlives: true}}
	end := s.run(t, 4, func(i int) {
		generation := done.Load()
		if i%2 == 1 {
			if s.send(t, reloadSecret(generation-1)) {
				t.Error("a retired secret verifies")
			}
			retired.Add(1)
			return
		}
		// A reload that has begun may have retired it meanwhile.
		if !s.send(t, reloadSecret(generation)) && begun.Load() == generation {
			t.Error("the current secret does not verify")
		}
		current.Add(1)
	})
	for generation := int64(2); generation <= reloads+1; generation++ {
		before := current.Load() + retired.Load()
		reload(generation)
		for current.Load()+retired.Load() < before+8 && !t.Failed() {
			if !s.send(t, reloadSecret(generation)) {
				t.Error("after a reload the secret does not verify")
			}
		}
	}
	end()
	if current.Load() < reloads || retired.Load() < reloads {
		t.Errorf("%d requests with the current secret and %d with a retired one prove nothing", current.Load(), retired.Load())
	}
}

// TestFailedReload: a configuration that cannot be loaded says what is missing,
// and the previous one goes on serving.
func TestFailedReload(t *testing.T) {
	t.Setenv("RELOADED_SECRET", reloadSecret(1))
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte(reloadSecret(1)+"\n"), 0o600))
	for secret, spoil := range map[string]func(t *testing.T) (want string){
		"{env.RELOADED_SECRET}": func(t *testing.T) string {
			must(t, os.Unsetenv("RELOADED_SECRET"))
			return "RELOADED_SECRET"
		},
		"{file." + file + "}": func(t *testing.T) string {
			must(t, os.Remove(file))
			return file
		},
	} {
		t.Run(secret[:5], func(t *testing.T) {
			g, config := reloadable(t, secret, "reverse_proxy UPSTREAM")
			must(t, activate(config))
			good := `{"user_id":"zoe","user_hash":"` + signWith(reloadSecret(1), "zoe") + `"}`
			equal(t, g.post(t, good).StatusCode, 200, "status")
			want := spoil(t)
			for range 3 {
				errorSays(t, activate(config), want, "reload")
				equal(t, verdict(t, g.post(t, good)), "zoe", "after a failed reload")
				checkProblem(t, g.post(t, claim("zoe")), 401, "invalid", "bookbag")
			}
		})
	}
}

// TestEmptySecretsFail: an empty variable or file is no secret.
func TestEmptySecretsFail(t *testing.T) {
	t.Setenv("EMPTY_SECRET", "")
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte(" \r\n\r\n"), 0o600))
	for secret, want := range map[string]string{"{env.EMPTY_SECRET}": "EMPTY_SECRET", "{file." + file + "}": "empty", "{file." + filepath.Dir(file) + "}": filepath.Dir(file)} {
		errorSays(t, validate(":0 {\nchat_identity {\nsecret "+secret+"\n}\n}"), want, "%s", secret)
	}
}

// TestReloadsKeepTheStore reloads again and again under load, with rotations in
// between: no request fails, none is verified by a secret that is gone, and
// neither goroutines nor memory grow.
func TestReloadsKeepTheStore(t *testing.T) { testReloadsKeepTheStore(t, 20, 8) }

func testReloadsKeepTheStore(t *testing.T, reloads, clients int) {
	g := newLive(t, "cache 1MiB", echo)
	config := adapted(t, g.config)
	t.Cleanup(func() { _ = caddy.Stop() })
	reload := func() {
		t.Helper()
		must(t, activate(config))
	}
	reload()
	r := new(rotations)
	r.append(g.create(t, `{"id":"shop"}`))
	r.append(g.rotate(t, "shop", ""))
	r.begun.Store(1)
	s := newStress(g, clients)
	s.client.Transport = retried{&http.Transport{DisableKeepAlives: true}}
	end := s.run(t, clients, func(i int) {
		generation := r.done.Load()
		if i%2 == 1 {
			if s.send(t, r.secret(generation-1)) {
				t.Error("a secret that is gone verifies")
			}
		} else if !s.send(t, r.secret(generation)) && r.begun.Load() == generation {
			t.Error("the current secret does not verify")
		}
	})
	for i := range reloads {
		before := s.sent.Load()
		reload()
		if i%10 == 0 {
			r.begun.Add(1)
			c, err := g.tryCall("POST", "widgets/shop/rotate", "")
			for err != nil { // as retried says
				c, err = g.tryCall("POST", "widgets/shop/rotate", "")
			}
			r.append(c.Secret)
		}
		for s.sent.Load() < before+4 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	end()

	// Without load, as many more leave nothing behind.
	measure := func() (goroutines int, heap uint64) {
		var memory runtime.MemStats
		for range 5 {
			runtime.GC()
			time.Sleep(20 * time.Millisecond)
		}
		runtime.ReadMemStats(&memory)
		return runtime.NumGoroutine(), memory.HeapAlloc
	}
	goroutines, heap := measure()
	for range reloads {
		reload()
	}
	eventually(t, "goroutines or memory grow", func() bool {
		g2, h2 := measure()
		// Caddy itself keeps a few things of the last configurations.
		return g2 <= goroutines+10 && h2 < heap+8<<20
	})
	if !s.send(t, r.secret(r.done.Load())) {
		t.Error("after all reloads the current secret does not verify")
	}
}

// TestUnknownWidgetsCostNothing: made-up widgets take no memory.
func TestUnknownWidgetsCostNothing(t *testing.T) {
	const requests, before = 1_000_000, 10_000
	app := new(App)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	app.WidgetsRaw = json.RawMessage(`{"store":"file","path":"` + filepath.Join(t.TempDir(), "widgets.jsonl") + `"}`)
	must(t, app.Provision(ctx))
	defer app.Cleanup()
	var w widget
	id := []byte("stranger-0000000000")
	ask := func(n int) {
		for i := range n {
			copy(id[len("stranger-"):], fmt.Sprintf("%010d", i))
			if found, err := app.lookup(t.Context(), id, &w); found || err != nil {
				t.Fatalf("found %v, %v", found, err)
			}
			app.traffic.Count("", traffic.FindingOf("invalid", "widget_unknown"), 1, 0)
		}
	}
	heap := func() uint64 {
		var memory runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	cached := app.opener.Stats() // others may have used it
	ask(before)
	first := heap()
	ask(requests)
	if last := heap(); last > first+1<<20 {
		t.Errorf("%d bytes became %d", first, last)
	}
	if stats := app.opener.Stats(); stats.Misses > cached.Misses || stats.Cost > cached.Cost {
		t.Errorf("the cache was asked for what does not exist: %+v, before %+v", stats, cached)
	}
}

// TestCountsEnd: a reload keeps the counts, and they go with the last configuration.
func TestCountsEnd(t *testing.T) {
	g := live(t, "", liveSite)
	counts := active(t).traffic
	load(t, strings.Replace(g.config, "grace_period 1s", "grace_period 2s", 1))
	if now := active(t).traffic; now != counts {
		t.Error("a reload begins to count anew")
	}
	must(t, caddy.Stop())
	if users, there := pool.References(poolKey[*traffic.Traffic]("")); there {
		t.Errorf("%d configurations still use the counts", users)
	}
}
