package browsertests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	testSecret = "test-secret-of-more-than-16-bytes"            // {env.TEST_SECRET}
	testKey    = "dGVzdC1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcyE=" // {env.TEST_KEY}
)

// answers says what the gateway has found out. The request's id is that of the log.
const answers = "header X-Request-Id {http.request.uuid}\n" +
	`respond "{http.chat_identity.outcome} {http.chat_identity.reason} {http.chat_identity.user}"`

// liveSite has requests name their widget, which the store has.
const liveSite = "chat_identity {\nwidget {header.X-Widget-Key}\n}\n" + answers

// gateway is a gateway in a process of its own.
type gateway struct {
	url, admin string
	config     string // the Caddyfile
	dir        string
	*testbed.Process
}

// newGateway is one that does not run yet. Browsers may open its admin endpoint
// from these origins, as docs/admin-api.md says; with nil they may not at all.
func newGateway(t *testing.T, options, site string, origins []string) *gateway {
	t.Helper()
	g := &gateway{dir: t.TempDir()}
	g.url, g.admin = fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	if !strings.Contains(options, "widgets ") {
		options += "\nwidgets file " + filepath.Join(g.dir, "widgets.jsonl")
	}
	if !strings.Contains(options, "ledger ") {
		options += "\nledger bolt " + filepath.Join(g.dir, "ledger.db")
	}
	g.config = fmt.Sprintf("{\n%s\nauto_https off\ngrace_period 1s\nchat_identity {\n%s\n}\n}\n%s {\n%s\n}\n", g.endpoint(origins), options, g.url, site)
	t.Cleanup(func() {
		if t.Failed() && g.Process != nil {
			fmt.Println(g.Log.String())
		}
	})
	return g
}

// endpoint is the global option of the admin endpoint.
func (g *gateway) endpoint(origins []string) string {
	if origins == nil {
		return "admin " + g.admin
	}
	return fmt.Sprintf("admin %s {\norigins %[1]s \"\" %s\n}", g.admin, strings.Join(origins, " "))
}

// caddy is the caddy command, with folders of its own.
func (g *gateway) caddy(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(testbed.Gateway(t), args...)
	cmd.Env = append(os.Environ(), "HOME="+g.dir, "XDG_DATA_HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir, "TEST_SECRET="+testSecret, "TEST_KEY="+testKey)
	return cmd
}

// run starts the process and waits until it answers.
func (g *gateway) run(t *testing.T) {
	t.Helper()
	g.Process = testbed.Run(t, g.config, g.dir, "http://"+g.admin, "TEST_SECRET="+testSecret, "TEST_KEY="+testKey)
	testbed.Until(t, "its first configuration", func() bool { return strings.Contains(g.Log.String(), "serving initial configuration") })
}

// load gives the process another configuration, and waits until the endpoint of
// the one before has closed.
func (g *gateway) load(t *testing.T, config string) {
	t.Helper()
	const closed = "stopped previous server"
	before := strings.Count(g.Log.String(), closed)
	response, text := request(t, "POST", "http://"+g.admin+"/load", config, "Content-Type: text/caddyfile")
	if response.StatusCode != 200 {
		t.Fatalf("%s %s", response.Status, text)
	}
	http.DefaultClient.CloseIdleConnections()
	testbed.Until(t, "the endpoint before to close", func() bool { return strings.Count(g.Log.String(), closed) > before })
}

// kill ends the process as a power cut would.
func (g *gateway) kill() {
	g.Kill()
	http.DefaultClient.CloseIdleConnections()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// called is an answer of the admin API.
type called struct {
	status int
	body   string
	adminapi.Widget
}

func (g *gateway) call(t *testing.T, method, path, body string) *called {
	t.Helper()
	response, text := request(t, method, "http://"+g.admin+adminapi.Path+path, body)
	c := &called{status: response.StatusCode, body: text}
	if strings.HasPrefix(text, "{") {
		if err := json.Unmarshal([]byte(text), c); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	return c
}

// create creates a widget and returns its secret.
func (g *gateway) create(t *testing.T, body string) string {
	t.Helper()
	c := g.call(t, "POST", "widgets", body)
	if c.status != http.StatusCreated || c.Secret == "" {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	return c.Secret
}

// post sends a message of a widget. Other headers are "Name: value".
func (g *gateway) post(t *testing.T, widget, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	return request(t, "POST", g.url+"/chat", body, append([]string{"X-Widget-Key: " + widget}, headers...)...)
}

// outcome sends a message of user-1 that is signed with the secret, and returns
// what the gateway has found, or the status where it was refused.
func (g *gateway) outcome(t *testing.T, widget, secret string) string {
	t.Helper()
	response, found := g.post(t, widget, claim(secret, "user-1"))
	if response.StatusCode != 200 {
		return fmt.Sprint(response.StatusCode)
	}
	return strings.TrimSpace(strings.TrimSuffix(found, " user-1"))
}

func request(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err) // some call this in goroutines of their own
		return new(http.Response), ""
	}
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return new(http.Response), ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
		return new(http.Response), ""
	}
	return response, string(text)
}

func sign(secret, message string) string { return testbed.Sign(secret, message) }

// claim is a claim as the body of a message.
func claim(secret, user string) string {
	return fmt.Sprintf(`{"user_id":%s,"user_hash":"%s"}`, js(user), sign(secret, user))
}

// js is a value as JavaScript and JSON have it.
func js(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
