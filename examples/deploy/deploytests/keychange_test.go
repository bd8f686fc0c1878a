package deploytests

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestKeyChange changes the encryption key as the README says. At its end the widget is
// there, and no gateway has the old key.
func TestKeyChange(t *testing.T) {
	f := newFleet(t)
	g := f.gateways[0]
	widget := strings.TrimSpace(g.command(t, "", "create", "shop"))
	claim := g.command(t, widget, "sign", "--user", "user-123")

	readme, err := os.ReadFile(filepath.Join(testbed.Root(t), "examples/deploy/README.md"))
	must(t, err)
	steps := regexp.MustCompile("(?s)\n1. `(mv .*?)`.*?\n2. .*?`(encryption_key .*?)`").FindStringSubmatch(string(readme))
	if steps == nil {
		t.Fatal("the README does not say how to change the encryption key")
	}
	mv := exec.Command("sh", "-ec", steps[1])
	mv.Dir = g.dir
	output(t, mv)
	caddyfile := filepath.Join(g.dir, "Caddyfile")
	before, err := os.ReadFile(caddyfile)
	must(t, err)
	both := regexp.MustCompile(`encryption_key \{file.*`).ReplaceAllLiteralString(string(before), steps[2])
	if both == string(before) {
		t.Fatal("the Caddyfile has no encryption key")
	}
	for _, text := range []string{both, string(before)} {
		must(t, os.WriteFile(caddyfile, []byte(text), 0o600))
		must(t, g.process.Process.Kill())
		_ = g.process.Wait()
		g.start(t)
		if said, err := g.health(); err != nil || strings.TrimSpace(said) != "ok" {
			t.Fatalf("with %d keys: %s, %v", strings.Count(text, "encryption_key}"), said, err)
		}
		g.command(t, "", "reseal")
	}
	if said, _, err := send(t.Context(), http.DefaultClient, g, "/chat/messages", claim); err != nil || said != "200 verified user-123" {
		t.Errorf("with the new key alone: %s, %v", said, err)
	}
}
