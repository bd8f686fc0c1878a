package caddymodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestSpool: a folder that is configured must be there and writable when the
// configuration is loaded, or validated, and nothing stays in it.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	good := filepath.Join(dir, "spool")
	must(t, os.Mkdir(good, 0o700))
	t.Setenv("TEST_SPOOL", good)
	for app, want := range map[string]string{
		`{}`:                              "",
		`{"spool":"` + good + `"}`:        "",
		`{"spool":"{env.TEST_SPOOL}"}`:    "",
		`{"max_spool":8388608}`:           "",
		`{"max_spool":-1}`:                "max_spool: -1 bytes is not from 1 byte",
		`{"spool":"` + dir + `/nowhere"}`: "there is no folder " + dir + "/nowhere: create it",
		`{"spool":"` + file + `"}`:        "is not a folder",
		`{"spool":"~/spool"}`:             "begins with ~",
		`{"spool":"{env.TEST_NO_SPOOL}"}`: "TEST_NO_SPOOL",
		`{"spool":"/proc"}`:               "no file can be created in /proc",
	} {
		err := validateHandler(app, `{"handler":"chat_identity","secrets":["{env.TEST_SECRET}"]}`)
		errorSays(t, err, want, "%s", app)
	}
	if left, err := os.ReadDir(good); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}

// TestSpoolDefaults: what handlers and app have where nothing is configured.
func TestSpoolDefaults(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\nunverified strip phone\n}")
	app := active(t)
	http, err := caddy.ActiveContext().App("http")
	must(t, err)
	sites.Of(http.(*caddyhttp.App), func(found caddyhttp.MiddlewareHandler) *sites.Handler {
		h, ours := found.(*Handler)
		if !ours {
			return nil
		}
		if h.MaxUpload != 64<<20 || h.MaxBody != 1<<20 {
			t.Errorf("max_upload %d, max_body %d", h.MaxUpload, h.MaxBody)
		}
		if !slices.Equal(h.stripped, []verifier.Field{verifier.Phone}) {
			t.Errorf("stripped %v", h.stripped)
		}
		return nil
	})
	if app.MaxSpool != 4<<30 || app.Spool != "" {
		t.Errorf("max_spool %d, spool %q", app.MaxSpool, app.Spool)
	}
	equal(t, verdict(t, g.post(t, claim("zoe"))), "zoe", "the claim")
}

// TestUploadThatNeverFits: whoever sends more than a client's share of max_spool is not told to
// try again later, and the log says that it is no matter of time.
func TestUploadThatNeverFits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := start(t, "log {\noutput file "+file+"\nformat json\n}\nchat_identity {\nmax_spool 16MiB\n}", "chat_identity {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	a := g.post(t, formWithFile("alice", sign("alice"), strings.Repeat("x", 3<<20)), "Content-Type: "+boundaryType)
	if a.StatusCode != 503 || !strings.Contains(string(a.body), "larger than can be stored here. Send a smaller one.") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	eventually(t, "the log does not say that it never fits", func() bool {
		log := string(read(t, file))
		return strings.Contains(log, "it can never be stored: it has 3") && strings.Contains(log, "of the 2097152 that one client may have: raise max_spool")
	})
}
