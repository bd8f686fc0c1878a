package filestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// noted opens a store with that note.
func noted(path, note string) (*Store, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return open(Options{Path: path, Log: zap.New(core), Note: durable.Note{Path: note, May: func() bool { return true }}}), logs
}

func accepts(t *testing.T, s *Store, want string) {
	t.Helper()
	if accepted, err := s.AcceptLoss(t.Context()); !accepted || err != nil {
		t.Error(accepted, err)
	}
	if got := ids(t, s); got != want || s.Loss() != "" {
		t.Errorf("there are %q, lost: %q", got, s.Loss())
	}
	if accepted, err := s.AcceptLoss(t.Context()); accepted || err != nil {
		t.Error("again:", accepted, err)
	}
}

// TestGone removes the file and everything beside it, as a file system that is not mounted.
func TestGone(t *testing.T) {
	path, note := filepath.Join(t.TempDir(), "disk", "widgets.jsonl"), filepath.Join(t.TempDir(), "note")
	s, _ := noted(path, note)
	update(t, s, widget("a", ""))
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	refused(t, s, "gone", "accept-loss")
	if !s.Serves() || known(t, s) != "a" || !strings.Contains(s.Loss(), "export > "+path) {
		t.Errorf("serves: %t, lost: %q", s.Serves(), s.Loss())
	}
	late, _ := noted(path, note)
	refused(t, late, "gone", "accept-loss")
	if r, err := late.Lookup(t.Context(), []byte("a")); late.Serves() || r != nil || !errors.Is(err, widgets.ErrUnavailable) || strings.Contains(late.Loss(), "export > ") {
		t.Errorf("after a restart: serves %t, %v, %v", late.Serves(), r, err)
	}
	accepts(t, late, "")
	update(t, late, widget("b", ""))
	s.look()
	if got := ids(t, s); got != "b" {
		t.Errorf("there are %s", got)
	}
	if fresh, _ := noted(filepath.Join(t.TempDir(), "widgets.jsonl"), filepath.Join(t.TempDir(), "note")); fresh.Err() != nil || !fresh.Serves() {
		t.Error("a new store:", fresh.Err())
	}
}

// TestReplaced puts another store's file in the place of this one.
func TestReplaced(t *testing.T) {
	for _, other := range [][]*widgets.Record{{}, {widget("x", "")}} {
		path, note := filed(t, widget("a", ""), widget("b", "")), filepath.Join(t.TempDir(), "note")
		s, logs := noted(path, note)
		put(t, path, encoded(t, other...))
		s.look()
		if found := logs.FilterMessage(replaced).All(); s.Loss() != replaced || len(found) != 1 || found[0].Level != zap.ErrorLevel {
			t.Errorf("lost: %q; logged: %v", s.Loss(), logs.All())
		}
		if r, err := s.Lookup(t.Context(), []byte("a")); r != nil || err != nil { // what was deleted does not verify
			t.Errorf("looked up: %v, %v", r, err)
		}
		update(t, s, widget("y", ""))
		if s.Loss() == "" {
			t.Error("a new widget ends the loss")
		}
		put(t, path, encoded(t, widget("a", "bookbag")))
		s.look()
		if s.Loss() != "" || logs.FilterMessageSnippet("are back").Len() != 1 {
			t.Errorf("lost: %q; logged: %v", s.Loss(), logs.All())
		}
		put(t, path, encoded(t, widget("a", ""), widget("b", "")))
		s.look()
		put(t, path, encoded(t, widget("z", "")))
		s.look()
		accepts(t, s, "z")
	}
}

// TestEmptiedMeanwhile replaces the file while no gateway runs.
func TestEmptiedMeanwhile(t *testing.T) {
	path, note := filed(t, widget("a", "")), filepath.Join(t.TempDir(), "note")
	s, _ := noted(path, note)
	if s.Loss() != "" {
		t.Fatal(s.Loss())
	}
	put(t, path, encoded(t))
	for range 2 {
		s, logs := noted(path, note)
		if s.Loss() != replaced || logs.FilterMessage(replaced).Len() != 1 {
			t.Errorf("lost: %q; logged: %v", s.Loss(), logs.All())
		}
	}
	s, _ = noted(path, note)
	accepts(t, s, "")
	if s, _ = noted(path, note); s.Loss() != "" {
		t.Error("it was accepted, yet", s.Loss())
	}
}

// TestEmptied: widgets that are deleted one by one are not lost.
func TestEmptied(t *testing.T) {
	path, note := filed(t, widget("a", ""), widget("b", "")), filepath.Join(t.TempDir(), "note")
	s, _ := noted(path, note)
	other, _ := logged(path)
	for _, id := range []string{"a", "b"} {
		if err := other.Update(t.Context(), []string{id}, becomes(nil)); err != nil {
			t.Fatal(err)
		}
		s.look()
	}
	if s.Loss() != "" || ids(t, s) != "" {
		t.Errorf("lost: %q", s.Loss())
	}
	if s, _ = noted(path, note); s.Loss() != "" {
		t.Error("after a restart:", s.Loss())
	}
}

// TestUnwritableNote: a note that cannot be written is logged once, and prevents nothing.
func TestUnwritableNote(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, logs := noted(path, filepath.Join(path, "note"))
	for range 3 {
		s.look()
	}
	if got := ids(t, s); got != "a" || logs.Len() != 2 || !strings.Contains(logs.All()[1].Message, "cannot be noted") {
		t.Errorf("there are %s; logged: %v", got, logs.All())
	}
}

// TestNothingToAccept: while the file cannot be read, it is unknown whether widgets were lost.
func TestNothingToAccept(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, _ := logged(path)
	put(t, path, []byte("broken"))
	if accepted, err := s.AcceptLoss(t.Context()); accepted || !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "export > "+path) {
		t.Error(accepted, err)
	}
}

func signingKeys(created time.Time) *widgets.Record {
	r := widget(widgets.SigningKeysID, "")
	r.Created, r.Rotated = created, created
	r.Secrets = []widgets.Sealed{{Kind: widgets.SigningKeys, Version: "1", KeyID: "k", Box: box(1)}}
	return r
}

// TestSigningKeysTell: every file has signing keys of the same id, and only the file's own
// tell that it is the same file, with all widgets deleted.
func TestSigningKeysTell(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	for _, other := range []struct {
		keys *widgets.Record
		loss string
	}{{signingKeys(now), ""}, {signingKeys(now.Add(-time.Hour)), replaced}} {
		path := filed(t, signingKeys(now), widget("a", ""))
		s, _ := logged(path)
		put(t, path, encoded(t, other.keys))
		s.look()
		if s.Loss() != other.loss {
			t.Errorf("with the keys of %s, lost: %q", other.keys.Created, s.Loss())
		}
	}
}
