package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// TestCacheOfRecords: `cache` is how much a gateway remembers of what it has read from Redis,
// too, and a reload changes it.
func TestCacheOfRecords(t *testing.T) {
	const count = 5000 // widgets, of about 1 KB
	server := redistest.Start(t)
	g := newLive(t, "encryption_key {env.TEST_KEY}\ncache SIZE\nwidgets redis redis://"+server.Addr, liveSite)
	config := g.config
	sized := func(size string) *App {
		t.Helper()
		g.config = strings.Replace(config, "SIZE", size, 1)
		load(t, g.config)
		return active(t)
	}
	read := func(app *App) (gets int) {
		t.Helper()
		before := commands(t, server)["get"]
		for i := range count {
			if record, err := app.store.Lookup(t.Context(), fmt.Appendf(nil, "w-%05d", i)); err != nil || record == nil {
				t.Fatalf("widget %d: %v, %v", i, record, err)
			}
		}
		return commands(t, server)["get"] - before
	}
	sized("1MiB")
	app := g.fill(t, count)
	read(app)
	if gets := read(app); gets < count/2 {
		t.Errorf("with 1 MiB, %d of %d widgets were remembered", count-gets, count)
	}
	app = sized("64MiB")
	eventually(t, "with 64 MiB, most of the widgets are not remembered", func() bool { return read(app) < count/10 })
}
