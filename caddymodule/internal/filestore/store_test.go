package filestore

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func sameMemory(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }

// filed makes a file of the records in a folder of its own.
func filed(t testing.TB, records ...*widgets.Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	put(t, path, encoded(t, records...))
	return path
}

// put writes into the file, as an editor or cp does.
func put(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// watched opens a store that is closed at the test's end.
func watched(t testing.TB, options Options) *Store {
	t.Helper()
	s := Open(options)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// logged opens a store that looks at its file when the test says so.
func logged(path string) (*Store, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return open(Options{Path: path, Log: zap.New(core)}), logs
}

// becomes is a change that puts the record in the old one's place.
func becomes(r *widgets.Record) func(string, *widgets.Record) (*widgets.Record, error) {
	return func(string, *widgets.Record) (*widgets.Record, error) { return r, nil }
}

func update(t testing.TB, s *Store, r *widgets.Record) {
	t.Helper()
	if err := s.Update(context.Background(), []string{r.ID}, becomes(r)); err != nil {
		t.Fatal(err)
	}
}

// ids returns what the store has, and fails where it is in an error state.
func ids(t testing.TB, s *Store) string {
	t.Helper()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return known(t, s)
}

// known returns what the store serves, in whatever state it is.
func known(t testing.TB, s *Store) string {
	t.Helper()
	records, err := s.List(context.Background(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.ID
		if found, err := s.Lookup(t.Context(), []byte(r.ID)); found != r || err != nil {
			t.Errorf("widget %s is listed, but looked up: %v, %v", r.ID, found, err)
		}
	}
	return strings.Join(names, " ")
}

// identity is of the file that has the name now. On Windows, os.Stat would look for it only
// when it is compared.
func identity(t *testing.T, path string) os.FileInfo {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestCounts(t *testing.T) {
	s := watched(t, Options{Path: filed(t, widget("a", ""), rotated("b"), widget("c", "bookbag"), widget("d", "bookbag"))})
	if !s.Speaks("bookbag") || s.Speaks("nextcap") || s.Speaks("") {
		t.Error("the dialects are wrong")
	}
	if got := s.KeyIDs(); !maps.Equal(got, map[string]int{"00112233aabbccdd": 4, "ffeeddccbbaa9988": 1}) {
		t.Errorf("secrets by key: %v", got)
	}
	if err := s.Update(t.Context(), []string{"b", "c", "d"}, becomes(nil)); err != nil {
		t.Fatal(err)
	}
	if s.Speaks("bookbag") || len(s.KeyIDs()) != 1 {
		t.Error("the counts do not follow a change")
	}
}

// TestWritten: a change that changes nothing, or fails, does not touch the file.
func TestWritten(t *testing.T) {
	for _, c := range []struct {
		name    string
		id      string
		change  func(id string, old *widgets.Record) (*widgets.Record, error)
		written bool
	}{
		{"another", "a", becomes(widget("a", "bookbag")), true},
		{"one goes", "a", becomes(nil), true},
		{"the same", "a", func(_ string, old *widgets.Record) (*widgets.Record, error) { return old, nil }, false},
		{"deleted that was not there", "x", becomes(nil), false},
		{"a bad record", "b", becomes(new(widgets.Record)), false},
	} {
		path := filed(t, widget("a", ""), widget("c", ""))
		before := identity(t, path)
		s, _ := logged(path)
		_ = s.Update(t.Context(), []string{c.id}, c.change)
		if os.SameFile(before, identity(t, path)) == c.written {
			t.Errorf("%s: the file was written, or not", c.name)
		}
		if beside := beside(t, path); beside != "widgets.jsonl widgets.jsonl.lock" {
			t.Errorf("%s: the folder holds %s", c.name, beside)
		}
	}
}

// beside lists the file's folder.
func beside(t testing.TB, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return strings.Join(names, " ")
}

// TestNew: without a file there are no widgets, opening makes none, and the
// first change makes it, for its owner only.
func TestNew(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "some", "where", "widgets.jsonl")
	s := watched(t, Options{Path: path})
	if got := ids(t, s); got != "" {
		t.Errorf("there are %s", got)
	}
	if beside(t, filepath.Join(top, "x")) != "" {
		t.Error("opening made something")
	}
	update(t, s, widget("a", ""))
	for name, want := range map[string]os.FileMode{
		"some": 0o700 | os.ModeDir, "some/where": 0o700 | os.ModeDir, "some/where/widgets.jsonl": 0o600, "some/where/widgets.jsonl.lock": 0o600,
	} {
		info, err := os.Stat(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestCloseEnds(t *testing.T) {
	s := Open(Options{Path: filed(t, widget("a", ""))})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := ids(t, s); got != "a" {
		t.Errorf("after the end there are %s", got)
	}
}

// withSecret is a change that adds a secret to what a record has.
func withSecret(version string) func(string, *widgets.Record) (*widgets.Record, error) {
	return func(_ string, old *widgets.Record) (*widgets.Record, error) {
		next := *old
		next.Secrets = append(slices.Clone(old.Secrets), widgets.Sealed{Version: version, KeyID: "00112233aabbccdd", Box: box('s'), Until: made})
		return &next, nil
	}
}

func TestLookupAllocates(t *testing.T) {
	s := watched(t, Options{Path: filed(t, widget("a", ""))})
	for id, want := range map[string]bool{"a": true, "unknown": false} {
		name := []byte(id)
		got := testing.AllocsPerRun(200, func() {
			if r, err := s.Lookup(t.Context(), name); (r != nil) != want || err != nil {
				t.Fatal(r, err)
			}
		})
		if !raceEnabled && got != 0 {
			t.Errorf("widget %s: %v allocations", id, got)
		}
	}
}

// TestNotes: a note is a file of its own beside the widgets', which need not be there.
func TestNotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "widgets.jsonl")
	s := open(Options{Path: path})
	if err := s.SetNote(t.Context(), "one", "text"); err != nil {
		t.Fatal(err)
	}
	if got := beside(t, path); got != "widgets.jsonl.one" {
		t.Errorf("beside it are %s", got)
	}
	if info, err := os.Stat(path + ".one"); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	// What cannot be read is not nothing.
	put(t, path+".empty", nil)
	if err := os.Mkdir(path+".folder", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"empty", "folder"} {
		if text, err := s.Note(t.Context(), name); !errors.Is(err, widgets.ErrUnavailable) || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if err := s.SetNote(t.Context(), "folder", "text"); !errors.Is(err, widgets.ErrUnwritable) {
		t.Errorf("in a folder's place: %v", err)
	}
}
