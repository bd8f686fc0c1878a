package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// audited returns the audit lines that were logged while do ran.
func audited(t *testing.T, do func()) (lines []map[string]any) {
	t.Helper()
	from, _ := caddyLog.Seek(0, io.SeekCurrent)
	do()
	to, _ := caddyLog.Seek(0, io.SeekCurrent)
	text, err := io.ReadAll(io.NewSectionReader(caddyLog, from, to-from))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["logger"] == "admin.api.chat_identity.audit" {
			lines = append(lines, fields)
		}
	}
	return lines
}

// TestAudit: each call that changes something or shows a secret leaves one line, also
// where it is refused, with versions in place of secrets.
func TestAudit(t *testing.T) {
	const brought = "a-secret-that-was-brought-along"
	g := live(t, "encryption_key {env.TEST_KEY}\nallow_reveal", liveSite)
	var v1, v2 string // versions
	version := func() string { return g.call(t, "GET", "widgets/shop", "").Secrets[0].Version }
	calls := []struct {
		action, method, path, body string
		check                      func(line map[string]any) bool
	}{
		{"create", "POST", "widgets", `{"id":"shop","mode":"optional","secret":"` + brought + `"}`, func(line map[string]any) bool {
			v1 = version()
			return line["new"] == v1 && line["mode"] == "optional" && line["retired"] == nil
		}},
		{"set", "PATCH", "widgets/shop", `{"mode":"required"}`, func(line map[string]any) bool {
			return line["mode"] == "required" && line["new"] == nil && line["dialect"] == nil
		}},
		{"rotate", "POST", "widgets/shop/rotate", `{"grace":"1h"}`, func(line map[string]any) bool {
			v2 = version()
			return line["new"] == v2 && strings.HasPrefix(line["in_grace"].([]any)[0].(string), v1+" until 20") && line["retired"] == nil
		}},
		{"end-grace", "POST", "widgets/shop/rotate", `{"end_grace":true}`, func(line map[string]any) bool {
			return line["new"] == nil && line["retired"].([]any)[0] == v1
		}},
		{"reveal", "POST", "widgets/shop/reveal", "", func(line map[string]any) bool { return line["version"] == v2 }},
		{"reseal", "POST", "reseal", "", func(line map[string]any) bool { return line["key"] != "" && line["resealed"] == 0.0 }},
		{"rotate-keys", "POST", "keys/rotate", "", func(line map[string]any) bool { return line["changed"] == true && line["newest"] != "" }},
		{"import", "POST", "import?replace=true", "EXPORT", func(line map[string]any) bool {
			return line["widget"] == "shop" && line["new"] == v2
		}},
		{"accept-loss", "POST", "ledger/accept-loss", "", nil},
		{"delete", "DELETE", "widgets/shop", "", func(line map[string]any) bool { return line["retired"].([]any)[0] == v2 }},
	}
	tried := map[string]bool{}
	secrets := []string{brought}
	for _, c := range calls {
		if c.body == "EXPORT" {
			c.body = g.call(t, "GET", "export", "").body
			g.call(t, "DELETE", "widgets/shop", "")
		}
		var answer *called
		lines := audited(t, func() { answer = g.call(t, c.method, c.path, c.body) })
		secrets = append(secrets, answer.Secret)
		if len(lines) != 1 {
			t.Fatalf("%s: %d lines: %v", c.action, len(lines), lines)
		}
		line := lines[0]
		tried[c.action] = true
		from, _ := line["from"].(string)
		if line["action"] != c.action || line["level"] != "info" || !strings.HasPrefix(from, "127.0.0.1:") {
			t.Errorf("%s: %v", c.action, line)
		}
		if c.check == nil { // the configuration has no use for a ledger
			equal(t, line["outcome"], any("refused"), "%s", c.action)
		} else if line["outcome"] != "done" || !c.check(line) {
			t.Errorf("%s: %v", c.action, line)
		}
		for _, secret := range secrets {
			if text, _ := json.Marshal(lines); secret != "" && strings.Contains(string(text), secret) {
				t.Errorf("%s: a secret is in %s", c.action, text)
			}
		}
	}

	// Nor is a secret in the place of an id.
	refused := audited(t, func() { g.call(t, "DELETE", "widgets/"+strings.Repeat("5d41402abc4b2a76", 4), "") })
	equal(t, refused[0]["widget"], any("(64 characters that look like a secret)"), "a secret as an id")

	// Whatever a browser sends for another website is refused, and audited: every call
	// but those that read.
	for _, call := range admin.Calls() {
		method, path, _ := strings.Cut(call, " ")
		path = strings.ReplaceAll(path, "{id}", "nobody")
		r, err := http.NewRequest(method, "http://"+g.admin+adminapi.Path+path, nil)
		must(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		lines := audited(t, func() {
			response, err := adminHTTP.Do(r)
			must(t, err)
			must(t, response.Body.Close())
		})
		if method == http.MethodGet {
			equal(t, len(lines), 0, "%s", call)
			continue
		}
		if len(lines) != 1 || lines[0]["outcome"] != "refused" || lines[0]["status"] != 403.0 || strings.Contains(call, "{id}") && lines[0]["widget"] != "nobody" {
			t.Errorf("%s: %v", call, lines)
			continue
		}
		action, _ := lines[0]["action"].(string)
		if !tried[action] && !slices.Contains([]string{"end-grace"}, action) {
			t.Errorf("%s: this test does not know the action %s", call, action)
		}
	}
	lines := audited(t, func() { g.call(t, "POST", "widgets", `{"id":"default"}`) })
	if len(lines) != 1 || lines[0]["widget"] != "default" || lines[0]["status"] != 400.0 {
		t.Errorf("create default: %v", lines)
	}
	// The body that was sent may be anything.
	for _, body := range []string{`{"` + brought + `":1}`, `{"id":"shop","secret":7}`, brought} {
		lines := audited(t, func() { g.call(t, "POST", "widgets", body) })
		if text, _ := json.Marshal(lines); len(lines) != 1 || lines[0]["outcome"] != "refused" || strings.Contains(string(text), brought) {
			t.Errorf("%s: %s", body, text)
		}
	}
}

// TestAuditUnixSocket: a client on a unix socket has no address, and a log of its own gets
// the lines.
func TestAuditUnixSocket(t *testing.T) {
	dir := t.TempDir()
	socket, log := filepath.Join(dir, "admin.sock"), filepath.Join(dir, "audit.log")
	load(t, "{\nadmin unix/"+socket+quiet+"log audit {\ninclude admin.api.chat_identity.audit\noutput file "+log+"\n}\n"+
		"chat_identity {\nencryption_key {env.TEST_KEY}\nwidgets file "+filepath.Join(dir, "widgets.jsonl")+"\n}\n}\n")
	if _, stderr, err := runCommand(t, "", "create", "shop", "--address", "unix/"+socket); err != nil {
		t.Fatalf("%v %s", err, stderr)
	}
	if text := string(read(t, log)); !strings.Contains(text, `"action":"create","outcome":"done","from":"unix socket","widget":"shop"`) || strings.Count(text, "\n") != 1 {
		t.Error(text)
	}
}
