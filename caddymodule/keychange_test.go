package caddymodule

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// TestDocsKeyChange changes the encryption key of two gateways as docs/operations.md says, one
// gateway after the other. After each move, whatever either of them stores verifies at both.
func TestDocsKeyChange(t *testing.T) {
	_, text, _ := strings.Cut(documents(t)["docs/operations.md"], "**To change keys**")
	text, _, _ = strings.Cut(text, "\n### ")
	steps := regexp.MustCompile("(?m)^[1-9]\\. [^`]*(?:`caddy chat-identity keygen[^`]*`[^`]*)?`(encryption_key [^`]+|caddy chat-identity reseal)`").FindAllStringSubmatch(text, -1)
	if len(steps) != 4 {
		t.Fatalf("%d steps in %s", len(steps), text)
	}
	t.Setenv("CHAT_IDENTITY_KEY", testEncryptionKey)
	t.Setenv("CHAT_IDENTITY_NEW_KEY", base64.StdEncoding.EncodeToString([]byte("another-encryption-key--32-bytes")))
	f := newFleet(t, 2, "widgets redis redis://"+redistest.Start(t).Addr)
	current := map[*process]string{}
	for _, p := range f.gateways {
		current[p] = "encryption_key {env.TEST_KEY}"
	}
	if c := f.gateways[0].call(t, "POST", "keys/rotate", ""); c.status != 200 {
		t.Fatalf("%d %s", c.status, c.body)
	}
	secrets := map[string]string{}
	check := func(by *process, after string) {
		t.Helper()
		id := fmt.Sprintf("widget-%d", len(secrets))
		secrets[id] = by.create(t, `{"id":"`+id+`"}`)
		secrets["widget-0"] = by.rotate(t, "widget-0", "")
		for i, p := range f.gateways {
			for id, secret := range secrets {
				eventually(t, fmt.Sprintf("gateway %d does not verify %s after %s", i, id, after), func() bool { return f.verifies(t, p, id, secret) })
			}
			if out, stderr, err := p.command(t, "", "keys", "list"); err != nil {
				t.Errorf("gateway %d cannot read the signing keys after %s: %v %s%s", i, after, err, out, stderr)
			}
			p.healthy(t, "ok", "")
		}
	}
	check(f.gateways[1], "nothing")
	for _, step := range steps {
		if step[1] == "caddy chat-identity reseal" {
			if out, stderr, err := f.gateways[0].command(t, "", "reseal"); err != nil {
				t.Fatalf("%v %s%s", err, out, stderr)
			}
			check(f.gateways[0], step[1])
			continue
		}
		for _, p := range f.gateways {
			p.kill(t)
			f.client.CloseIdleConnections()
			p.config = strings.Replace(p.config, current[p], step[1], 1)
			current[p] = step[1]
			p.run(t)
			check(p, step[1])
		}
	}
}
