package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
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
func becomes(r *widgets.Record) widgets.Change {
	return func(string, *widgets.Record) (*widgets.Record, error) { return r, nil }
}

// to is a change to a record of that version.
func to(version string) widgets.Change {
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
		_ = link.Close()
	})
	return s
}

// ready opens a store and waits until it has a lease.
func ready(t testing.TB, url string, options Options) *Store {
	t.Helper()
	s := gateway(t, url, options)
	testbed.Until(t, "a lease", func() bool { return s.Err() == nil && leased(s) })
	return s
}

func leased(s *Store) bool { return s.clock() < s.leasedUntil() }

func logged() (Options, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return Options{Log: zap.New(core)}, logs
}

// change makes a change that may be made twice. On a machine with too much else
// to do, a store is away now and then.
func change(t testing.TB, s *Store, how widgets.Change, ids ...string) {
	t.Helper()
	var err error
	for range 30 {
		if err = s.Update(context.Background(), ids, how); !errors.Is(err, widgets.ErrUnavailable) {
			break
		}
		time.Sleep(interval)
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
	hash := maphash.String(s.seed, id)
	for range 2 {
		testbed.Until(t, id+" is remembered", func() bool {
			return version(s, id) == want && leased(s) && s.records.get(hash) != nil && s.records.get(hash).epoch == s.epoch.Load()
		})
		beats(t, s)
	}
}

// beats waits for two heartbeats.
func beats(t testing.TB, s *Store) {
	t.Helper()
	for range 2 {
		last := s.heard.Load()
		testbed.Until(t, "a heartbeat", func() bool { return s.heard.Load() > last })
	}
}

// wants fails unless the store answers for the widget with that, or with nothing
// before.
func wants(t testing.TB, s *Store, id, want string) {
	t.Helper()
	got := version(s, id)
	for deadline := time.Now().Add(time.Minute); got == "unavailable" && want != got && time.Now().Before(deadline); {
		time.Sleep(interval)
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
	testbed.Until(t, "a list", func() bool {
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

// TestWriterWait: when Update returns, no other gateway answers with what it
// retired, and the next to read there gets the new one.
func TestWriterWait(t *testing.T) {
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

// TestStoppedReader: a gateway that is stopped when it has just read a record, for
// as long as a change takes, gives that to no request that begins later.
func TestStoppedReader(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var armed atomic.Bool
	stopped, resume := make(chan struct{}), make(chan struct{})
	s := ready(t, "redis://"+server.Addr, Options{Asked: func(context.Context, time.Time, error) {
		if armed.CompareAndSwap(true, false) {
			close(stopped)
			<-resume
		}
	}})
	other := ready(t, "redis://"+server.Addr, Options{})
	change(t, other, to("1"), "w")
	armed.Store(true)
	first, second := make(chan string, 1), make(chan string, 1)
	go func() { first <- version(s, "w") }()
	<-stopped
	change(t, other, to("2"), "w")
	go func() { second <- version(s, "w") }()
	time.Sleep(20 * time.Millisecond) // it waits for the first one's answer
	close(resume)
	if got := <-second; got != "2" {
		t.Errorf("a request that began after the change: version %s", got)
	}
	<-first
}

// TestChangedAlready: who asks for what another writer has just done, but has not
// waited for yet, waits, too. Without another writer nobody waits.
func TestChangedAlready(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]widgets.Change{
		"replaced": to("2"),
		"deleted":  becomes(nil),
		"refused": func(_ string, old *widgets.Record) (*widgets.Record, error) {
			if old == nil || old.Secrets[0].Version == "2" {
				return nil, widgets.ErrNotFound
			}
			return nil, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var stores [3]*Store
			for i := range stores {
				stores[i] = ready(t, "redis://"+server.Addr, Options{})
			}
			for i := range 5 {
				ids := []string{"w"}
				if i%2 == 1 {
					ids = append(ids, fmt.Sprint("new", i))
				}
				change(t, stores[0], to("1"), "w")
				remembers(t, stores[2], "w", "1")
				before := server.Do("GET", stores[0].keys.version)
				first := make(chan struct{})
				go func() {
					defer close(first)
					change(t, stores[0], how, "w")
				}()
				testbed.Until(t, "the change", func() bool { return server.Do("GET", stores[0].keys.version) != before })
				testbed.Until(t, "an answer", func() bool { // a writer that Redis does not answer in time has not waited
					return !errors.Is(stores[1].Update(t.Context(), ids, how), widgets.ErrUnavailable)
				})
				if version(stores[2], "w") == "1" {
					t.Error("what was retired is used")
				}
				<-first
			}
			testbed.Until(t, "nobody waits any more", func() bool {
				began := time.Now()
				_ = stores[1].Update(t.Context(), []string{"w"}, how)
				return time.Since(began) < lease/2
			})
		})
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
	if err := a.SetNote(t.Context(), "one", "first"); err != nil {
		t.Fatal(err)
	}
	for s, want := range map[*Store]string{a: "first", b: "first", other: ""} {
		if text, err := s.Note(t.Context(), "one"); text != want || err != nil {
			t.Errorf("%q, %v, want %q", text, err, want)
		}
	}
	server.Kill()
	if text, err := a.Note(t.Context(), "one"); !errors.Is(err, widgets.ErrUnavailable) || text != "" {
		t.Errorf("without Redis: %q, %v", text, err)
	}
	if err := a.SetNote(t.Context(), "one", "third"); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("without Redis: %v", err)
	}
}

// TestKeys: what the store leaves in Redis.
func TestKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, func(id string, _ *widgets.Record) (*widgets.Record, error) { return widget(id, "bookbag", "1"), nil }, "a", "b")
	change(t, s, becomes(nil), "a", "b")
	if got := server.Do("KEYS", "*"); got != "[chat_identity:{w}store chat_identity:{w}version]" && got != "[chat_identity:{w}version chat_identity:{w}store]" {
		t.Errorf("Redis holds %s", got)
	}
}

// TestVersion: whatever the version becomes, everything is read again. That a
// widget is created has nothing read again.
func TestVersion(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, other := ready(t, "redis://"+server.Addr, Options{}), ready(t, "redis://"+server.Addr, Options{})
	const key = "chat_identity:{w}version"
	change(t, s, to("1"), "w")
	first := server.Do("GET", key)
	change(t, s, to("2"), "w")
	if second := server.Do("GET", key); second == first || len(first) < 20 {
		t.Errorf("versions %s and %s", first, second)
	}
	// As after a failover to a replica that lags, after FLUSHALL, and by hand.
	for _, c := range []func(){
		func() { server.Do("SET", key, first) },
		func() { server.Do("DEL", key) },
		func() { server.Do("SET", key, "other") },
	} {
		remembers(t, s, "w", "2")
		epoch := s.epoch.Load()
		c()
		testbed.Until(t, "another epoch", func() bool { return s.epoch.Load() != epoch })
	}
	remembers(t, s, "w", "2")
	epoch := s.epoch.Load()
	wants(t, s, "x", "unknown")
	change(t, other, to("1"), "x")
	beats(t, s)
	if got := s.epoch.Load(); got != epoch {
		t.Errorf("%d epochs for a new widget", got-epoch)
	}
	wants(t, other, "x", "1")
	wants(t, s, "x", "1")
}

// TestByHand: what was changed without the version is noticed all the same, later.
func TestByHand(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var moved atomic.Int64
	s := ready(t, "redis://"+server.Addr, Options{Now: func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }})
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	server.Do("SET", "chat_identity:{w}:w", strings.Replace(server.Do("GET", "chat_identity:{w}:w"), `"version":"1"`, `"version":"2"`, 1))
	moved.Store(int64(reread))
	testbed.Until(t, "the change", func() bool { return version(s, "w") == "2" })
}
