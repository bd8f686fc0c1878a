package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoteAside: where no note can be written beside the widgets, it is in Caddy's
// data directory, and a loss is noticed all the same.
func TestNoteAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := &loser{process: newProcess(t, "widgets file /proc/chat_identity/widgets.jsonl\nledger bolt "+path, losing), path: path}
	l.run(t)
	used := l.use(t)
	notes, _ := filepath.Glob(filepath.Join(l.dir, "caddy", "chat_identity", "ledger-*"))
	if len(notes) != 1 {
		t.Fatal(notes)
	}
	if info, err := os.Stat(notes[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	l.restart(t)
	l.shows(t, false)
	l.restart(t, l.remove)
	l.shows(t, true)
	equal(t, l.once(t, used), "503 unavailable", "used before the loss")
	l.accept(t, "is accepted")
	l.restart(t)
	l.shows(t, false)
}

// TestNoNote: a ledger that cannot be noted anywhere is not used, and the log says why.
func TestNoNote(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	l.config = strings.Replace(l.config, widgetsFile(l.config), "/proc/chat_identity/widgets.jsonl", 1)
	data := filepath.Join(l.dir, "caddy", "chat_identity")
	must(t, os.MkdirAll(filepath.Dir(data), 0o700))
	must(t, os.WriteFile(data, nil, 0o600)) // no folder
	l.run(t)
	equal(t, l.once(t, newToken("zoe")), "503 unavailable", "a token")
	if text := l.since(); !strings.Contains(text, "same ledger as before") && !strings.Contains(text, "cannot be noted") {
		t.Errorf("the log does not say why: %s", text)
	}
	equal(t, l.talk(t, "zoe", "c1"), "503 unavailable", "a conversation")
	must(t, os.Remove(data))
	l.use(t) // without a restart
}

// TestNoteDamaged: a damaged note is the note of an unknown ledger.
func TestNoteDamaged(t *testing.T) {
	t.Parallel()
	l, _ := startLoser(t)
	note := notesOf(l.config)[0]
	damage := func(text string) {
		t.Helper()
		l.restart(t, func() error { return os.WriteFile(note, []byte(text), 0o600) })
	}
	for _, text := range []string{"x\n", "one two\n"} {
		damage(text)
		l.shows(t, true)
		l.accept(t, "is accepted")
		l.restart(t)
		l.shows(t, false)
	}
	damage("\n")
	equal(t, l.once(t, newToken("zoe")), "503 unavailable", "an empty note")
	if text := l.since(); !strings.Contains(text, note+" is empty") {
		t.Errorf("the log does not say why: %s", text)
	}
}

// TestAcceptLossNotNoted: a loss whose acceptance cannot be noted is not accepted,
// and nobody claims a conversation from before.
func TestAcceptLossNotNoted(t *testing.T) {
	t.Parallel()
	l, _ := startLoser(t)
	equal(t, l.talk(t, "zoe", "c1"), "zoe", "at first")
	aside, _ := filepath.Glob(filepath.Join(l.dir, "*", "chat_identity", "ledger-*"))
	notes := append(aside, notesOf(l.config)...)
	for _, note := range notes { // no file can take the place of a folder
		must(t, os.Remove(note))
		must(t, os.MkdirAll(filepath.Join(note, "full"), 0o700))
	}
	must(t, os.Remove(l.path))
	eventually(t, "the log does not say so", func() bool { return strings.Contains(l.log.String(), "accept the loss") })
	if _, stderr, err := l.command(t, "", "ledger", "accept-loss"); err == nil || !strings.Contains(stderr, "cannot be noted") {
		t.Errorf("%v %s", err, stderr)
	}
	for range 3 {
		equal(t, l.talk(t, "ada", "c1"), "503 unavailable", "a conversation of before")
	}
	for _, note := range notes {
		must(t, os.RemoveAll(note))
	}
	eventually(t, "it cannot be accepted", func() bool {
		_, _, err := l.command(t, "", "ledger", "accept-loss")
		return err == nil
	})
	l.use(t)
	l.restart(t)
	l.shows(t, false)
}
