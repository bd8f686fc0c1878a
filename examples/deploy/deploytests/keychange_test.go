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

// TestKeyChange changes the encryption key of two gateways as the README says. Both serve
// what either writes, and at the end none has the old key.
func TestKeyChange(t *testing.T) {
	f := newFleet(t)
	g := f.gateways[0]
	g.command(t, "", "create", "shop")

	readme, err := os.ReadFile(filepath.Join(testbed.Root(t), "examples/deploy/README.md"))
	must(t, err)
	steps := regexp.MustCompile("(?s)\n1. `(openssl .*?)`.*?\n2. .*?`(encryption_key .*?)`.*?\n3. `(cd .*?)`").FindStringSubmatch(string(readme))
	if steps == nil {
		t.Fatal("the README does not say how to change the encryption key")
	}
	run := func(script string) {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = g.dir
		output(t, cmd)
	}
	caddyfile := filepath.Join(g.dir, "Caddyfile")
	before, err := os.ReadFile(caddyfile)
	must(t, err)
	both := regexp.MustCompile(`encryption_key \{file.*`).ReplaceAllLiteralString(string(before), steps[2])
	apply := func(gateways ...*gateway) {
		for _, g := range gateways {
			g.restart(t)
			if said, err := g.health(); err != nil || strings.TrimSpace(said) != "ok" {
				t.Fatalf("%s, %v", said, err)
			}
		}
	}

	old := secret(t, g.dir, "encryption_key")
	run(steps[1])
	must(t, os.WriteFile(caddyfile, []byte(both), 0o600))
	apply(f.gateways...)
	run(steps[3])
	if secret(t, g.dir, "encryption_key") == old || secret(t, g.dir, "other_encryption_key") != old {
		t.Fatal("the new key is not the first")
	}
	apply(g)
	// Half of the rollout is done, and both read what the other writes.
	rotated := strings.TrimSpace(g.command(t, "", "rotate", "shop"))
	claim := g.command(t, rotated, "sign", "--user", "user-123")
	serves := func(g *gateway) {
		testbed.Until(t, "the user to be verified", func() bool {
			said, _, err := send(t.Context(), http.DefaultClient, g, "/chat/messages", claim)
			return err == nil && said == "200 verified user-123"
		}, g.log)
	}
	serves(f.gateways[1])
	apply(f.gateways[1])
	g.command(t, "", "reseal")
	must(t, os.WriteFile(caddyfile, before, 0o600))
	must(t, os.Remove(filepath.Join(g.dir, "secrets/other_encryption_key")))
	apply(f.gateways...)
	for _, g := range f.gateways {
		serves(g)
	}
}
