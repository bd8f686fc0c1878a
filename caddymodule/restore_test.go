package caddymodule

import (
	"errors"
	"os"
	"path/filepath"
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
	p.kill(t)
	must(t, putBack(keys[0], key))
	p.run(t)
	equal(t, p.outcome(t, "shop", lost), "verified", "with the key")
	p.kill(t)

	must(t, os.Remove(keys[0]))
	p.config = strings.Replace(p.config, "chat_identity {", "chat_identity {\nencryption_key {env.TEST_KEY}", 1)
	p.run(t)
	equal(t, p.outcome(t, "shop", p.rotate(t, "shop", "")), "verified", "rotated under another key")
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
