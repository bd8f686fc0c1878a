package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// testSecret is the secret of most tests, known to the configuration as {env.TEST_SECRET}.
const testSecret = "test-secret-of-more-than-16-bytes"

// testEncryptionKey is the encryption key of most tests, {env.TEST_KEY}.
const testEncryptionKey = "dGVzdC1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcyE="

// caddyLog is where Caddy logs in this process: see load.
var caddyLog *os.File

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main() // ends the process itself if something went wrong
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "chat-identity-test-*")
	if err != nil {
		panic(err)
	}
	// What Caddy would write into the home directory goes here instead.
	caddy.ConfigAutosavePath = filepath.Join(dir, "autosave.json")
	caddy.DefaultStorage.Path = dir
	for name, value := range map[string]string{
		"XDG_DATA_HOME": dir, "XDG_CONFIG_HOME": dir, "TEST_SECRET": testSecret,
		"TEST_KEY": testEncryptionKey, "TEST_FOLDER": dir,
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	if err := trustTestServers(dir); err != nil {
		panic(err)
	}
	if caddyLog, err = os.Create(filepath.Join(dir, "caddy.log")); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = caddy.Stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// seen is a request as it reached the upstream.
type seen struct {
	Method, URI, Proto string
	Host               string
	Header             http.Header
	Trailer            http.Header
	Body               string
	Length             int64
	Chunked            bool
	CGI                map[string]string // of a FastCGI responder
}

// user returns the header that backends believe.
func (s *seen) user() string { return s.Header.Get("X-Verified-User") }

// upstream is a real backend that keeps what it received.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	last   *seen
	answer func(w http.ResponseWriter, r *http.Request) // nil: 200
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := new(upstream)
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer := u.receive(r, nil); answer != nil {
		answer(w, r)
		return
	}
	_, _ = io.WriteString(w, "upstream")
}

// receive keeps a request, and returns what is to answer it.
func (u *upstream) receive(r *http.Request, cgi map[string]string) func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last = &seen{
		r.Method, r.RequestURI, r.Proto, r.Host, r.Header.Clone(), r.Trailer.Clone(), string(body), r.ContentLength,
		len(r.TransferEncoding) > 0, cgi,
	}
	return u.answer
}

// take returns what the upstream saw last and forgets it; nil where nothing came.
func (u *upstream) take() *seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// gateway is a running Caddy with one site.
type gateway struct {
	url      string
	admin    string // the admin endpoint's address, "off" where there is none
	upstream *upstream
	config   string       // the Caddyfile
	client   *http.Client // nil is the default one
}

// globals keeps a test's Caddy to itself.
const globals = "\n\tadmin off" + quiet

// quiet is globals with an admin endpoint.
const quiet = `
	persist_config off
	auto_https off
	grace_period 1s
`

// patience is how long anything may take before it counts as hanging. It is far
// beyond what is documented: tests run on busy machines.
const patience = testbed.Patience

// eventually waits for what the gateway does beside its requests.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func freePort(t testing.TB) int { return testbed.FreePort(t) }

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal compares a result, which the format names.
func equal[T comparable](t testing.TB, got, want T, format string, args ...any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", fmt.Sprintf(format, args...), got, want)
	}
}

// errorSays checks that an error contains a text; "" wants no error.
func errorSays(t testing.TB, err error, want, format string, args ...any) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want %q", fmt.Sprintf(format, args...), err, want)
	}
}

// start runs a site with the given body; UPSTREAM in it is the
// backend's address. The global options are added to the test's own.
func start(t testing.TB, global, site string) *gateway {
	t.Helper()
	g := newGateway(t, "off", global, site)
	load(t, g.config)
	return g
}

// live is start with an admin endpoint, and a file of widgets of its own.
func live(t testing.TB, options, site string) *gateway {
	t.Helper()
	g := newLive(t, options, site)
	load(t, g.config)
	return g
}

// countBy has the gateways of this test, none of which is loaded yet, count by
// that clock.
func countBy(t testing.TB, clock func() time.Time) *traffic.Traffic {
	t.Helper()
	var counts pooled[*traffic.Traffic]
	must(t, counts.take("", newTraffic(clock)))
	t.Cleanup(func() { _ = counts.Cleanup() })
	return counts.shared
}

// provision returns the context of a configuration that has this app and never
// starts.
func provision(t testing.TB, app string) caddy.Context {
	t.Helper()
	os.Stderr = caddyLog // Caddy keeps the first that it is given: see load
	ctx, err := caddy.ProvisionContext(&caddy.Config{AppsRaw: caddy.ModuleMap{"chat_identity": json.RawMessage(app)}})
	must(t, err)
	t.Cleanup(func() { // which nobody cancels
		if loaded, err := ctx.AppIfConfigured("chat_identity"); err != nil || loaded.(*App).Cleanup() != nil {
			t.Error("the app is not cleaned up")
		}
	})
	return ctx
}

// active returns the app of the configuration that runs.
func active(t testing.TB) *App {
	t.Helper()
	app, err := activeApp()
	must(t, err)
	return app
}

// newLive is live, not yet loaded.
func newLive(t testing.TB, options, site string) *gateway {
	t.Helper()
	if !strings.Contains(options, "widgets ") {
		options += "\nwidgets file " + filepath.Join(t.TempDir(), "widgets.jsonl")
	}
	return newGateway(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), "chat_identity {\n"+options+"\n}", site)
}

func newGateway(t testing.TB, admin, global, site string) *gateway {
	t.Helper()
	u := newUpstream(t)
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), admin: admin, upstream: u}
	site = strings.ReplaceAll(site, "UPSTREAM", strings.TrimPrefix(u.URL, "http://"))
	g.config = fmt.Sprintf("{\nadmin %s%s%s\n}\n%s {\n%s\n}\n", admin, quiet, global, g.url, site)
	return g
}

// chat runs a site of one chat_identity directive in front of the upstream.
func chat(t testing.TB, directive string) *gateway {
	t.Helper()
	return start(t, "", directive+"\nreverse_proxy UPSTREAM")
}

// load runs a Caddyfile in this process, and stops it with the test. What Caddy
// logged is printed when the test has failed.
func load(t testing.TB, caddyfile string) {
	t.Helper()
	os.Stderr = caddyLog // which package testing sets, too, for test2json
	from, _ := caddyLog.Seek(0, io.SeekCurrent)
	config, err := adapt(caddyfile)
	if err != nil {
		t.Fatalf("%v\n%s", err, caddyfile)
	}
	if err := activate(config); err != nil {
		t.Fatalf("%v\n%s", err, caddyfile)
	}
	http.DefaultClient.CloseIdleConnections() // the server before is closing its own
	t.Cleanup(func() {
		_ = caddy.Stop()
		if to, _ := caddyLog.Seek(0, io.SeekCurrent); t.Failed() {
			_, _ = io.Copy(os.Stdout, io.NewSectionReader(caddyLog, from, to-from))
		}
	})
}

// activate is caddy.Load that returns when what has listened before on the same
// addresses is closed, and the admin endpoint answers. Caddy waits for neither: until
// then the server before may answer, the kernel may reset what it had not accepted
// yet, and the next configuration's endpoint may take this one's listener for its own.
func activate(config []byte) error {
	var listening struct {
		Admin struct{ Listen string }
		Apps  struct {
			HTTP struct {
				Servers map[string]struct{ Listen []string }
			}
		}
	}
	if err := json.Unmarshal(config, &listening); err != nil {
		return err
	}
	addresses := []string{listening.Admin.Listen}
	for _, server := range listening.Apps.HTTP.Servers {
		addresses = append(addresses, server.Listen...)
	}
	err := caddy.Load(config, true)
	settled := func() bool {
		if slices.ContainsFunc(addresses, func(address string) bool { return caddy.ListenerUsage("tcp", address) > 1 || sockets(address) > 1 }) {
			return false
		}
		if err != nil || !strings.HasPrefix(listening.Admin.Listen, "127.") {
			return true
		}
		response, err := adminHTTP.Get("http://" + listening.Admin.Listen)
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	}
	for deadline := time.Now().Add(patience); !settled(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("two servers listen on one of %v, or the admin endpoint does not answer", addresses))
		}
	}
	return err
}

// sockets returns how many sockets listen on an address's port, where Linux tells. Caddy
// no longer counts a listener just before it is closed, and what connects to it in
// between is reset.
func sockets(address string) (n int) {
	_, port, _ := strings.Cut(address, ":")
	number, _ := strconv.Atoi(port)
	listening := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: [0-9A-F]+:%04X [0-9A-F]+:0000 0A `, number))
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(file)
		n += len(listening.FindAll(text, -1))
	}
	return n
}

// adapted is adapt where nothing can be wrong.
func adapted(t testing.TB, caddyfile string) []byte {
	t.Helper()
	config, err := adapt(caddyfile)
	must(t, err)
	return config
}

func adapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return config, err
}
