package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/filestore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// TestExportImport moves widgets from one gateway to another.
func TestExportImport(t *testing.T) {
	t.Parallel()
	from := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	from.run(t)
	secrets := map[string]string{}
	for i := range 5 {
		id := fmt.Sprintf("shop-%d", i)
		secrets[id] = from.create(t, `{"id":"`+id+`","mode":"required"}`)
	}
	old := secrets["shop-0"]
	secrets["shop-0"] = from.rotate(t, "shop-0", `{"grace":"1h"}`)
	exported, stderr, err := from.command(t, "", "export")
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	for id, secret := range secrets {
		if strings.Contains(exported, secret) {
			t.Errorf("the export holds the secret of %s", id)
		}
	}
	if exported != from.storeText(t) {
		t.Error("the export is not what the store's file is")
	}
	from.kill(t)

	to := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	to.run(t)
	http.DefaultClient.CloseIdleConnections()
	run := func(input string, wantErr bool, want string, args ...string) {
		t.Helper()
		stdout, stderr, err := to.command(t, input, append([]string{"import"}, args...)...)
		if (err != nil) != wantErr || !strings.Contains(strings.Join(strings.Fields(stdout+stderr), " "), want) {
			t.Errorf("%v: %v, %s%s, want %s", args, err, stdout, stderr, want)
		}
	}
	run(exported[:len(exported)-10], true, "not a complete export")
	run(strings.Replace(exported, "required", "off", 1), true, "not a complete export")
	if c := to.call(t, "GET", "widgets", ""); c.body != "[]\n" {
		t.Errorf("half an import: %s", c.body)
	}
	run(exported, false, "imported: 5 unchanged: 0")
	run(exported, false, "imported: 0 unchanged: 5")
	for id, secret := range secrets {
		equal(t, to.outcome(t, id, secret), "verified", "%s", id)
	}
	equal(t, to.outcome(t, "shop-0", old), "verified", "in grace")
	rotated := to.rotate(t, "shop-1", "")
	run(exported, true, `"kept":["shop-1"]`, "--json")
	equal(t, to.outcome(t, "shop-1", secrets["shop-1"]), "401", "an import has brought a retired secret back")
	run(exported, false, "imported: 1 unchanged: 4", "--replace")
	equal(t, to.outcome(t, "shop-1", rotated), "401", "after --replace")
	// A record under another id cannot be decrypted.
	stolen := strings.Replace(to.call(t, "GET", "export", "").body, `"id":"shop-2"`, `"id":"thief"`, 1)
	if c := to.call(t, "POST", "import", stolen); c.status != 200 {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	if got := to.outcome(t, "thief", secrets["shop-2"]); got != "optional" && got != "503" {
		t.Errorf("a stolen record: %s", got)
	}
	if c := to.call(t, "GET", "widgets/thief", ""); !strings.Contains(c.Unavailable, "copied from another widget") {
		t.Errorf("%s", c.body)
	}
	for body, want := range map[string]string{
		`[null]`: "null", `[{"id":"x"}]`: "bad record", `{}`: "wrong type", `[`: "not valid JSON",
	} {
		if c := to.call(t, "POST", "import", body); c.status != 400 || !strings.Contains(c.Error, want) {
			t.Errorf("%s: %d %s", body, c.status, c.body)
		}
	}
}

// TestImportMissingKey: a key that only the last of many widgets needs is missed before
// any of them is stored.
func TestImportMissingKey(t *testing.T) {
	var records []*widgets.Record
	known, err := widgets.ParseEncryptionKey(testEncryptionKey)
	must(t, err)
	other, err := widgets.ParseEncryptionKey(widgets.NewEncryptionKey())
	must(t, err)
	for i := range 1100 {
		ring := widgets.NewRing(known)
		if i == 1099 {
			ring = widgets.NewRing(other)
		}
		r, err := widgets.NewRecord(fmt.Sprintf("shop-%04d", i), "", "", widgets.NewSecret(), ring, time.Now())
		must(t, err)
		records = append(records, r)
	}
	var export strings.Builder
	must(t, filestore.Write(&export, records))
	g := live(t, "encryption_key {env.TEST_KEY}", liveSite)
	out, stderr, err := runCommand(t, export.String(), "import", "--address", g.admin)
	if err == nil || out != "" || !strings.Contains(stderr, "Error: nothing was imported: encryption key "+other.ID()+" is missing") || !strings.Contains(stderr, "encryption_key, which has only "+known.ID()) {
		t.Errorf("%v %s%s", err, out, stderr)
	}
	equal(t, g.call(t, "GET", "widgets", "").body, "[]\n", "refused")
	out, stderr, err = runCommand(t, export.String(), "import", "--missing-keys", "--address", g.admin)
	if err != nil || !strings.Contains(strings.Join(strings.Fields(out), " "), "imported: 1100") || !strings.Contains(stderr, "1 secret cannot be decrypted") {
		t.Errorf("%v %s%s", err, out, stderr)
	}
}
