package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

var errRefused = errors.New("no")

// update is a change to a storage that has the widgets a and c.
type update struct {
	name   string
	ids    string
	change widgets.Change
	err    error
	want   string // the ids afterwards
}

var updates = []update{
	{"a new one", "b", to("1"), nil, "a b c"},
	{"another in its place", "a", becomes(widget("a", "bookbag", "1")), nil, "a c"},
	{"one goes", "a", becomes(nil), nil, "c"},
	{"all go", "a c", becomes(nil), nil, ""},
	{"none asked for", "", becomes(nil), nil, "a c"},
	{"the same", "a c", func(_ string, old *widgets.Record) (*widgets.Record, error) { return old, nil }, nil, "a c"},
	{"deleted that was not there", "x y", becomes(nil), nil, "a c"},
	{"several", "a b c", func(id string, old *widgets.Record) (*widgets.Record, error) {
		if (old == nil) != (id == "b") {
			return nil, fmt.Errorf("widget %s is %v", id, old)
		}
		if id == "a" {
			return nil, nil
		}
		return widget(id, "nextcap", "1"), nil
	}, nil, "b c"},
	{"created and deleted", "x x", func(_ string, old *widgets.Record) (*widgets.Record, error) {
		if old != nil {
			return nil, nil
		}
		return widget("x", "", "1"), nil
	}, nil, "a c"},
	{"an error", "b c", func(id string, _ *widgets.Record) (*widgets.Record, error) {
		if id == "c" {
			return nil, errRefused
		}
		return widget(id, "", "1"), nil
	}, errRefused, "a c"},
	{"a bad record", "b", func(id string, _ *widgets.Record) (*widgets.Record, error) {
		bad := widget(id, "", "1")
		bad.Secrets = nil
		return bad, nil
	}, widgets.ErrRecord, "a c"},
	{"another's record", "b", becomes(widget("x", "", "1")), widgets.ErrRecord, "a c"},
	{"a record that cannot be written", "far", func(id string, _ *widgets.Record) (*widgets.Record, error) {
		far := widget(id, "", "1")
		far.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
		return far, nil
	}, widgets.ErrRecord, "a c"},
}

func (b *bed) update(c update) {
	s := b.open()
	b.change(s, to("0"), "a", "c")
	if err := s.Update(context.Background(), strings.Fields(c.ids), c.change); !errors.Is(err, c.err) || errors.Is(err, widgets.ErrUnavailable) {
		b.Fatalf("the error is %v, want %v", err, c.err)
	}
	for _, s := range []widgets.Store{s, b.open()} {
		b.lists(s, "", 10, c.want)
		for _, id := range []string{"a", "b", "c", "far", "x"} {
			if r := b.get(s, id); (r != nil) != strings.Contains(c.want, id) {
				b.Errorf("widget %s: %v", id, r)
			}
		}
	}
}

// canceled: a context that has ended before changes nothing.
func canceled(b *bed) {
	s := b.open()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Update(ctx, []string{"w"}, to("1")); !errors.Is(err, context.Canceled) {
		b.Errorf("the error is %v", err)
	}
	b.lists(s, "", 10, "")
}

// kinds: what a widget is verified with is kept, and its key is counted, whatever its kind.
func kinds(b *bed) {
	writer, reader := b.open(), b.open()
	for _, kind := range []widgets.Kind{widgets.Secrets, widgets.PublicKeys, widgets.KeySet} {
		r := widget("a", "", "version-of-"+string(kind))
		r.Secrets[0].Kind = kind
		b.change(writer, becomes(r), "a")
		for _, s := range []widgets.Store{writer, reader} {
			testbed.Until(b, "the widget is read", func() bool { got := b.get(s, "a"); return got != nil && got.Secrets[0].Version == r.Secrets[0].Version })
			if got := b.get(s, "a"); got.Kind() != kind {
				b.Errorf("kind %q is kept as %q", kind, got.Kind())
			}
		}
	}
}
