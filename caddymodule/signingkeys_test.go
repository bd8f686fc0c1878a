package caddymodule

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// keys returns the signing keys as kid and state, after checking that nothing else is said of
// them.
func (g *gateway) keys(t testing.TB) string {
	t.Helper()
	return keysIn(t, g.call(t, "GET", "keys", "").body)
}

func keysIn(t testing.TB, body string) string {
	t.Helper()
	var answer struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Keys == nil {
		t.Fatalf("%v: %s", err, body)
	}
	var all []string
	for _, key := range answer.Keys {
		if _, err := time.Parse(time.RFC3339, key["created"]); err != nil || len(key) != 3 || len(key["kid"]) != 43 {
			t.Errorf("%v: %v", err, key)
		}
		all = append(all, key["kid"]+" "+key["state"])
	}
	return strings.Join(all, ", ")
}

// TestSigningKeys: gateways that start at once have the same keys, which outlive all of them
// and are nowhere in the clear.
func TestSigningKeys(t *testing.T) {
	for _, store := range []string{"file", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			options := "encryption_key {env.TEST_KEY}\nwidgets file " + t.TempDir() + "/shared/widgets.jsonl"
			if store == "redis" {
				options = "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + redistest.Start(t).Addr
			}
			var fleet [3]*process
			for i := range fleet {
				fleet[i] = newProcess(t, options, liveSite)
				fleet[i].run(t)
				equal(t, fleet[i].keys(t), "", "nothing has needed a key yet")
			}
			var rotations sync.WaitGroup
			var answers [12]string
			for i := range answers {
				rotations.Go(func() {
					testbed.Succeeds(t, "a rotation", func() error {
						c, err := fleet[i%len(fleet)].tryCall("POST", "keys/rotate", "")
						if err == nil && c.status != 200 {
							err = fmt.Errorf("%d %s", c.status, c.body)
						} else if err == nil {
							answers[i] = c.body
						}
						return err
					})
				})
			}
			rotations.Wait()
			keys, rotated := keysIn(t, answers[0]), 0
			for i, answer := range answers {
				equal(t, keysIn(t, answer), keys, "rotation %d", i)
				rotated += strings.Count(answer, `"changed":true`)
			}
			equal(t, rotated, 1, "rotations that changed something")
			if states := strings.Fields(keys); len(states) != 4 || states[1] != "next," || states[3] != "current" {
				t.Fatalf("the keys are %s", keys)
			}
			for i, p := range fleet {
				testbed.Until(t, fmt.Sprintf("gateway %d knows them", i), func() bool { return p.keys(t) == keys })
			}
			fleet[1].kill(t)
			equal(t, fleet[0].keys(t), keys, "after another was killed")
			fleet[1].run(t)
			equal(t, fleet[1].keys(t), keys, "after kill -9")

			if out, stderr, err := fleet[2].offline(t, "keys", "list", "--json"); err != nil || keysIn(t, out) != keys {
				t.Errorf("offline: %v %s%s", err, out, stderr)
			}
			if out, stderr, err := fleet[2].command(t, "", "keys", "rotate", "--json"); err != nil || keysIn(t, out) != keys || !strings.Contains(out, `"changed":false`) {
				t.Errorf("%v %s%s", err, out, stderr)
			}

			// They are no widget, whoever asks.
			p := fleet[0]
			equal(t, p.outcome(t, widgets.SigningKeysID, testSecret), "invalid widget_unknown", "as a widget")
			equal(t, p.call(t, "GET", "widgets", "").body, "[]\n", "listed")
			equal(t, p.call(t, "DELETE", "widgets/"+widgets.SigningKeysID, "").status, 400, "deleted")
			exported, _, err := p.command(t, "", "export")
			if must(t, err); strings.Contains(exported, "signing") {
				t.Errorf("the export has them: %s", exported)
			}
			if c := p.call(t, "POST", "import?replace=true", `[{"id":"-signing-keys","created":"2026-01-02T03:04:05Z","rotated":"2026-01-02T03:04:05Z","secrets":[`+
				`{"kind":"signing_keys","version":"x","key":"0011223344556677","sealed":"`+strings.Repeat("QUFB", 20)+`"}]}]`); c.status != 400 || !strings.Contains(c.body, "not imported") {
				t.Errorf("imported: %d %s", c.status, c.body)
			}
			equal(t, p.keys(t), keys, "at last")
			for _, text := range []string{p.log.String(), fleet[1].log.String(), answers[0]} {
				if strings.Contains(text, `"d":`) || strings.Contains(text, "PRIVATE") || strings.Contains(text, "MIGHAgEAMBMGByqGSM49") { // PKCS #8
					t.Error("a private key shows")
				}
			}
			if store == "file" {
				if text := p.storeText(t); !strings.Contains(text, `"kind":"signing_keys"`) || strings.Contains(text, "MIGHAgEAMBMGByqGSM49") {
					t.Errorf("the store has %s", text)
				}
			}
		})
	}
}

// assertingSite needs the store for its signing keys alone.
const assertingSite = `chat_identity {
	secret {env.TEST_SECRET}
	assertion backend
	jwks_path /jwks
}
reverse_proxy UPSTREAM`

// asserted sends requests at once, and returns the key that signed all assertions, "" where
// they were refused for want of one.
func (g *gateway) asserted(t testing.TB) string {
	t.Helper()
	var kids [8]string
	var all sync.WaitGroup
	for i := range kids {
		all.Go(func() {
			response, err := http.Get(g.url)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			assertion := response.Header.Get("Echo")
			if response.StatusCode == http.StatusServiceUnavailable && assertion == "" {
				return
			}
			head, _, _ := strings.Cut(assertion, ".")
			text, err := base64.RawURLEncoding.DecodeString(head)
			var header struct{ Kid string }
			if err != nil || json.Unmarshal(text, &header) != nil || header.Kid == "" {
				t.Errorf("%d: the assertion is %q", response.StatusCode, assertion)
			}
			kids[i] = header.Kid
		})
	}
	all.Wait()
	for _, kid := range kids {
		equal(t, kid, kids[0], "the key of another assertion")
	}
	return kids[0]
}

// echo has the upstream answer with the assertion that it gets.
func (u *upstream) echo() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Echo", r.Header.Get("X-Verified-Assertion"))
	}
}

// published returns the ids of the keys at jwks_path.
func (g *gateway) published(t testing.TB) (kids []string) {
	t.Helper()
	response, err := http.Get(g.url + "/jwks")
	must(t, err)
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	must(t, json.NewDecoder(response.Body).Decode(&set))
	for _, key := range set.Keys {
		if !key.Valid() || !key.IsPublic() {
			t.Errorf("%s is published", key.KeyID)
		}
		kids = append(kids, key.KeyID)
	}
	return kids
}

// TestSigningKeysFleet: the first requests of a fleet, all at once, are signed by one key,
// which all gateways publish; a rotation is known to all before its key signs.
func TestSigningKeysFleet(t *testing.T) {
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	var fleet [3]*process
	for i := range fleet {
		fleet[i] = newProcess(t, options, assertingSite)
		fleet[i].upstream.echo()
		fleet[i].run(t)
	}
	var kids [len(fleet)]string
	var first sync.WaitGroup
	for i, p := range fleet {
		first.Go(func() { kids[i] = p.asserted(t) })
	}
	first.Wait()
	if kids[0] == "" {
		t.Fatal("no request has an assertion")
	}
	for i, p := range fleet {
		equal(t, kids[i], kids[0], "the key of gateway %d", i)
		equal(t, strings.Join(p.published(t), " "), kids[0], "published by gateway %d", i)
	}
	rotated := strings.Fields(keysIn(t, fleet[0].call(t, "POST", "keys/rotate", "").body))
	for i, p := range fleet {
		testbed.Until(t, "the next key is published", func() bool { return strings.Join(p.published(t), " ") == rotated[0]+" "+kids[0] })
		equal(t, p.asserted(t), kids[0], "still the key of gateway %d", i)
	}
	// A gateway that starts while Redis is away has no key, until Redis is back.
	server.Kill()
	fleet[1].kill(t)
	http.DefaultClient.CloseIdleConnections()
	fleet[1].run(t)
	equal(t, fleet[0].asserted(t), kids[0], "a known key while Redis is away")
	equal(t, fleet[1].asserted(t), "", "without a key")
	if _, stderr, err := fleet[0].offline(t, "keys", "list"); err == nil || !strings.Contains(stderr, "the store is unavailable") || strings.Contains(stderr, "answered 503") {
		t.Errorf("a command speaks for the gateway: %v %s", err, stderr)
	}
	fleet[1].healthy(t, adminapi.Down, "there is no key that signs assertions, so requests that need one are answered 503: this ends when the store can be used again")
	server.Restart()
	fleet[1].healthy(t, adminapi.OK, "")
	equal(t, fleet[1].asserted(t), kids[0], "with Redis back")
}

// TestSigningKeysResealed: another encryption key seals the same keys, and a lost one costs
// them, with a way out.
func TestSigningKeysResealed(t *testing.T) {
	next, other := widgets.NewEncryptionKey(), widgets.NewEncryptionKey()
	g := newLive(t, "encryption_key {env.TEST_KEY}", assertingSite)
	before := g.config
	with := func(keys string) {
		t.Helper()
		g.config = strings.Replace(before, "{env.TEST_KEY}", keys, 1)
		g.restart(t)
	}
	load(t, g.config)
	g.call(t, "POST", "keys/rotate", "")
	keys := g.keys(t)
	with(next + " {env.TEST_KEY}")
	if c := g.call(t, "POST", "reseal", ""); c.status != 200 || !strings.Contains(c.body, `"resealed":1,"unchanged":0}`) {
		t.Errorf("%d %s", c.status, c.body)
	}
	with(next)
	equal(t, g.keys(t), keys, "resealed")

	with(other)
	c := g.call(t, "GET", "keys", "")
	if c.status != 503 || !strings.Contains(c.Error, "encryption key ") || !strings.Contains(c.Error, "keys rotate") || strings.Contains(c.body, next) {
		t.Errorf("%d %s", c.status, c.body)
	}
	g.healthy(t, adminapi.Down, "there is no key that signs assertions, so requests that need one are answered 503: encryption key ")
	if _, err := active(t).signingKeys(context.Background()); err == nil {
		t.Error("a key that cannot be decrypted is replaced without an order")
	}
	if c := g.call(t, "POST", "keys/rotate", ""); c.status != 503 || !strings.Contains(c.Error, "keys rotate --replace") {
		t.Errorf("rotated without an order to replace them: %d %s", c.status, c.body)
	}
	c = g.call(t, "POST", "keys/rotate?replace=true", "")
	contains(t, c.body, `"changed":true,"replaced":"new"`)
	rotated := keysIn(t, c.body)
	if strings.Contains(keys, rotated[:43]) || g.keys(t) != rotated {
		t.Errorf("rotated to %s", rotated)
	}
	g.healthy(t, adminapi.OK, "")
	if age := g.scrape(t)["signing_key_age_seconds{}"]; age <= 0 || age > patience.Seconds() {
		t.Errorf("the key that signs is %v s old", age)
	}
}

// TestSigningKeysFileGone: a gateway whose file holds nothing but the keys says that it is
// gone while it can still sign, since after a restart it cannot.
func TestSigningKeysFileGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets file "+path, assertingSite)
	g.upstream.echo()
	kid := g.asserted(t)
	g.healthy(t, adminapi.OK, "")
	must(t, os.Remove(path))
	g.healthy(t, adminapi.Degraded, path)
	equal(t, g.asserted(t), kid, "with the file gone")
	g.restart(t)
	g.healthy(t, adminapi.Down, "there is no key that signs assertions")
	equal(t, g.asserted(t), "", "after a restart")
	equal(t, g.call(t, "POST", "store/accept-loss", "").status, 200, "accepted")
	g.healthy(t, adminapi.OK, "")
	if next := g.asserted(t); next == "" || next == kid {
		t.Errorf("the next key is %q", next)
	}
}

// TestSigningKeysOutage: known keys sign on while Redis is away, over a reload too, and a
// Redis that lost them is given no others until that is accepted.
func TestSigningKeysOutage(t *testing.T) {
	server := redistest.Start(t)
	g := newLive(t, "encryption_key {env.TEST_KEY}\nstale_if_error 0s\nwidgets redis redis://"+server.Addr, assertingSite)
	load(t, g.config)
	signer := func() string {
		t.Helper()
		keys, err := active(t).signingKeys(context.Background())
		must(t, err)
		return keys.Signer(time.Now()).ID
	}
	var ids [8]string
	var first sync.WaitGroup
	for i := range ids {
		first.Go(func() {
			keys, err := active(t).signingKeys(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = keys.Signer(time.Now()).ID
		})
	}
	first.Wait()
	for _, id := range ids {
		equal(t, id, ids[0], "the first key")
	}
	testbed.Until(t, "the store is noted", func() bool { // so that its loss is noticed
		_, err := os.Stat(dataPath("widgets-" + digestOf("redis://"+server.Addr+"?prefix=chat_identity%3A")))
		return err == nil
	})
	server.Kill()
	equal(t, signer(), ids[0], "while Redis is away")
	g.healthy(t, adminapi.Degraded, "the stored keys that sign assertions cannot be read")
	must(t, activate(adapted(t, strings.Replace(g.config, "grace_period 1s", "grace_period 2s", 1))))
	equal(t, signer(), ids[0], "after a reload while Redis is away")

	server.Empty()
	server.Restart()
	testbed.Until(t, "the loss is noticed", func() bool { return active(t).store.Loss() != "" })
	equal(t, signer(), ids[0], "after Redis lost them")
	if c := g.call(t, "POST", "keys/rotate", ""); c.status != 503 || !strings.Contains(c.Error, "has lost the widgets") {
		t.Errorf("a rotation: %d %s", c.status, c.body)
	}
	if c := g.call(t, "POST", "store/accept-loss", ""); c.status != 200 {
		t.Errorf("%d %s", c.status, c.body)
	}
	testbed.Until(t, "the keys that backends know are stored again", func() bool {
		record, err := active(t).store.Lookup(context.Background(), signingKeysID)
		return signer() == ids[0] && err == nil && record != nil
	})
	g.restart(t)
	equal(t, signer(), ids[0], "after a restart")
}
