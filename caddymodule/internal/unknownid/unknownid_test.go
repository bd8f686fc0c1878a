package unknownid

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/filestore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func TestText(t *testing.T) {
	for id, want := range map[string]string{
		"shop":                                  "shop",
		"<img src=x>":                           "%3Cimg%20src%3Dx%3E",
		"zoë\n":                                 "zo%C3%AB%0A",
		"customer-acme-production-widget-eu-01": "customer-acme-production-widget-eu-01",
		"5d41402abc4b2a76b9719d911017c592":      "5d41402abc4b2a76b9719d911017c592", // as UUIDs without dashes are
		strings.Repeat("5d41402abc4b2a76", 4):   "(64 characters that look like a secret)",
		"FBky50gHjKkh8le2nk5AdRoeCHLGlSXyX8gQwTA_1GE":                       "(43 characters that look like a secret)",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnb.mF0dX.JlLm.x":          "(56 characters that look like a secret)",
		strings.Repeat("a-b", 100):                                          strings.Repeat("a-b", 42) + "a-…",
		"5d41402abc4b2a76b9719d911017c592a3f1c2d4e5b69788-12345678deadbeef": "(65 characters that look like a secret)",
		"of-the-shop-1-" + strings.Repeat("5d41402abc4b2a76", 4):            "(78 characters that look like a secret)",
	} {
		if got := Text([]byte(id)); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	secret := strings.Repeat("5d41402abc4b2a76", 4)
	hidden := "(64 characters that look like a secret)"
	for path, want := range map[string]string{
		"/p/" + secret + "/x":                    "/p/" + hidden + "/x",
		"/" + secret:                             "/" + hidden,
		"//a%20b/é":                              "//a%20b/%C3%A9",
		"/%35" + secret[1:] + "/":                "/(66 characters that look like a secret)/",
		strings.Repeat("/ab", 80) + "/" + secret: strings.Repeat("/ab", 80) + "/" + hidden,
		strings.Repeat("/ab", 90) + "/" + secret: strings.Repeat("/ab", 85) + "/…",
		"/" + strings.Repeat("a-b", 100):         "/" + strings.Repeat("a-b", 85) + "…",
	} {
		if got := Parts(path, "/", 256, "%"); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	if got := Parts("a."+secret+".example:443", ".:", 256, ""); got != "a."+hidden+".example:443" {
		t.Error(got)
	}
}

func TestNearest(t *testing.T) {
	ids := []string{"shop", "shop-eu", "support", "Kiosk", "5d41402a-bc4b"}
	for i := range 300 {
		ids = append(ids, fmt.Sprintf("customer-%05d", i*7))
	}
	store := newStore(t, ids...)
	own := []string{"billing", "default-desk"}
	for id, want := range map[string]string{
		"Shop":           "shop shop-eu",
		"shopp":          "shop shop-eu",
		"shop_eu":        "shop-eu shop",
		"%20shop%20":     "shop shop-eu",
		"kiosk":          "Kiosk",
		"suport":         "support",
		"bilings":        "billing",
		"5d41402abc4b":   "5d41402a-bc4b",
		"customer-0209x": "customer-02093 customer-00091 customer-00098",
		"nothing-alike":  "",
		"":               "",
		"%3Cscript%3E":   "",
	} {
		if got := strings.Join(Nearest(t.Context(), store, slices.Values(own), id), " "); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if got := Nearest(cancelled, store, slices.Values(own), "biling"); !slices.Contains(got, "billing") {
		t.Errorf("without the store: %q", got)
	}
}

func newStore(t *testing.T, ids ...string) widgets.Store {
	t.Helper()
	key, err := widgets.ParseEncryptionKey(widgets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	ring := widgets.NewRing(key)
	store := filestore.Open(filestore.Options{Path: filepath.Join(t.TempDir(), "widgets.jsonl")})
	t.Cleanup(func() { _ = store.Close() })
	err = store.Update(t.Context(), ids, func(id string, _ *widgets.Record) (*widgets.Record, error) {
		return widgets.NewRecord(id, "", "", widgets.NewSecret(), ring, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
