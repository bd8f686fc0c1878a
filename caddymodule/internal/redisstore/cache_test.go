package redisstore

import (
	"context"
	"fmt"
	"hash/maphash"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// gets returns how many GETs the server has answered.
func gets(t testing.TB, server *redistest.Server) int {
	t.Helper()
	found := regexp.MustCompile(`cmdstat_get:calls=(\d+)`).FindStringSubmatch(server.Do("INFO", "commandstats"))
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// calls returns how many commands the server has got from stores, but for the
// heartbeat and what keeps connections alive.
func calls(t testing.TB, server *redistest.Server) string {
	t.Helper()
	var seen []string
	for line := range strings.FieldsSeq(server.Do("INFO", "commandstats")) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		switch name {
		case "hgetall", "setrange", "ping", "info", "hello", "client", "client|setinfo", "#":
		default:
			count, _, _ := strings.Cut(rest, ",")
			seen = append(seen, name+" "+count)
		}
	}
	return strings.Join(seen, "\n")
}

// TestWarm: what is remembered costs no command.
func TestWarm(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	// On a machine with much else to do a lease ends now and then.
	testbed.Until(t, "lookups without a command", func() bool {
		before := calls(t, server)
		for range 2000 {
			wants(t, s, "w", "1")
		}
		return calls(t, server) == before
	})
}

// TestUnknown: ids that there is no record of leave nothing behind, and drive no
// record out.
func TestUnknown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{Cache: minCache})
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	before := gets(t, server)
	for i := range 1000 {
		wants(t, s, fmt.Sprint("none", i), "unknown")
		wants(t, s, "w", "1")
	}
	if asked := gets(t, server) - before; asked > 1500 { // if no lease were missed, 1000
		t.Errorf("%d GETs for 1000 ids", asked)
	}
}

// TestTogether: many who miss one id ask once.
func TestTogether(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	before := gets(t, server)
	server.Do("CLIENT", "PAUSE", "300", "WRITE") // the probe waits, too: no lease is lost of that
	s.epoch.Add(1)
	done := make(chan string, 1000)
	for range cap(done) {
		go func() { done <- version(s, "w") }()
	}
	for range cap(done) {
		if got := <-done; got != "1" {
			t.Fatalf("it is %s", got)
		}
	}
	if asked := gets(t, server) - before; asked > 20 {
		t.Errorf("%d GETs", asked)
	}
}

// TestMany: pages of very many widgets, and a memory that stays within bounds.
func TestMany(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "no")
	s := ready(t, "redis://"+server.Addr, Options{Cache: 1 << 20})
	const count = 20_000
	name := func(i int) string { return fmt.Sprintf("w%06d", i) }
	ids := make([]string, 0, 5_000)
	for i := range count {
		if ids = append(ids, name(i)); len(ids) == cap(ids) {
			change(t, s, to("1"), ids...)
			ids = ids[:0]
		}
	}
	n, after := 0, ""
	for {
		page, err := s.List(context.Background(), after, 999)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if r.ID != name(n) {
				t.Fatalf("widget %d is %s", n, r.ID)
			}
			n++
		}
		if len(page) < 999 {
			break
		}
		after = page[len(page)-1].ID
	}
	if n != count {
		t.Errorf("%d widgets are listed", n)
	}
	for i := 0; i < count; i += 20 {
		if got := version(s, name(i)); got != "1" {
			t.Fatalf("widget %d: %s", i, got)
		}
	}
	if m := s.records.Metrics; m != nil {
		t.Error("metrics are kept, though nobody reads them")
	}
	held := 0
	for i := range count {
		if s.records.get(maphash.String(s.seed, name(i))) != nil {
			held++
		}
	}
	if most := 1 << 20 / recordCost; held > most || held < 100 {
		t.Errorf("%d records are remembered, at most %d can be", held, most)
	}
}

// TestGoroutines: closing leaves none behind.
func TestGoroutines(t *testing.T) {
	server := redistest.Start(t)
	server.Do("PING")
	before := runtime.NumGoroutine()
	for range 3 {
		options, _ := redislink.Parse("redis://" + server.Addr)
		link, err := redislink.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		s := Open(Options{Link: link})
		testbed.Until(t, "a lease", func() bool { return leased(s) })
		_, _ = s.Lookup(t.Context(), []byte("w"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_ = link.Close()
	}
	testbed.Until(t, "no goroutine is left", func() bool {
		runtime.GC() // a cache is closed when it is unreachable
		return runtime.NumGoroutine() <= before
	})
}

func BenchmarkLookup(b *testing.B) {
	server := redistest.Start(b)
	s := ready(b, "redis://"+server.Addr, Options{})
	change(b, s, to("1"), "w")
	remembers(b, s, "w", "1")
	id := []byte("w")
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := s.Lookup(b.Context(), id); r == nil || err != nil {
				b.Fatal(r, err)
			}
		}
	})
}

func BenchmarkUnknown(b *testing.B) {
	server := redistest.Start(b)
	s := ready(b, "redis://"+server.Addr, Options{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if r, err := s.Lookup(b.Context(), fmt.Appendf(nil, "none%d", i)); r != nil || err != nil {
			b.Fatal(r, err)
		}
	}
}

// TestAllocations: a lookup of what is remembered makes no garbage.
func TestAllocations(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	id := []byte("w")
	var record *widgets.Record
	// Now and then a renewal or a reading that is due falls into a run.
	testbed.Until(t, "a lookup without garbage", func() bool {
		time.Sleep(10 * time.Millisecond)
		return testing.AllocsPerRun(1000, func() { record, _ = s.Lookup(t.Context(), id) }) == 0
	})
	if record == nil {
		t.Error("it is unknown")
	}
}
