package caddymodule

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// offline runs caddy chat-identity on the store of the process's configuration.
func (p *process) offline(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	file := filepath.Join(p.dir, "gateway.caddyfile")
	must(t, os.WriteFile(file, []byte(p.config), 0o600))
	cmd := caddyCommand(p.dir, append(append([]string{"chat-identity"}, args...), "--config", file)...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// secretOffline runs one that prints a secret.
func (p *process) secretOffline(t testing.TB, args ...string) string {
	t.Helper()
	out, stderr, err := p.offline(t, args...)
	if err != nil || len(out) != 65 || strings.Contains(stderr, strings.TrimSpace(out)) {
		t.Fatalf("%v: %v %s%s", args, err, out, stderr)
	}
	return strings.TrimSpace(out)
}

// TestOffline: commands on widgets work on the store itself, and a gateway that runs
// follows.
func TestOffline(t *testing.T) {
	for _, store := range []string{"file", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			options := "encryption_key {env.TEST_KEY}\nwidget inline {\nsecret {env.TEST_SECRET}\n}"
			if store == "redis" {
				options += "\nwidgets redis redis://" + redistest.Start(t).Addr
			}
			p := newProcess(t, options, liveSite)
			first := p.secretOffline(t, "create", "shop", "--mode", "required") // before the gateway first starts
			p.run(t)
			verifies := func(secret, want string) {
				t.Helper()
				eventually(t, "the gateway does not follow", func() bool { return p.outcome(t, "shop", secret) == want })
			}
			verifies(first, "verified")
			second := p.secretOffline(t, "rotate", "shop", "--grace", "1h")
			verifies(second, "verified")
			equal(t, p.outcome(t, "shop", first), "verified", "in grace")
			if out, _, err := p.offline(t, "show", "shop"); err != nil || !strings.Contains(out, "in grace until") || strings.Contains(out, "at this gateway") {
				t.Errorf("%v %s", err, out)
			}
			if _, stderr, err := p.offline(t, "rotate", "shop", "--end-grace"); err != nil || !strings.Contains(stderr, "has stopped verifying, at a running gateway within a second.") {
				t.Errorf("%v %s", err, stderr)
			}
			verifies(first, "401")
			if out, stderr, err := p.offline(t, "set", "shop", "--mode", ""); err != nil || !strings.Contains(out, "shop") {
				t.Errorf("%v %s%s", err, out, stderr)
			}
			verifies(first, "invalid invalid")
			if out, _, err := p.offline(t, "list"); err != nil || !strings.Contains(out, "inline") || !strings.Contains(out, "shop") {
				t.Errorf("%v %s", err, out)
			}
			out, stderr, err := p.offline(t, "show", "shop", "--json")
			if err != nil || !strings.Contains(out, `"source":"stored"`) || strings.Contains(out, "used_last_hour") || !strings.Contains(out, "gateway.caddyfile:") || strings.Contains(stderr, "audit") {
				t.Errorf("%v %s%s", err, out, stderr)
			}
			if out, stderr, err := p.offline(t, "keys", "rotate", "--json"); err != nil || strings.Count(out, `"kid"`) != 2 || !strings.Contains(stderr, `"action":"rotate-keys"`) {
				t.Errorf("%v %s%s", err, out, stderr)
			} else {
				eventually(t, "the gateway does not follow", func() bool { return p.keys(t) == keysIn(t, out) })
			}
			exported, _, err := p.offline(t, "export")
			if err != nil || !strings.Contains(exported, `"id":"shop"`) {
				t.Errorf("%v %s", err, exported)
			}
			// It is the configuration that allows it, whoever runs the command.
			if out, stderr, err := p.offline(t, "reveal", "shop"); err == nil || out != "" || !strings.Contains(stderr, "allow_reveal") ||
				!strings.Contains(stderr, `"action":"reveal","outcome":"refused","from":"the command line, as user `) {
				t.Errorf("%v %s%s", err, out, stderr)
			}
			running := p.config
			p.config = strings.Replace(running, "chat_identity {", "chat_identity {\nallow_reveal", 1)
			equal(t, p.secretOffline(t, "reveal", "shop"), second, "revealed")
			p.config = running
			for want, args := range map[string][]string{
				"defined in the configuration":    {"rotate", "inline"},
				"asks the running gateway":        {"stats"},
				"pass one of the two":             {"list", "--address", p.admin},
				"there is no widget with that id": {"show", "no"},
			} {
				if out, stderr, err := p.offline(t, args...); err == nil || out != "" || !strings.Contains(stderr, want) {
					t.Errorf("%v: %v %s%s", args, err, out, stderr)
				}
			}
			for _, c := range [][2]string{{"rotate", "Every earlier secret has stopped verifying"}, {"delete", "no longer verify anything"}} {
				if _, stderr, err := p.offline(t, c[0], "shop"); err != nil || !strings.Contains(stderr, c[1]+", at a running gateway within a second.") {
					t.Errorf("%v %s", err, stderr)
				}
			}
			verifies(second, "invalid widget_unknown")
		})
	}
}

// TestOfflineKey: a command creates no encryption key, and one that resolves to nothing is
// an error.
func TestOfflineKey(t *testing.T) {
	p := newProcess(t, "", liveSite)
	for _, args := range [][]string{{"create", "shop"}, {"keys", "rotate"}} {
		if out, stderr, err := p.offline(t, args...); err == nil || out != "" || !strings.Contains(stderr, "a command creates none") {
			t.Errorf("%v %s%s", err, out, stderr)
		}
	}
	for _, path := range findFiles(t, p.dir) {
		if strings.HasSuffix(path, "encryption.key") {
			t.Errorf("%s was created", path)
		}
	}
	p.run(t) // which creates one
	p.secretOffline(t, "create", "shop")
	p.config = strings.Replace(p.config, "chat_identity {", "chat_identity {\nencryption_key {env.NO_SUCH_KEY}", 1)
	if out, stderr, err := p.offline(t, "list"); err == nil || out != "" || !strings.Contains(stderr, "NO_SUCH_KEY is not set") {
		t.Errorf("%v %s%s", err, out, stderr)
	}
	p.config = "http://localhost:1 {\nchat_identity {\nwidget {header.X-Widget-Key}\n}\n}\n" // without the global option
	if _, stderr, err := p.offline(t, "list"); err != nil || !strings.Contains(stderr, "There are no widgets yet") || !strings.Contains(stderr, "there is no file of widgets yet") {
		t.Errorf("%v %s", err, stderr)
	}
	// An empty name comes from an unset variable of a script, and must not mean the gateway.
	if out, err := caddyCommand(p.dir, "chat-identity", "list", "--config", "").CombinedOutput(); err == nil || !strings.Contains(string(out), "--config is missing or empty") {
		t.Errorf("%v %s", err, out)
	}
	p.config = "http://localhost:1 {\nrespond ok\n}\n"
	if out, stderr, err := p.offline(t, "list"); err == nil || out != "" || !strings.Contains(stderr, "has no chat_identity") {
		t.Errorf("%v %s%s", err, out, stderr)
	}
}

// TestOfflineHandlers: which widgets a handler has or looks up is known without running
// its site.
func TestOfflineHandlers(t *testing.T) {
	p := newProcess(t, "encryption_key {env.TEST_KEY}", "chat_identity /a {\nsecret {env.NOT_SET_HERE}\n}\nchat_identity /b required {\nwidget shop\n}\nrespond ok")
	for _, c := range []struct {
		args      string
		ok        bool
		want, not string
	}{
		{"show default", true, "handler", "version"},
		{"rotate default", false, "the own widget of a handler", ""},
		{"create shop", true, "This is the secret of widget shop", "No request"},
		{"show shop --json", true, `"effective_mode":"required","mode_from":"handler"`, ""},
		{"create bank", true, "No request can use it. No handler's requests can name this widget", ""},
	} {
		out, stderr, err := p.offline(t, strings.Fields(c.args)...)
		if (err == nil) != c.ok || !strings.Contains(out+stderr, c.want) || c.not != "" && strings.Contains(out+stderr, c.not) {
			t.Errorf("%s: %v %s%s", c.args, err, out, stderr)
		}
	}
}
