package ledgers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// gateway is one with its ledger and its notes in files.
type gateway struct {
	*testing.T
	ledger string
	notes  []string
	shared bool
	logs   *observer.ObservedLogs
	log    *zap.Logger
	bolt   *boltledger.Ledger
	*Known
}

func newGateway(t *testing.T) *gateway {
	core, logs := observer.New(zap.DebugLevel)
	dir := t.TempDir()
	g := &gateway{
		T: t, ledger: filepath.Join(dir, "ledger.db"), logs: logs, log: zap.New(core),
		notes: []string{filepath.Join(dir, "one", "note"), filepath.Join(dir, "two", "note")},
	}
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) stop() {
	if g.bolt != nil {
		if err := g.bolt.Close(); err != nil {
			g.Error(err)
		}
		g.bolt = nil
	}
}

// start starts the gateway anew.
func (g *gateway) start() {
	g.Helper()
	g.stop()
	g.bolt = boltledger.New(boltledger.Options{Path: g.ledger})
	g.reload()
}

// reload has another configuration use the same ledger.
func (g *gateway) reload() {
	var notes []Note
	for _, path := range g.notes {
		notes = append(notes, Note{
			Read:  func(context.Context) (string, error) { return durable.ReadLine(path) },
			Write: func(_ context.Context, text string) error { return durable.WriteLine(path, text) },
		})
	}
	g.Known = New(Options{
		Ledger: g.bolt, Place: g.ledger, Shared: g.shared, Notes: notes, Log: g.log, Period: time.Millisecond, Reminder: time.Nanosecond,
	})
}

var window = ledger.Window{MaxAge: time.Hour}

func (g *gateway) looks(want error) {
	g.Helper()
	if _, err := g.Open(g.Context(), window); !errors.Is(err, want) || want == nil && err != nil {
		g.Errorf("open: %v, want %v", err, want)
	}
}

// logged returns the levels of what was said of a loss since it was last asked.
func (g *gateway) logged() string {
	var levels []string
	for _, e := range g.logs.TakeAll() {
		if strings.Contains(e.Message, "is lost") {
			levels = append(levels, e.Level.String())
		}
	}
	return strings.Join(levels, " ")
}

func (g *gateway) lost(want string) {
	g.Helper()
	if got := g.Loss(); (got != "") != (want != "") || !strings.Contains(got, want) {
		g.Errorf("the loss is %q, want %q", got, want)
	}
}

// TestLoss: a loss is said once, then again and again, over reloads and restarts,
// until it is accepted.
func TestLoss(t *testing.T) {
	for _, shared := range []bool{false, true} {
		g := newGateway(t)
		g.shared = shared
		g.start()
		g.looks(nil)
		g.start()
		g.looks(nil)
		g.lost("")
		if got := g.logged(); got != "" {
			t.Errorf("logged without a loss: %s", got)
		}
		g.stop()
		if err := os.Remove(g.ledger); err != nil {
			t.Fatal(err)
		}
		g.start()
		for range 3 {
			g.looks(nil)
		}
		if got := g.logged(); got != "error warn warn" {
			t.Errorf("logged: %s", got)
		}
		g.reload()
		g.looks(nil)
		if got := g.logged(); got != "error" {
			t.Errorf("logged after a reload: %s", got)
		}
		want := "requests that name a conversation are unavailable"
		if shared {
			want = "are free to take"
		}
		g.lost(want)
		for what, err := range map[string]error{
			"reserve": second(g.Reserve(t.Context(), ledger.Key{1}, ledger.Holder{1}, time.Now().Add(time.Hour), ledger.Share{})),
			"keep":    second(g.Keep(t.Context(), ledger.Key{1}, ledger.Holder{1}, time.Now().Add(time.Hour))),
			"held":    second(g.Held(t.Context(), ledger.Key{1})),
		} {
			if (err == nil) != shared || err != nil && !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		signed := time.Now().Add(-time.Minute)
		if _, err := g.Spend(t.Context(), ledger.Key{2}, ledger.Holder{1}, ledger.Signed{At: signed}, window); !errors.Is(err, ledger.ErrForgotten) {
			t.Errorf("spend: %v", err)
		}
		if a, err := g.Accept(t.Context()); err != nil || !a.Accepted || a.Lost == "" || a.Lost == a.Ledger {
			t.Errorf("%+v, %v", a, err)
		}
		if a, err := g.Accept(t.Context()); err != nil || a.Accepted || a.Lost != "" {
			t.Errorf("again: %+v, %v", a, err)
		}
		g.logged()
		for range 2 {
			g.looks(nil)
			g.lost("")
			g.start()
		}
		if got := g.logged(); got != "" {
			t.Errorf("logged after it was accepted: %s", got)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestWatch notices by itself that the file is gone.
func TestWatch(t *testing.T) {
	g := newGateway(t)
	g.start()
	g.looks(nil)
	if err := os.Remove(g.ledger); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { g.Watch(ctx) })
	testbed.Until(t, "the losses in the log", func() bool { return g.logs.FilterMessageSnippet("accept the loss").Len() >= 3 })
	cancel()
	group.Wait()
	if err := g.Err(); !errors.Is(err, ledger.ErrGone) {
		t.Error(err)
	}
	if a, err := g.Accept(t.Context()); err != nil || !a.Accepted {
		t.Errorf("%+v, %v", a, err)
	}
	g.looks(nil)
}

// TestNotes: either note is enough. One that cannot be written may not say
// anything else.
func TestNotes(t *testing.T) {
	blocked := func(path string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "full"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		g := newGateway(t)
		g.start()
		g.looks(nil)
		g.stop()
		if err := errors.Join(os.Remove(g.notes[i]), os.Remove(g.ledger)); err != nil {
			t.Fatal(err)
		}
		g.start()
		g.looks(nil)
		g.lost("is lost")
		if text, err := durable.ReadLine(g.notes[i]); err != nil || text == "" {
			t.Errorf("note %d: %q, %v", i, text, err)
		}
		blocked(g.notes[i])
		if a, err := g.Accept(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be noted") {
			t.Errorf("accepted, and note %d says otherwise: %+v, %v", i, a, err)
		}
		g.start()
		g.looks(ledger.ErrUnavailable) // it cannot be read
		if err := g.Err(); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("Err is %v", err)
		}
		if _, err := g.Spend(t.Context(), ledger.Key{1}, ledger.Holder{1}, ledger.Signed{At: time.Now()}, window); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("spent: %v", err)
		}
	}
}

// TestPlaces: another place is another ledger, which is said once. So many places
// are remembered, and a text that is damaged says nothing of any.
func TestPlaces(t *testing.T) {
	g := newGateway(t)
	first := g.ledger
	dir := filepath.Dir(first)
	moves := func() int { return g.logs.FilterMessageSnippet("names another ledger").Len() }
	for n := range maxPlaces + 2 {
		g.start()
		g.looks(nil)
		g.lost("")
		g.looks(nil)
		if got := moves(); got != n {
			t.Errorf("%d moves, and %d were said", n, got)
		}
		g.ledger = filepath.Join(dir, fmt.Sprint("ledger", n))
	}
	text, err := durable.ReadLine(g.notes[0])
	if err != nil || strings.Count(text, "\n") != maxPlaces || strings.Contains(text, first) {
		t.Errorf("%v: %s", err, text)
	}
	g.ledger = filepath.Join(dir, "ledger3")
	g.start()
	g.looks(nil)
	g.lost("")
	for _, damaged := range []string{"x", "one two", "one two three"} {
		if err := durable.WriteLine(g.notes[0], damaged); err != nil {
			t.Fatal(err)
		}
		g.start()
		g.looks(nil)
		g.lost("is lost")
		if a, err := g.Accept(t.Context()); err != nil || !a.Accepted {
			t.Errorf("%+v, %v", a, err)
		}
	}
}

// TestAcceptAtOnce accepts a loss right after a damaged file was moved away.
func TestAcceptAtOnce(t *testing.T) {
	g := newGateway(t)
	g.start()
	g.looks(nil)
	g.stop()
	if err := os.WriteFile(g.ledger, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	g.looks(ledger.ErrUnavailable)
	if err := os.Remove(g.ledger); err != nil {
		t.Fatal(err)
	}
	a, err := g.Accept(t.Context())
	if err != nil || !a.Accepted || a.From.Before(time.Now()) || a.From != g.From() {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = g.Spend(t.Context(), ledger.Key{1}, ledger.Holder{1}, ledger.Signed{At: time.Now().Add(-time.Minute)}, window)
	if want := "the ledger is unavailable: it has lost what it held when this was signed: signatures from "; strings.Count(fmt.Sprint(err), want) != 1 || strings.Contains(fmt.Sprint(err), "bolt") {
		t.Error(err)
	}
}
