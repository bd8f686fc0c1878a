package deploytests

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestRedisAway: once health fails because Redis is away, there is still somebody to serve,
// which is why Kubernetes does not ask health whether a gateway that has begun is ready.
func TestRedisAway(t *testing.T) {
	f := newFleet(t)
	g := f.gateways[0]
	caddyfile := filepath.Join(g.dir, "Caddyfile")
	text, err := os.ReadFile(caddyfile)
	must(t, err)
	sooner := strings.Replace(string(text), "max_spool 1GiB\n", "max_spool 1GiB\n\t\tstale_if_error 1s\n", 1)
	if sooner == string(text) {
		t.Fatal("the Caddyfile has no max_spool")
	}
	must(t, os.WriteFile(caddyfile, []byte(sooner), 0o600))
	g.restart(t)
	widget := strings.TrimSpace(g.command(t, "", "create", "shop"))
	claim := g.command(t, widget, "sign", "--user", "user-123")
	if said, _, err := send(t.Context(), http.DefaultClient, g, "/chat/messages", claim); err != nil || said != "200 verified user-123" {
		t.Fatalf("before: %s, %v", said, err)
	}

	must(t, f.redis.Process.Kill())
	testbed.Until(t, "health to fail", func() bool {
		_, err := g.health()
		return err != nil
	}, g.log)
	for outcome, body := range map[string]string{"anonymous": "{}", "unavailable": claim} {
		if said, _, err := send(t.Context(), http.DefaultClient, g, "/chat/messages", body); err != nil || said != "200 "+outcome+" " {
			t.Errorf("%s: %s, %v", outcome, said, err)
		}
	}
}
