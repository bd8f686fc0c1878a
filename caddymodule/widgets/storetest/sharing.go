package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// twoStores: what one has changed, the other answers with, and each changes what
// the other has left.
func twoStores(b *bed) {
	one, other := b.open(), b.open()
	b.change(one, to("1"), "w")
	testbed.Succeeds(b, "the other store knows it", func() error {
		if b.get(other, "w") == nil {
			return errors.New("unknown")
		}
		return nil
	})
	b.change(other, to("2"), "w", "x")
	testbed.Succeeds(b, "the change is known", func() error {
		if r := b.get(one, "w"); r == nil || r.Secrets[0].Version != "2" {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
	b.change(one, becomes(nil), "w")
	testbed.Succeeds(b, "the deletion is known", func() error {
		if r := b.get(other, "w"); r != nil {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
	b.lists(b.open(), "", 10, "x")
}

// concurrent has two stores change one widget: no change is lost, and the store
// that made one sees it.
func concurrent(b *bed) {
	const each = 10
	stores := []widgets.Store{b.open(), b.open()}
	b.change(stores[0], to("0"), "w", "x")
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for _, s := range stores {
		readers.Go(func() {
			for seen := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				if r, err := s.Lookup(b.Context(), []byte("w")); err == nil && r != nil {
					if len(r.Secrets) < seen {
						b.Errorf("after %d secrets there are %d", seen, len(r.Secrets))
						return
					}
					seen = len(r.Secrets)
				}
				_, _ = s.List(b.Context(), "", 10)
				s.KeyIDs()
				s.Speaks("bookbag")
				time.Sleep(100 * time.Microsecond) // the writers need a processor, too
			}
		})
	}
	for i, s := range stores {
		for j := range each {
			writers.Go(func() {
				version := fmt.Sprintf("%d-%d", i, j)
				if err := s.Update(context.Background(), []string{"x", "w"}, adds(version)); err != nil {
					b.Error(err)
				}
				if r := b.get(s, "w"); r == nil || !slices.ContainsFunc(r.Secrets, func(s widgets.Sealed) bool { return s.Version == version }) {
					b.Errorf("%s was written, and is not looked up", version)
				}
			})
		}
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	for _, id := range []string{"w", "x"} {
		if r := b.get(b.open(), id); r == nil || len(r.Secrets) != 1+len(stores)*each {
			b.Errorf("of %d secrets there are: %v", 1+len(stores)*each, r)
		}
	}
}

// notes: what was noted is there for other stores and after a restart, and one
// note does not touch another, or the widgets.
func notes(b *bed) {
	s := b.open()
	wants := func(s widgets.Store, name, want string) {
		b.Helper()
		if got, err := s.Note(b.Context(), name); got != want || err != nil {
			b.Errorf("note %s: %q, %v, want %q", name, got, err, want)
		}
	}
	wants(s, "one", "")
	for _, text := range []string{"first", "a longer second\twith a tab", "third"} {
		if err := s.SetNote(b.Context(), "one", text); err != nil {
			b.Fatal(err)
		}
		wants(s, "one", text)
	}
	wants(s, "two", "")
	wants(b.open(), "one", "third")
	b.lists(s, "", 10, "")
	if err := s.Err(); err != nil {
		b.Error(err)
	}
}

// closed closes a store that is being asked, twice at once.
func closed(b *bed) {
	s := b.open()
	b.change(s, to("1"), "w")
	stop := make(chan struct{})
	var readers, closers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := s.Lookup(b.Context(), []byte("w"))
				if err == nil && r == nil || err != nil && !errors.Is(err, widgets.ErrUnavailable) {
					b.Errorf("%v, %v", r, err)
					return
				}
			}
		})
	}
	for range 2 {
		closers.Go(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
	}
	closers.Wait()
	close(stop)
	readers.Wait()
	b.lists(b.open(), "", 10, "w")
}
