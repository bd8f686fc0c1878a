package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// migrationSite accepts what the pages of a widget send before, while and after its
// customer goes from signatures to tokens.
const migrationSite = `chat_identity required {
	widget {header.X-Widget-Key}
	claim token header Authorization
	proof any
}
respond {http.chat_identity.user}`

// TestMigration: a widget goes from signatures to tokens under load, with a rotation and
// reloads on the way, and nobody who signs is refused.
func TestMigration(t *testing.T) {
	g := live(t, "", migrationSite)
	secrets := [2]string{g.create(t, `{"id":"shop"}`)}
	client := manyClients(8)
	var generation, tokens, signatures atomic.Int64 // how many of ten clients send tokens
	send := func(user string, byToken bool) {
		secret := secrets[generation.Load()]
		body := `{"text":"hi"}`
		if !byToken {
			body = fmt.Sprintf(`{"user_id":"%s","user_hash":"%s"}`, user, signWith(secret, user))
		}
		r, err := http.NewRequest(http.MethodPost, g.url+"/chat", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {"shop"}, "Idempotency-Key": {user}} // sent again if a reload closes the connection
		if byToken {
			r.Header.Set("Authorization", "Bearer "+jwt(secret, fmt.Sprintf(`{"sub":"%s","exp":%d}`, user, inAnHour())))
			tokens.Add(1)
		} else {
			signatures.Add(1)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Errorf("a request failed: %v", err)
			return
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || string(text) != user {
			t.Errorf("by token %v: %d %s, want %s", byToken, response.StatusCode, text, user)
		}
	}
	var share atomic.Int64 // of clients that send tokens, in tenths
	end := busy(t, 8, func(client, i int) {
		send(fmt.Sprintf("user-%d-%d", client, i), int64(i%10) < share.Load())
	})
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"pages begin to send tokens", func() { share.Store(3) }},
		{"the configuration is reloaded", func() { load(t, strings.Replace(g.config, "grace_period 1s", "grace_period 2s", 1)) }},
		{"the secret is rotated with a grace", func() {
			secrets[1] = g.rotate(t, "shop", `{"grace":"1h"}`)
			generation.Store(1)
		}},
		{"most pages send tokens", func() { share.Store(9) }},
		{"all pages do", func() { share.Store(10) }},
	} {
		t.Log(step.name)
		step.do()
		for before := tokens.Load(); tokens.Load() < before+200 && !t.Failed(); {
			g.call(t, http.MethodGet, "/widgets/shop/readiness", "") // the operator looks
		}
	}
	end()
	var ready adminapi.Readiness
	g.askInto(t, "/widgets/shop/readiness", &ready)
	if ready.Refused != 0 || int64(ready.Proofs.Token) != tokens.Load() || int64(ready.Proofs.Signature) != signatures.Load() {
		t.Errorf("%d refused, %+v; sent %d tokens and %d signatures", ready.Refused, ready.Proofs, tokens.Load(), signatures.Load())
	}
	if !strings.Contains(ready.Text, "were proved by a token") {
		t.Errorf("readiness says %q", ready.Text)
	}

	// The last step: signatures are half a claim from now on, tokens verify as before.
	load(t, strings.Replace(g.config, "proof any", "proof token", 1))
	send("zoe", true)
	signed := g.post(t, `{"user_id":"zoe","user_hash":"`+signWith(secrets[1], "zoe")+`"}`, "X-Widget-Key: shop")
	if signed.StatusCode != http.StatusUnauthorized || !strings.Contains(signed.body, `"reason":"partial"`) {
		t.Errorf("a signature under proof token: %d %s", signed.StatusCode, signed.body)
	}
}
