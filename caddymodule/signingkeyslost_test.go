package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSigningKeysReloaded: a reload without the encryption key of the signing keys says so
// while the gateway can still sign, since after a restart it cannot.
func TestSigningKeysReloaded(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}", assertingSite)
	g.upstream.echo()
	kid := g.asserted(t)
	load(t, strings.Replace(g.config, "{env.TEST_KEY}", widgets.NewEncryptionKey(), 1))
	g.healthy(t, adminapi.Degraded, "the stored keys that sign assertions cannot be read")
	if problems := strings.Join(g.health(t).Problems, "\n"); !strings.Contains(problems, "if it is lost, replace the signing keys by 'caddy chat-identity keys rotate --replace', after which a gateway without ") || strings.Contains(problems, "widgets") {
		t.Error(problems)
	}
	equal(t, g.asserted(t), kid, "still known")
	contains(t, g.call(t, "POST", "reseal", "").body, `"failed":[{"id":"-signing-keys","error":"encryption key `)
	if found := fmt.Sprint(active(t).keyFindings()); !strings.Contains(found, "the keys that sign assertions cannot be decrypted") || strings.Contains(found, "widgets") ||
		!strings.Contains(found, ". Add the encryption key of that id") {
		t.Error(found)
	}
	load(t, g.config)
	g.healthy(t, adminapi.OK, "")
}

// count takes a census now.
func count(t testing.TB) {
	t.Helper()
	found, err := active(t).takeCensus(context.Background())
	must(t, err)
	active(t).census.Store(found)
}

// TestSigningKeysAreNoWidget: where nothing signs assertions, nobody misses the encryption key
// of signing keys that were used before, and where something does, no widget is blamed.
func TestSigningKeysAreNoWidget(t *testing.T) {
	for name, store := range map[string]string{"file": "", "redis": "\nwidgets redis redis://" + redistest.Start(t).Addr} {
		t.Run(name, func(t *testing.T) {
			g := newLive(t, "encryption_key {env.TEST_KEY}"+store, "chat_identity {\nwidget {header.X-Widget-Key}\njwks_path /jwks\n}\nreverse_proxy UPSTREAM")
			load(t, strings.Replace(g.config, "{env.TEST_KEY}", widgets.NewEncryptionKey(), 1))
			g.published(t)
			load(t, strings.Replace(g.config, "jwks_path /jwks", "", 1))
			secret := g.create(t, `{"id":"shop"}`)
			count(t)
			g.healthy(t, adminapi.OK, "")
			equal(t, g.scrape(t)["missing_encryption_keys{}"], 0, "missing keys")
			g.restart(t)
			count(t)
			g.healthy(t, adminapi.Down, "there is no key that signs assertions")
			if problems := g.health(t).Problems; len(problems) != 1 || strings.Contains(problems[0], "widgets") {
				t.Errorf("%q", problems)
			}
			equal(t, g.outcome(t, "shop", secret), "verified", "with the signing keys lost")
			g.call(t, "POST", "keys/rotate?replace=true", "")
			g.healthy(t, adminapi.OK, "")
		})
	}
}

// TestSigningKeysFaultIsOver: between the end of an outage and the next look at the keys,
// health does not name what is over as the cause.
func TestSigningKeysFaultIsOver(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}", assertingSite)
	g.published(t)
	a := active(t)
	testbed.Until(t, "health is read before the keys are", func() bool {
		a.signing.fault.Store(&signingFault{err: errors.New("nothing listens at the port"), away: true})
		var h adminapi.Health
		a.signingHealth(&h)
		if strings.Contains(strings.Join(h.Problems, "\n"), "nothing listens") {
			t.Fatal(h.Problems)
		}
		return len(h.Problems) == 1 && strings.HasSuffix(h.Problems[0], "the store can be used again, and they are read within seconds")
	})
	g.healthy(t, adminapi.OK, "")
}

// TestSigningKeysOfAnother: a gateway with a wrong encryption key does not take the keys from
// those that have the right one, and one that still knows them can put them back.
func TestSigningKeysOfAnother(t *testing.T) {
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	good, wrong := newProcess(t, options, assertingSite), newProcess(t, strings.Replace(options, "{env.TEST_KEY}", widgets.NewEncryptionKey(), 1), assertingSite)
	good.upstream.echo()
	good.run(t)
	kid := good.asserted(t)
	wrong.run(t)
	record := func() string { return server.Do("GET", "chat_identity:{w}:"+widgets.SigningKeysID) }
	before := record()
	if _, stderr, err := wrong.command(t, "", "keys", "rotate"); err == nil || !strings.Contains(stderr, "keys rotate --replace") {
		t.Errorf("%v %s", err, stderr)
	}
	equal(t, record(), before, "what is stored")
	_, stderr, err := wrong.command(t, "", "keys", "rotate", "--replace")
	must(t, err)
	contains(t, stderr, "were replaced by a new one")
	good.healthy(t, adminapi.Degraded, "the stored keys that sign assertions cannot be read")
	equal(t, good.asserted(t), kid, "still known")
	_, stderr, err = good.command(t, "", "keys", "rotate", "--replace")
	must(t, err)
	contains(t, stderr, "were replaced by those that this gateway knows")
	good.healthy(t, adminapi.OK, "")
	equal(t, good.asserted(t), kid, "put back")
	contains(t, good.log.String(), `"replaced_by":"known"`)
	// Readable keys are rotated as ever.
	_, stderr, err = good.command(t, "", "keys", "rotate", "--replace")
	must(t, err)
	contains(t, stderr, "Nothing was changed: there is a next key already, which signs at ")
}

// TestSigningKeysLostWithTheirKey: where only the signing keys need the encryption key that is
// gone, nobody is advised to rotate widgets.
func TestSigningKeysLostWithTheirKey(t *testing.T) {
	g := live(t, "", assertingSite)
	g.published(t)
	must(t, caddy.Stop())
	must(t, os.Remove(madeKeyPath()))
	load(t, g.config)
	c := g.call(t, "POST", "keys/rotate?replace=true", "")
	if c.status != 503 || !strings.Contains(c.Error, "and replace the signing keys by ") || strings.Contains(c.Error, "these widgets") {
		t.Errorf("%d %s", c.status, c.body)
	}
}

// TestSigningKeysLongerLifetime: a reload that gives assertions more time gives it to a key
// that still signs, too.
func TestSigningKeysLongerLifetime(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}", assertingSite)
	g.call(t, "POST", "keys/rotate", "")
	both := g.keys(t)
	load(t, strings.Replace(g.config, "{env.TEST_KEY}", "{env.TEST_KEY}\nassertion {\nlifetime 1h\n}", 1))
	equal(t, g.keys(t), both, "after a reload")
	keys, err := active(t).signingKeys(context.Background())
	must(t, err)
	signs := time.Now().Add(assertion.Notice)
	if n := len(keys.Public(signs.Add(time.Hour)).Keys); n != 2 {
		t.Errorf("%d keys are published when the last assertion of the previous one expires", n)
	}
	if n := len(keys.Public(signs.Add(time.Hour + assertion.Notice)).Keys); n != 1 {
		t.Errorf("%d keys are published after that", n)
	}
}

// TestSigningKeysBroken: a record that is none is told of as soon as the gateway has started,
// and nobody is advised to create a widget.
func TestSigningKeysBroken(t *testing.T) {
	server := redistest.Start(t)
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, assertingSite)
	g.published(t)
	must(t, caddy.Stop())
	key := "chat_identity:{w}:" + widgets.SigningKeysID
	server.Do("SET", key, "broken")
	load(t, g.config)
	testbed.Until(t, "the gateway has looked", func() bool { return active(t).signing.fault.Load() != nil })
	g.healthy(t, adminapi.Down, "requests that need one are answered 503: the record of the signing keys cannot be used: it cannot be decoded: restore the key '"+key+"' in Redis from a backup, or delete it there, and a gateway stores")
	contains(t, g.call(t, "POST", "keys/rotate?replace=true", "").Error, "the record of the signing keys cannot be used: it cannot be decoded")
	server.Do("DEL", key)
	g.healthy(t, adminapi.OK, "")
}

// TestSigningKeysHanging: requests are signed by known keys while Redis accepts what is asked
// and never answers, which takes the store seconds to be sure of.
func TestSigningKeysHanging(t *testing.T) {
	server := redistest.Start(t)
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, assertingSite)
	g.upstream.echo()
	kid := g.asserted(t)
	signed := 0
	testbed.Until(t, "an assertion is signed before the store is found hanging", func() bool {
		server.Pause()
		defer server.Resume()
		for paused := time.Now(); active(t).store.Err() == nil; {
			expired := time.Since(paused) > 1200*time.Millisecond // what the store has cached
			equal(t, g.asserted(t), kid, "while Redis hangs")
			if expired && active(t).store.Err() == nil {
				signed++
			}
		}
		server.Resume()
		g.healthy(t, adminapi.OK, "")
		return signed > 0
	})
}

// TestSigningKeysNeed: to ask how a gateway is creates no key; to ask for the keys does.
func TestSigningKeysNeed(t *testing.T) {
	for name, need := range map[string]func(*gateway, testing.TB){
		"an assertion": func(g *gateway, t testing.TB) { g.asserted(t) },
		"jwks_path":    func(g *gateway, t testing.TB) { g.published(t) },
		"the admin's":  func(g *gateway, t testing.TB) { g.call(t, "GET", "jwks", "") },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, assertingSite)
			g.upstream.echo()
			key := "chat_identity:{w}:" + widgets.SigningKeysID
			// An outage, so that what follows it is seen.
			server.Kill()
			g.healthy(t, adminapi.Down, "there is no key that signs assertions")
			server.Restart()
			g.healthy(t, adminapi.OK, "")
			for _, path := range []string{"health", "keys", "stats"} {
				g.call(t, "GET", path, "")
			}
			g.scrape(t)
			equal(t, server.Do("EXISTS", key), "0", "keys stored")
			need(g, t)
			equal(t, server.Do("EXISTS", key), "1", "keys stored")
		})
	}
}

// TestSigningKeysNeeded: where requests were refused for want of a key, it is created for the
// next ones, since a gateway whose health is down may get none meanwhile.
func TestSigningKeysNeeded(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, assertingSite)
	g.upstream.echo()
	equal(t, g.asserted(t), "", "without Redis")
	server.Launch()
	testbed.Until(t, "a key is stored", func() bool { return server.Do("EXISTS", "chat_identity:{w}:"+widgets.SigningKeysID) == "1" })
	g.healthy(t, adminapi.OK, "")
}
