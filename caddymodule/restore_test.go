package caddymodule

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// putBack replaces a file as a restored backup does, in one step.
func putBack(path string, copied []byte) error {
	return errors.Join(os.WriteFile(path+".copy", copied, 0o600), os.Rename(path+".copy", path))
}

// TestRestoreLedger: docs/restore.md says what a ledger does not notice, and why an
// operator has to wait: an old copy that is put back while the gateway is stopped,
// and the loss of everything that knew it.
func TestRestoreLedger(t *testing.T) {
	t.Parallel()
	l, before := startLoser(t)
	l.talk(t, "zoe", "before")
	l.kill(t)
	copied := read(t, l.path)
	l.run(t)
	since := l.use(t)
	l.talk(t, "zoe", "since")
	l.restart(t, func() error { return putBack(l.path, copied) })
	for k, want := range map[ticket]string{before: "403 replayed", since: "zoe"} {
		equal(t, l.once(t, k), want, "an old copy")
	}
	for conversation, want := range map[string]string{"before": "403 conversation_claimed", "since": "ada"} {
		equal(t, l.talk(t, "ada", conversation), want, "an old copy, conversation %s", conversation)
	}
	l.shows(t, false)

	used := l.use(t)
	l.restart(t, l.remove, l.removeNotes)
	equal(t, l.once(t, used), "zoe", "the ledger and both notes are lost")
	l.shows(t, false)
}

// TestRestoreKey: without its key a store is of no use, and no other key is created
// beside it. With another one configured, a rotation brings a widget back.
func TestRestoreKey(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "", liveSite)
	p.run(t)
	lost := p.create(t, `{"id":"shop"}`)
	p.kill(t)
	keys, _ := filepath.Glob(filepath.Join(p.dir, "*", "chat_identity", "encryption.key"))
	if len(keys) != 1 {
		t.Fatal(keys)
	}
	key := read(t, keys[0])
	must(t, os.Remove(keys[0]))
	p.run(t)
	equal(t, p.outcome(t, "shop", lost), "unavailable unavailable", "without the key")
	if c := p.call(t, "POST", "widgets/shop/rotate", ""); c.status != 503 || !strings.Contains(c.Error, "missing") {
		t.Errorf("%d %s", c.status, c.body)
	}
	if _, err := os.Stat(keys[0]); err == nil {
		t.Error("another key was created beside secrets that it cannot decrypt")
	}
	put := "put " + keys[0] + " back from a backup and restart, or configure encryption_key"
	if c := p.call(t, "GET", "widgets/shop", ""); !strings.Contains(c.Unavailable, put) || !strings.Contains(p.log.String(), put) {
		t.Errorf("the remedy: %s", c.body)
	}
	must(t, putBack(keys[0], key))
	if c := p.call(t, "GET", "widgets/shop", ""); !strings.Contains(c.Unavailable, "restart, since the key is in "+keys[0]+" again") {
		t.Errorf("the remedy once the key is back: %s", c.body)
	}
	p.kill(t)
	p.run(t)
	equal(t, p.outcome(t, "shop", lost), "verified", "with the key")
	p.kill(t)

	must(t, os.Remove(keys[0]))
	p.config = strings.Replace(p.config, "chat_identity {", "chat_identity {\nencryption_key {env.TEST_KEY}", 1)
	p.run(t)
	equal(t, p.outcome(t, "shop", p.rotate(t, "shop", "")), "verified", "rotated under another key")
}

// TestRestoreWithoutKey: an import into a gateway that cannot decrypt it says so, where
// it is seen, and what to do depends on which keys the gateway has.
func TestRestoreWithoutKey(t *testing.T) {
	t.Parallel()
	from := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	from.run(t)
	from.create(t, `{"id":"shop"}`)
	from.rotate(t, "shop", `{"grace":"1h"}`)
	from.create(t, `{"id":"bank"}`)
	exported, _, err := from.command(t, "", "export")
	must(t, err)
	from.kill(t)

	to := newProcess(t, "", "respond ok") // without handlers that look widgets up, no key is created at the start
	to.run(t)
	for _, args := range [][]string{{"import"}, {"import", "--replace", "--json"}} {
		stdout, stderr, err := to.command(t, exported, args...)
		if err == nil || stdout != "" || !strings.Contains(stderr, "nothing was imported: encryption key ") || !strings.Contains(stderr, " is missing: put ") {
			t.Errorf("%v: %v %s%s", args, err, stdout, stderr)
		}
	}
	equal(t, to.call(t, "GET", "widgets", "").body, "[]\n", "refused")
	for range 2 { // the second finds all of it there
		stdout, stderr, err := to.command(t, exported, "import", "--missing-keys")
		if err != nil || !strings.HasPrefix(stderr, "3 secrets cannot be decrypted: encryption key ") || !strings.Contains(stdout, "nchanged") {
			t.Errorf("%v %s%s", err, stdout, stderr)
		}
	}
	if text := to.log.String(); !strings.Contains(text, "imported widgets are unavailable") {
		t.Errorf("the log says: %s", text)
	}
	if c := to.call(t, "GET", "widgets/shop", ""); !strings.Contains(c.Unavailable, "encryption.key back from a backup") {
		t.Errorf("without a key: %s", c.body)
	}
	for _, id := range []string{"shop", "bank"} {
		to.call(t, "DELETE", "widgets/"+id, "")
	}
	to.create(t, `{"id":"own"}`)
	if _, stderr, err := to.command(t, exported, "import"); err == nil || !strings.Contains(stderr, "configure encryption_key with the key in ") {
		t.Errorf("beside a key of its own: %v %s", err, stderr)
	}
}

// TestRestoreWidgets: a copy taken while the gateway runs is whole, and one
// that is put back brings back what was retired since. The log names it.
func TestRestoreWidgets(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	p.run(t)
	retired := p.create(t, `{"id":"shop"}`)
	copied := read(t, widgetsFile(p.config))
	p.rotate(t, "shop", "")
	if got := p.outcome(t, "shop", retired); got == "verified" {
		t.Fatal(got)
	}
	must(t, putBack(widgetsFile(p.config), copied))
	eventually(t, "the copy is not served", func() bool { return p.outcome(t, "shop", retired) == "verified" })
	if text := p.log.String(); !strings.Contains(text, "older state") || !strings.Contains(text, "shop") {
		t.Errorf("the log says: %s", text)
	}
}

// TestRestoreDrill runs the documents' drill, on ports of its own.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	bash := newShell(t)
	ported := strings.NewReplacer("localhost:2029", fmt.Sprint("localhost:", freePort(t)), "localhost:8029", fmt.Sprint("localhost:", freePort(t)))
	must(t, os.WriteFile(filepath.Join(bash.dir, "Caddyfile"), []byte(ported.Replace(find(t, "caddyfile drill"))), 0o600))
	out := bash.run(t, "trap 'kill -9 $(cat caddy.pid)' ERR\n"+ported.Replace(find(t, "sh drill")), "")
	if got := regexp.MustCompile(`Successfully started Caddy .*\n`).ReplaceAllString(out, ""); got != find(t, "text drill") {
		t.Errorf("%s", out)
	}
}
