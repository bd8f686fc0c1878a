// Package storetest checks that an implementation of [widgets.Store] keeps the
// promises of that interface.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// Run runs the tests. Each gets an empty storage of its own from the function:
// what opens a store on it. All that are opened so, at the same time or one after
// the other, have the same widgets.
func Run(t *testing.T, storage func(t *testing.T) (open func() widgets.Store)) {
	with := func(name string, test func(b *bed)) {
		t.Run(name, func(t *testing.T) { test(&bed{t, storage(t)}) })
	}
	with("list", list)
	with("counts", counts)
	with("kinds", kinds)
	with("signing keys", signingKeys)
	for _, c := range updates {
		with("update/"+c.name, func(b *bed) { b.update(c) })
	}
	with("canceled", canceled)
	with("two stores", twoStores)
	with("concurrent", concurrent)
	with("notes", notes)
	with("close", closed)
}

var created = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// widget returns a record with one secret, of that version.
func widget(id, dialect, version string) *widgets.Record {
	return &widgets.Record{
		ID: id, Dialect: dialect, Created: created, Rotated: created,
		Secrets: []widgets.Sealed{{Version: version, KeyID: "00112233aabbccdd", Box: bytes.Repeat([]byte{'s'}, 60)}},
	}
}

// becomes is a change that puts the record in the old one's place.
func becomes(r *widgets.Record) widgets.Change {
	return func(string, *widgets.Record) (*widgets.Record, error) { return r, nil }
}

// to is a change to a record of that version.
func to(version string) widgets.Change {
	return func(id string, _ *widgets.Record) (*widgets.Record, error) { return widget(id, "", version), nil }
}

// adds is a change that gives a widget one secret more.
func adds(version string) widgets.Change {
	return func(_ string, old *widgets.Record) (*widgets.Record, error) {
		next := *old
		next.Secrets = append(slices.Clone(old.Secrets), widgets.Sealed{
			Version: version, KeyID: "ffeeddccbbaa9988", Box: bytes.Repeat([]byte{'t'}, 60), Until: created,
		})
		return &next, nil
	}
}

// bed is one test with its storage.
type bed struct {
	*testing.T
	storage func() widgets.Store
}

// open returns a store that is ready, and is closed at the end of the test.
func (b *bed) open() widgets.Store {
	s := b.storage()
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	testbed.Succeeds(b, "the store is ready", s.Err)
	return s
}

// change makes a change that may be made twice.
func (b *bed) change(s widgets.Store, change widgets.Change, ids ...string) {
	b.Helper()
	testbed.Succeeds(b, "a change", func() error {
		err := s.Update(context.Background(), ids, change)
		if err != nil && !errors.Is(err, widgets.ErrUnavailable) {
			b.Fatal(err)
		}
		return err
	})
}

// get looks a widget up, which may be none.
func (b *bed) get(s widgets.Store, id string) (r *widgets.Record) {
	b.Helper()
	testbed.Succeeds(b, "a lookup of "+id, func() (err error) {
		r, err = s.Lookup(b.Context(), []byte(id))
		if err != nil && !errors.Is(err, widgets.ErrUnavailable) {
			b.Fatal(err)
		}
		return err
	})
	if r != nil && r.ID != id {
		b.Errorf("widget %s is looked up as %s", r.ID, id)
	}
	return r
}

// lists fails unless the store lists these widgets, and answers for each.
func (b *bed) lists(s widgets.Store, after string, limit int, want string) {
	b.Helper()
	var records []*widgets.Record
	testbed.Succeeds(b, "a list", func() (err error) {
		records, err = s.List(b.Context(), after, limit)
		return err
	})
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
		if b.get(s, r.ID) == nil {
			b.Errorf("widget %s is listed, and unknown", r.ID)
		}
	}
	if got := strings.Join(ids, " "); got != want {
		b.Errorf("%d after '%s': %s; want %s", limit, after, got, want)
	}
}

func list(b *bed) {
	s := b.open()
	b.lists(s, "", 10, "")
	b.change(s, to("1"), "d", "a", "c", "b")
	if r := b.get(s, "x"); r != nil {
		b.Errorf("an unknown widget: %v", r)
	}
	const all = int(^uint(0) >> 1)
	for _, c := range []struct {
		after string
		limit int
		want  string
	}{
		{"", 2, "a b"}, {"b", 2, "c d"}, {"d", 2, ""}, {"bb", 100, "c d"}, {"", 0, ""}, {"", -1, ""}, {"0", 1, "a"}, {"z", 1, ""},
		{"", all, "a b c d"}, {"a", all, "b c d"},
	} {
		b.lists(s, c.after, c.limit, c.want)
	}
	listed, err := s.List(b.Context(), "", 1)
	if err == nil {
		listed[0] = nil
	}
	b.lists(s, "", 1, "a") // a list is the caller's own
}

// counts: dialects and keys are those of the widgets there are.
func counts(b *bed) {
	s := b.open()
	b.change(s, becomes(widget("a", "", "1")), "a")
	b.change(s, func(id string, _ *widgets.Record) (*widgets.Record, error) { return widget(id, "bookbag", "1"), nil }, "b", "c")
	speaks := func(want bool) {
		b.Helper()
		testbed.Succeeds(b, "the dialects", func() error {
			if s.Speaks("bookbag") != want || s.Speaks("nextcap") || s.Speaks("") {
				return fmt.Errorf("bookbag %t, nextcap %t, none %t", s.Speaks("bookbag"), s.Speaks("nextcap"), s.Speaks(""))
			}
			return nil
		})
	}
	speaks(true)
	for _, id := range []string{"a", "b", "c"} {
		b.get(s, id)
	}
	for key, n := range s.KeyIDs() { // as far as that is known
		if key != "00112233aabbccdd" || n < 1 || n > 3 {
			b.Errorf("%d secrets under key %s", n, key)
		}
	}
	b.change(s, becomes(nil), "b")
	speaks(true)
	b.change(s, becomes(nil), "c")
	speaks(false)
}

// signingKeys are kept like a widget, before all of them.
func signingKeys(b *bed) {
	s := b.open()
	keys := widget(widgets.SigningKeysID, "", "1")
	keys.Secrets[0].Kind = widgets.SigningKeys
	b.change(s, becomes(keys), keys.ID)
	b.change(s, to("1"), "0", "a")
	b.lists(s, "", 10, keys.ID+" 0 a")
	b.lists(s, keys.ID, 10, "0 a")
	if r := b.get(b.open(), keys.ID); r == nil || r.Secrets[0].Kind != widgets.SigningKeys {
		b.Errorf("another store has %+v", r)
	}
	for _, wrong := range []*widgets.Record{widget(keys.ID, "", "2"), {ID: "a", Secrets: keys.Secrets}} {
		if err := s.Update(b.Context(), []string{wrong.ID}, becomes(wrong)); !errors.Is(err, widgets.ErrRecord) {
			b.Errorf("%s with %v: %v", wrong.ID, wrong.Secrets[0].Kind, err)
		}
	}
}
