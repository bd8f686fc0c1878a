package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// refused fails unless the store is in an error state that says all the texts,
// and refuses changes without touching the file.
func refused(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	before, _ := os.Lstat(s.path)
	update := s.Update(context.Background(), []string{"new"}, becomes(widget("new", "")))
	after, _ := os.Lstat(s.path)
	if (before == nil) != (after == nil) || before != nil && !os.SameFile(before, after) {
		t.Error("a refused change touched the file")
	}
	for what, err := range map[string]error{"Err": s.Err(), "Update": update} {
		if !errors.Is(err, widgets.ErrUnavailable) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, text := range append(texts, s.path) {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s does not say '%s': %v", what, text, err)
			}
		}
	}
}

// TestChangesFromOutside: whatever way the file is changed, the next look takes it.
func TestChangesFromOutside(t *testing.T) {
	first, second := encoded(t, widget("a", "")), encoded(t, widget("b", ""))
	if len(first) != len(second) {
		t.Fatal("the files are to be of one size")
	}
	future := time.Now().Add(time.Hour) // as if both changes fell into one tick, however slow this test is
	at := func(path string) {
		if err := os.Chtimes(path, future, future); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(path string)
	}{
		{"another file in its place", func(path string) {
			put(t, path+".other", second)
			at(path + ".other")
			if err := os.Rename(path+".other", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"in place, at another time", func(path string) { put(t, path, second) }},
		{"in place, of the same size and at the same time", func(path string) {
			put(t, path, second)
			at(path)
		}},
		{"in place, of another size", func(path string) { put(t, path, encoded(t, widget("b", "bookbag"))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filed(t)
			put(t, path, first)
			at(path)
			s, logs := logged(path)
			s.look()
			if got := ids(t, s); got != "a" || len(s.outside) != 0 {
				t.Fatalf("there are %s, and %d changes from outside", got, len(s.outside))
			}
			c.change(path)
			s.look()
			if got := ids(t, s); got != "b" || len(s.outside) != 1 {
				t.Errorf("there are %s, and %d changes from outside", got, len(s.outside))
			}
			if logs.FilterLevelExact(zap.ErrorLevel).Len() != 0 {
				t.Errorf("logged: %v", logs.All())
			}
		})
	}
}

// TestUpdateTakesChangesFromOutside: a change is made to the file as it is, not
// as it was when it was last looked at.
func TestUpdateTakesChangesFromOutside(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, _ := logged(path)
	other, _ := logged(path)
	update(t, other, widget("b", ""))
	update(t, s, widget("c", ""))
	if got := ids(t, s); got != "a b c" || len(s.outside) != 1 {
		t.Errorf("there are %s, and %d changes from outside", got, len(s.outside))
	}
	other.look()
	if got := ids(t, other); got != "a b c" {
		t.Errorf("the other sees %s", got)
	}
	s.look()
	was := s.current.Load()
	s.look()
	if s.current.Load() != was {
		t.Error("its own file is read again")
	}
}

// TestSettled: a file that has not changed for a while is told by what the
// folder says of it; it is not read.
func TestSettled(t *testing.T) {
	path := filed(t, widget("a", ""))
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	s, _ := logged(path)
	if !s.known.settled {
		t.Error("an old file is not settled")
	}
	update(t, s, widget("b", ""))
	if s.known.settled {
		t.Error("a new file is settled")
	}
	put(t, path, []byte("broken"))
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	s.look()
	err := s.badErr
	s.look()
	if err == nil || s.badErr != err || s.Err() != err {
		t.Errorf("a broken file was read again: %v, then %v", err, s.badErr)
	}
}

func TestBroken(t *testing.T) {
	good := encoded(t, widget("a", ""), widget("b", "bookbag"))
	for _, c := range []struct {
		name, says string
		change     func(path string)
	}{
		{"cut off", "caddy chat-identity export > ", func(path string) { put(t, path, good[:len(good)-100]) }},
		{"edited by hand", "checksum", func(path string) {
			put(t, path, bytes.Replace(good, []byte("bookbag"), []byte("nextcap"), 1))
		}},
		{"empty", "line 1: the file is empty", func(path string) { put(t, path, nil) }},
		{"newer", "run a version that is at least as new", func(path string) { put(t, path, whole(`{"format":"chat_identity widgets","version":2}`)) }},
		{"gone", "the file is gone: all that was last read", func(path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"a folder", "it is a folder or a device", func(path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filed(t)
			put(t, path, good)
			s, logs := logged(path)
			c.change(path)
			s.look()
			if s.Err() != nil || logs.Len() != 0 {
				t.Errorf("the first look counts, when somebody may be writing: %v", s.Err())
			}
			s.look()
			refused(t, s, c.says)
			if got := known(t, s); got != "a b" || !s.Speaks("bookbag") || len(s.KeyIDs()) == 0 {
				t.Errorf("what was read last is not served: %s", got)
			}
			s.look()
			entries := logs.TakeAll()
			if len(entries) != 1 || entries[0].Level != zap.ErrorLevel || entries[0].ContextMap()["path"] != path ||
				!strings.Contains(entries[0].Message, "what was last read from it is served, and changes are refused") {
				t.Fatalf("logged: %v", entries)
			}
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			put(t, path, good)
			s.look()
			if got := ids(t, s); got != "a b" {
				t.Errorf("after the repair there are %s", got)
			}
			if entries := logs.TakeAll(); len(entries) != 1 || entries[0].Level != zap.InfoLevel {
				t.Errorf("logged after the repair: %v", entries)
			}
			update(t, s, widget("c", ""))
		})
	}
}

// TestSameFileAgain: a file that was moved away and comes back is known.
func TestSameFileAgain(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, _ := logged(path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	refused(t, s, "gone")
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	update(t, s, widget("b", ""))
	if got := ids(t, s); got != "a b" {
		t.Errorf("there are %s", got)
	}
}

// TestSlowWrite: a file that somebody else is writing is taken when it is whole.
func TestSlowWrite(t *testing.T) {
	file := encoded(t, widget("b", ""), widget("c", ""))
	path := filed(t, widget("a", ""))
	s, logs := logged(path)
	put(t, path, file[:200])
	s.look()
	if got := ids(t, s); got != "a" {
		t.Errorf("there are %s", got)
	}
	put(t, path, file)
	s.look()
	if got := ids(t, s); got != "b c" || logs.FilterLevelExact(zap.ErrorLevel).Len() != 0 {
		t.Errorf("there are %s; logged: %v", got, logs.All())
	}
	put(t, path, file[:300])
	s.look()
	put(t, path, file)
	s.look()
	put(t, path, file[:300])
	s.look()
	if s.Err() != nil {
		t.Errorf("two failures that are not in a row count: %v", s.Err())
	}
}

func TestBrokenAtOpen(t *testing.T) {
	path := filed(t)
	put(t, path, []byte("broken"))
	s, logs := logged(path)
	refused(t, s, "line 1")
	if entries := logs.TakeAll(); len(entries) != 1 || !strings.Contains(entries[0].Message, "none of its widgets is known") {
		t.Errorf("logged: %v", entries)
	}
	if r, err := s.Lookup(t.Context(), []byte("a")); r != nil || !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("looked up: %v, %v", r, err)
	}
	if list, err := s.List(context.Background(), "", 10); list != nil || !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("listed: %v, %v", list, err)
	}
	if !s.Speaks("bookbag") || s.KeyIDs() != nil {
		t.Error("what is in a broken file is not known, and may be of any dialect")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.look()
	refused(t, s, "the file is gone")
	put(t, path, encoded(t, widget("a", "")))
	s.look()
	if got := ids(t, s); got != "a" || len(s.outside) != 1 {
		t.Errorf("after the repair there are %s, and %d changes from outside", got, len(s.outside))
	}
}

// TestWatch: the store looks by itself, and says so.
func TestWatch(t *testing.T) {
	path := filed(t, widget("a", ""))
	var changes atomic.Int32
	core, logs := observer.New(zap.DebugLevel)
	s := watched(t, Options{Path: path, Log: zap.New(core), Changed: func() { changes.Add(1) }})
	update(t, s, widget("a", "bookbag"))
	other, _ := logged(path)
	update(t, other, widget("b", ""))
	testbed.Until(t, "the other's change is seen", func() bool { return known(t, s) == "a b" && changes.Load() == 1 })
	put(t, path, []byte("broken"))
	testbed.Until(t, "the damage is seen", func() bool { return s.Err() != nil && logs.FilterLevelExact(zap.ErrorLevel).Len() == 1 })
	if got := known(t, s); got != "a b" {
		t.Errorf("of the last good state there are %s", got)
	}
	put(t, path, encoded(t, widget("c", "")))
	testbed.Until(t, "the repair is seen", func() bool { return s.Err() == nil && known(t, s) == "c" && changes.Load() == 2 })
}

// TestMountedLink: Kubernetes mounts a file as a link through a link to a
// folder, which is pointed to another folder for a change.
func TestMountedLink(t *testing.T) {
	top := t.TempDir()
	folder := func(name string, records ...*widgets.Record) {
		if err := os.Mkdir(filepath.Join(top, name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(top, name, "widgets.jsonl"), encoded(t, records...))
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(top, name)); err != nil {
			t.Fatal(err)
		}
	}
	folder("..1", widget("a", ""))
	folder("..2", widget("b", ""))
	link("..1", "..data")
	link(filepath.Join("..data", "widgets.jsonl"), "widgets.jsonl")
	s, _ := logged(filepath.Join(top, "widgets.jsonl"))
	if got := ids(t, s); got != "a" {
		t.Fatalf("there are %s", got)
	}
	link("..2", "..data_tmp")
	if err := os.Rename(filepath.Join(top, "..data_tmp"), filepath.Join(top, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(top, "..1")); err != nil {
		t.Fatal(err)
	}
	s.look()
	if got := ids(t, s); got != "b" {
		t.Errorf("after the change there are %s", got)
	}

	// A change replaces what the link points to.
	update(t, s, widget("c", ""))
	if info, err := os.Lstat(s.path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if got := beside(t, filepath.Join(top, "..2", "x")); got != "widgets.jsonl widgets.jsonl.lock" {
		t.Errorf("its folder holds %s", got)
	}
	target, _ := logged(filepath.Join(top, "..2", "widgets.jsonl"))
	if got := ids(t, target); got != "b c" {
		t.Errorf("where the link points to there are %s", got)
	}
	if err := os.Remove(filepath.Join(top, "..2", "widgets.jsonl")); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	refused(t, s, "link to a file that is not there")
	dangling, _ := logged(s.path)
	refused(t, dangling, "link to a file that is not there")
}

// TestGoneAtStart: a file that was there before this process was, and is gone,
// does not count as none.
func TestGoneAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	first, _ := logged(path)
	update(t, first, widget("a", ""))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, logs := logged(path)
	refused(t, s, "the file is gone")
	if logs.FilterLevelExact(zap.ErrorLevel).Len() != 1 {
		t.Errorf("logged: %v", logs.All())
	}
	put(t, path, whole)
	s.look()
	if got := ids(t, s); got != "a" {
		t.Errorf("after it was put back there are %s", got)
	}
}

// TestOlderState: a backup that is put in the file's place brings retired secrets and deleted
// widgets back, and lacks new ones. Each is logged with the widgets' names, once.
func TestOlderState(t *testing.T) {
	fresh, rotated := *widget("new", ""), *widget("a", "")
	fresh.Created, rotated.Rotated = time.Now().Add(time.Hour), rotated.Rotated.Add(time.Hour)
	old := []*widgets.Record{widget("a", ""), widget("b", "")}
	keys := signingKeys(time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour))
	replacedKeys := *keys
	replacedKeys.Rotated = keys.Rotated.Add(time.Minute)
	with := func(keys *widgets.Record) []*widgets.Record { return append([]*widgets.Record{keys}, old...) }
	for _, c := range []struct {
		name      string
		was, next []*widgets.Record
		want      string // what is logged
	}{
		{"a backup", []*widgets.Record{&rotated, &fresh}, old, "[older state: a] [old widgets: b] [no longer: new]"},
		{"another process's new widget", old, append(old, &fresh), ""},
		{"another process's deletion", old, old[:1], "[no longer: b]"},
		{"earlier signing keys", with(&replacedKeys), with(keys), "[older state, with signing keys]"},
		{"without the signing keys", with(keys), old, "[no longer has the signing keys]"},
		{"signing keys", old, with(keys), ""},
		{"another file", old, []*widgets.Record{&fresh}, ""}, // a loss, which is logged as such
	} {
		s, logs := logged(filed(t, c.was...))
		put(t, s.path, encoded(t, c.next...))
		s.look()
		s.look()
		var got []string
		for _, e := range logs.FilterLevelExact(zap.WarnLevel).All() {
			if text := regexp.MustCompile(`older state, with signing keys|no longer has the signing keys`).FindString(e.Message); text != "" {
				got = append(got, "["+text+"]")
				continue
			}
			for _, text := range []string{"older state", "old widgets", "no longer"} {
				if strings.Contains(e.Message, text) {
					got = append(got, strings.Replace(fmt.Sprint(e.ContextMap()["such_as"]), "[", "["+text+": ", 1))
				}
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: logged %s, want %s", c.name, got, c.want)
		}
	}
}
