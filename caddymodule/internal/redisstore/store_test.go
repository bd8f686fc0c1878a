package redisstore

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

var made = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// widget returns a record with one secret, of that version.
func widget(id, dialect, version string) *widgets.Record {
	return &widgets.Record{
		ID: id, Dialect: dialect, Created: made, Rotated: made,
		Secrets: []widgets.Sealed{{Version: version, KeyID: "00112233aabbccdd", Box: bytes.Repeat([]byte{'s'}, 60)}},
	}
}

// becomes is a change that puts the record in the old one's place.
func becomes(r *widgets.Record) Change {
	return func(string, *widgets.Record) (*widgets.Record, error) { return r, nil }
}

// to is a change to a record of that version.
func to(version string) Change {
	return func(id string, _ *widgets.Record) (*widgets.Record, error) { return widget(id, "", version), nil }
}

// gateway opens a store of the URL that is closed at the test's end.
func gateway(t testing.TB, url string, options Options) *Store {
	t.Helper()
	parsed, err := redislink.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	link, err := redislink.Open(parsed)
	if err != nil {
		t.Fatal(err)
	}
	options.Link = link
	s := Open(options)
	t.Cleanup(func() {
		_ = s.Close()
		link.Close()
	})
	return s
}

// ready opens a store and waits until it has a lease.
func ready(t testing.TB, url string, options Options) *Store {
	t.Helper()
	s := gateway(t, url, options)
	eventually(t, "a lease", func() bool { return s.Err() == nil && leased(s) })
	return s
}

func leased(s *Store) bool { return s.clock() < s.fresh.until() }

func logged() (Options, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return Options{Log: zap.New(core)}, logs
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not come about: %s", what)
		}
	}
}

// change makes a change that may be made twice. On a machine with too much else
// to do, a store is away now and then.
func change(t testing.TB, s *Store, how Change, ids ...string) {
	t.Helper()
	var err error
	for range 30 {
		if err = s.Update(context.Background(), ids, how); !errors.Is(err, widgets.ErrUnavailable) {
			break
		}
		time.Sleep(beat)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// version looks a widget up, and returns the version of its secret, or what else
// there is to say.
func version(s *Store, id string) string {
	r, err := s.Lookup(context.Background(), []byte(id))
	switch {
	case err != nil && !errors.Is(err, widgets.ErrUnavailable):
		return "an error of another kind"
	case err != nil:
		return "unavailable"
	case r == nil:
		return "unknown"
	case r.ID != id:
		return "another's"
	}
	return r.Secrets[0].Version
}

// remembers waits until the store remembers a widget. What it has read right
// after a change, it may be told of once more.
func remembers(t testing.TB, s *Store, id, want string) {
	t.Helper()
	hash := s.hash(id)
	for range 2 {
		eventually(t, id+" is remembered", func() bool {
			return version(s, id) == want && leased(s) && s.near.get(hash) != nil && s.fresh.current(s.near.get(hash))
		})
		beats(t, s)
	}
}

// beats waits for two heartbeats.
func beats(t testing.TB, s *Store) {
	t.Helper()
	for range 2 {
		last := s.fresh.since()
		eventually(t, "a heartbeat", func() bool { return s.fresh.since() > last })
	}
}

// wants fails unless the store answers for the widget with that, or with nothing
// before.
func wants(t testing.TB, s *Store, id, want string) {
	t.Helper()
	got := version(s, id)
	for deadline := time.Now().Add(30 * time.Second); got == "unavailable" && want != got && time.Now().Before(deadline); {
		time.Sleep(beat)
		got = version(s, id)
	}
	if got != want {
		t.Errorf("widget %s: %s, want %s", id, got, want)
	}
}

// listed returns the ids that the store lists.
func listed(t testing.TB, s *Store, after string, limit int) string {
	t.Helper()
	var records []*widgets.Record
	eventually(t, "a list", func() bool {
		var err error
		records, err = s.List(context.Background(), after, limit)
		return err == nil
	})
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.ID
	}
	return strings.Join(names, " ")
}

func TestScriptSHA(t *testing.T) {
	if sum := sha1.Sum([]byte(script)); hex.EncodeToString(sum[:]) != scriptSHA {
		t.Errorf("the script's name is %x", sum)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, func(id string, _ *widgets.Record) (*widgets.Record, error) {
		return widget(id, map[string]string{"c": "bookbag", "d": "bookbag"}[id], "1"), nil
	}, "d", "a", "c", "b")
	if r, err := s.Lookup(t.Context(), []byte("x")); r != nil || err != nil {
		t.Errorf("an unknown widget: %v, %v", r, err)
	}
	wants(t, s, "a", "1")
	for _, c := range []struct {
		after string
		limit int
		want  string
	}{
		{"", 2, "a b"}, {"b", 2, "c d"}, {"d", 2, ""}, {"bb", 100, "c d"}, {"", 0, ""}, {"", -1, ""}, {"0", 1, "a"}, {"z", 1, ""},
		{"", int(^uint(0) >> 1), "a b c d"}, {"a", int(^uint(0) >> 1), "b c d"},
	} {
		if got := listed(t, s, c.after, c.limit); got != c.want {
			t.Errorf("%d after '%s': %s; want %s", c.limit, c.after, got, c.want)
		}
	}
	if !s.Speaks("bookbag") || s.Speaks("") {
		t.Error("the dialects are wrong")
	}
	eventually(t, "counts", func() bool { return !s.Speaks("nextcap") })
	change(t, s, becomes(nil), "b", "c", "d")
	wants(t, s, "c", "unknown")
	eventually(t, "counts after a deletion", func() bool { return !s.Speaks("bookbag") })
	if got := listed(t, s, "", 10); got != "a" {
		t.Errorf("there are %s", got)
	}
	if got := server.Do("KEYS", "*"); got != "[chat_identity:{w}:a chat_identity:{w}ids]" && got != "[chat_identity:{w}ids chat_identity:{w}:a]" {
		t.Errorf("Redis holds %s", got)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	failure := errors.New("no")
	bad := widget("b", "", "1")
	bad.Secrets = nil
	for i, c := range []struct {
		name   string
		ids    string
		change Change
		err    error
		want   string
	}{
		{"a new one", "b", becomes(widget("b", "", "1")), nil, "a b c"},
		{"another", "a", becomes(widget("a", "bookbag", "1")), nil, "a c"},
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
		{"made and deleted", "x x", func(_ string, old *widgets.Record) (*widgets.Record, error) {
			if old != nil {
				return nil, nil
			}
			return widget("x", "", "1"), nil
		}, nil, "a c"},
		{"an error", "b c", func(id string, _ *widgets.Record) (*widgets.Record, error) {
			if id == "c" {
				return nil, failure
			}
			return widget(id, "", "1"), nil
		}, failure, "a c"},
		{"a bad record", "b", becomes(bad), widgets.ErrRecord, "a c"},
		{"another's record", "b", becomes(widget("x", "", "1")), widgets.ErrRecord, "a c"},
		{"a record that cannot be written", "far", func(id string, _ *widgets.Record) (*widgets.Record, error) {
			far := widget(id, "", "1")
			far.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
			return far, nil
		}, widgets.ErrRecord, "a c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := fmt.Sprintf("redis://%s?prefix=%d:", server.Addr, i)
			s := ready(t, url, Options{})
			change(t, s, to("0"), "a", "c")
			if err := s.Update(context.Background(), strings.Fields(c.ids), c.change); !errors.Is(err, c.err) || errors.Is(err, widgets.ErrUnavailable) {
				t.Fatalf("the error is %v, want %v", err, c.err)
			}
			if got := listed(t, s, "", 10); got != c.want {
				t.Errorf("there are %s, want %s", got, c.want)
			}
			for _, id := range []string{"a", "b", "c", "x"} {
				r, err := s.Lookup(t.Context(), []byte(id))
				if err != nil || (r != nil) != strings.Contains(c.want, id) {
					t.Errorf("widget %s: %v, %v", id, r, err)
				}
			}
		})
	}
	t.Run("ctx has ended", func(t *testing.T) {
		s := ready(t, "redis://"+server.Addr, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Update(ctx, []string{"e"}, to("1")); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		wants(t, s, "e", "unknown")
	})
}

// TestSettled: when Update returns, no other gateway answers with what it
// retired, and the next to read there gets the new one.
func TestSettled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const writers, rounds, perWriter = 12, 5, 20
	var stores [3]*Store
	for i := range stores {
		stores[i] = ready(t, "redis://"+server.Addr, Options{})
	}
	var mu sync.RWMutex
	current := map[string]int{} // the round that Update has returned of
	least := func(id string) int {
		mu.RLock()
		defer mu.RUnlock()
		return current[id]
	}
	var readers, writing sync.WaitGroup
	stop := make(chan struct{})
	checked := make([]int, len(stores)*2)
	for i := range checked {
		readers.Go(func() {
			s := stores[i%len(stores)]
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if n%500 == 0 {
					time.Sleep(time.Millisecond) // the heartbeats need a processor, too
				}
				id := fmt.Sprintf("w%d-%d", n%writers, n/writers%perWriter)
				want := least(id)
				var got int
				r, err := s.Lookup(t.Context(), []byte(id))
				if r != nil {
					_, _ = fmt.Sscanf(r.Secrets[0].Version, "v%d", &got)
				}
				if err == nil && got < want {
					t.Errorf("widget %s: version %d after %d was there", id, got, want)
					return
				}
				if err == nil {
					checked[i]++
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			ids := make([]string, perWriter)
			for i := range ids {
				ids[i] = fmt.Sprintf("w%d-%d", w, i)
			}
			for round := 1; round <= rounds; round++ {
				change(t, stores[w%len(stores)], to(fmt.Sprintf("v%d", round)), ids...)
				if round == 1 {
					continue // nobody waits for what is new
				}
				mu.Lock()
				for _, id := range ids {
					current[id] = round
				}
				mu.Unlock()
				for _, s := range stores {
					for _, id := range ids {
						wants(t, s, id, fmt.Sprintf("v%d", round))
					}
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	readers.Wait()
	sum := 0
	for _, n := range checked {
		sum += n
	}
	t.Logf("%d lookups", sum)
	if sum < 1000 {
		t.Errorf("only %d lookups", sum)
	}
}

// TestTold: a change is told at once where the lease holds, long before the
// writer has waited.
func TestTold(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := ready(t, "redis://"+server.Addr, Options{}), ready(t, "redis://"+server.Addr, Options{})
	change(t, a, to("1"), "w")
	wants(t, b, "w", "1")
	done := make(chan struct{})
	go func() {
		defer close(done)
		change(t, a, to("2"), "w")
	}()
	eventually(t, "the new record", func() bool { return version(b, "w") == "2" })
	select {
	case <-done:
		t.Error("the writer has not waited")
	default:
	}
	<-done
}

// TestRaces: of two gateways that change one widget, neither undoes the other.
func TestRaces(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	stores := []*Store{ready(t, "redis://"+server.Addr, Options{}), ready(t, "redis://"+server.Addr, Options{})}
	change(t, stores[0], to("0"), "w", "x")
	var wg sync.WaitGroup
	const each = 10
	for i, s := range stores {
		for j := range each {
			wg.Go(func() {
				name := fmt.Sprintf("%d-%d", i, j)
				err := s.Update(context.Background(), []string{"x", "w"}, func(_ string, old *widgets.Record) (*widgets.Record, error) {
					next := *old
					next.Secrets = append(next.Secrets[:len(next.Secrets):len(next.Secrets)],
						widgets.Sealed{Version: name, KeyID: "k", Box: bytes.Repeat([]byte{1}, 60), Until: made})
					return &next, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, id := range []string{"w", "x"} {
		wants(t, stores[0], id, "0")
		if r, err := stores[0].Lookup(t.Context(), []byte(id)); err == nil && len(r.Secrets) != 1+2*each {
			t.Errorf("widget %s has %d secrets", id, len(r.Secrets))
		}
	}
}

// TestCreate: nobody waits for a widget that is new, and this process sees it.
func TestCreate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					_, _ = s.Lookup(t.Context(), fmt.Appendf(nil, "w%d", i%200))
				}
				if i%100 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for i := range 200 {
		id := fmt.Sprintf("w%d", i)
		change(t, s, to("1"), id)
		wants(t, s, id, "1")
	}
	close(stop)
	readers.Wait()
}

func TestClose(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{StaleIfError: time.Hour})
	change(t, s, to("1"), "w")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_, _ = s.Lookup(t.Context(), fmt.Appendf(nil, "w%d", (n*4+i)%1000))
					_, _ = s.Lookup(t.Context(), []byte("w"))
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, s, "w", "unavailable")
	wants(t, s, "none", "unavailable")
	close(stop)
	readers.Wait()
	if _, err := s.List(context.Background(), "", 1); !errors.Is(err, widgets.ErrUnavailable) || !errors.Is(s.Err(), widgets.ErrUnavailable) {
		t.Errorf("a list: %v; the state: %v", err, s.Err())
	}
	if err := s.Update(context.Background(), []string{"w"}, becomes(nil)); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("a change: %v", err)
	}
}

// TestNotes: what is noted is there for the machine's other stores, and not for
// those of another prefix.
func TestNotes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	a, b, other := ready(t, url, Options{}), ready(t, url, Options{}), ready(t, url+"?prefix=other:", Options{})
	if text, err := a.Note(t.Context(), "one"); text != "" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, text := range []string{"first", "second"} {
		if err := a.SetNote(t.Context(), "one", text); err != nil {
			t.Fatal(err)
		}
	}
	for s, want := range map[*Store]string{a: "second", b: "second", other: ""} {
		if text, err := s.Note(t.Context(), "one"); text != want || err != nil {
			t.Errorf("%q, %v, want %q", text, err, want)
		}
	}
	if got := listed(t, a, "", 10); got != "" {
		t.Errorf("a note is listed as a widget: %s", got)
	}
	server.Kill()
	if text, err := a.Note(t.Context(), "one"); !errors.Is(err, widgets.ErrUnavailable) || text != "" {
		t.Errorf("without Redis: %q, %v", text, err)
	}
	if err := a.SetNote(t.Context(), "one", "third"); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}
