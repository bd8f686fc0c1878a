package caddymodule

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func TestCensus(t *testing.T) {
	g := live(t, "", liveSite)
	for i, mode := range []string{"", "", "off", "required", "required", "required"} {
		g.create(t, fmt.Sprintf(`{"id":"w-%d","mode":"%s"}`, i, mode))
	}
	g.rotate(t, "w-0", `{"grace":"1h"}`)
	g.rotate(t, "w-1", `{"grace":"1h"}`)
	g.rotate(t, "w-1", `{"grace":"1h"}`)
	g.rotate(t, "w-2", "")
	wanted := map[string]float64{
		`widgets{mode="handler"}`: 2, `widgets{mode="off"}`: 1, `widgets{mode="optional"}`: 0, `widgets{mode="required"}`: 3,
		`secrets_in_grace{}`: 3, `missing_encryption_keys{}`: 0,
	}
	count := func() {
		app := active(t)
		found, err := app.takeCensus(t.Context())
		must(t, err)
		app.census.Store(found)
	}
	eventually(t, "the census does not count what is stored", func() bool { // the app's own may come in between
		count()
		series := g.scrape(t)
		for name, want := range wanted {
			if got, there := series[name]; !there || got != want {
				return false
			}
		}
		age, at := series["oldest_secret_age_seconds{}"], series["census_timestamp_seconds{}"]
		return age > 0 && age < 60 && time.Since(time.UnixMilli(int64(1000*at))) < time.Minute
	})

	// A lost encryption key is counted and named.
	load(t, strings.Replace(g.config, "chat_identity {", "chat_identity {\nencryption_key bG9zdC1hbmQtZm91bmQtbG9zdC1hbmQtZm91bmQtMDA=", 1))
	eventually(t, "the missing key is not counted", func() bool {
		count()
		return g.scrape(t)["missing_encryption_keys{}"] == 1
	})
	var v adminapi.Overview
	if g.askInto(t, "overview", &v); len(v.MissingKeys) != 1 || len(v.Widgets) != 6 || !strings.Contains(v.Widgets[0].Unavailable, v.MissingKeys[0]) {
		t.Errorf("%v, %+v", v.MissingKeys, v.Widgets)
	}
}

// fill makes so many widgets, w-00000 and on.
func (g *gateway) fill(t testing.TB, n int) *App {
	t.Helper()
	g.create(t, `{"id":"first"}`) // with the encryption key
	app := active(t)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("w-%05d", i)
	}
	secret := widgets.NewSecret()
	if err := app.store.Update(t.Context(), ids, func(id string, _ *widgets.Record) (*widgets.Record, error) {
		return widgets.NewRecord(id, "", "", secret, app.ring.Load(), time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	return app
}

// slowStore is a store that takes its time to list.
type slowStore struct{ widgets.Store }

const slowList = 2 * time.Millisecond

func (s slowStore) List(ctx context.Context, after string, limit int) ([]*widgets.Record, error) {
	time.Sleep(slowList)
	return s.Store.List(ctx, after, limit)
}

// A census rests between pages, and ends at once with its context.
func TestCensusRests(t *testing.T) {
	g := live(t, "", liveSite)
	app := g.fill(t, censusPage+1)
	began := time.Now()
	found, err := (&App{store: observe.Store{Store: slowStore{app.store}}}).takeCensus(t.Context())
	if err != nil || found.widgets[0] != censusPage+2 {
		t.Fatalf("%v %+v", err, found)
	}
	if took := time.Since(began); took < censusRest*slowList {
		t.Errorf("it asks for the second page %v after the first, which took %v", took, slowList)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := app.takeCensus(ended); err == nil {
		t.Error("it does not end with its context")
	}
}

// The goroutines of a configuration end with it.
func TestNothingRunsOn(t *testing.T) {
	g := live(t, "", liveSite)
	g.outcome(t, "shop", testSecret)
	ours := func() (n int) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, stack := range strings.Split(string(stacks), "\n\n") {
			if strings.Contains(stack, "(*App).countStore") || strings.Contains(stack, "(*Traffic).Start") {
				n++
			}
		}
		return n
	}
	for range 3 {
		load(t, g.config)
		// A goroutine that was only just started is in no stack yet.
		eventually(t, "what runs beside one configuration is not two", func() bool { return ours() == 2 })
	}
	must(t, caddy.Stop())
	eventually(t, "something runs on", func() bool { return ours() == 0 })
}

// A census of a large store takes minutes, so what was counted outlives a reload.
func TestCensusSurvivesReload(t *testing.T) {
	g := live(t, "", liveSite)
	g.create(t, `{"id":"shop"}`)
	found, err := active(t).takeCensus(t.Context())
	must(t, err)
	before := active(t)
	before.census.Store(found)
	load(t, strings.Replace(g.config, "chat_identity {", "chat_identity {\nallow_reveal", 1))
	if after := active(t); after == before || after.census.Load() == nil {
		t.Errorf("after a reload nothing is counted: %v", after.census.Load())
	}
}
