package backends_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// backend is a sample that runs, and the key set that it reads.
type backend struct {
	name, url string
	log       testbed.Buffer
	reads     atomic.Int32 // of the key set
}

// stand is a gateway with every sample behind it, each under its name.
type stand struct {
	url      string
	port     int
	backends []*backend
	noKeys   atomic.Pointer[string] // answered in place of the gateway's keys, "" as an error
	captured string                 // the address of an upstream that answers with the assertion it gets
	gateway  *testbed.Process
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{port: testbed.FreePort(t)}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", s.port)
	capture := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Verified-Assertion"))
	}))
	t.Cleanup(capture.Close)
	s.captured = capture.Listener.Addr().String()

	program := filepath.Join(t.TempDir(), "backend")
	testbed.Build(t, program, "./examples/backends/go")
	for name, command := range commands {
		s.start(t, name, strings.ReplaceAll(command, "{go}", program))
	}
	return s
}

// commands run the samples.
var commands = map[string]string{
	"node": "node backend.js", "python": "/usr/bin/python3 backend.py", "php": "php -S 127.0.0.1:{port} backend.php",
	"ruby": "puma --quiet --threads 1:4 --bind tcp://127.0.0.1:{port} backend.ru", "go": "{go}",
}

// start runs a sample until the test ends.
func (s *stand) start(t *testing.T, name, command string) {
	t.Helper()
	gateway, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	b, port := &backend{name: name}, fmt.Sprint(testbed.FreePort(t))
	proxy := httputil.NewSingleHostReverseProxy(gateway)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.reads.Add(1)
		if instead := s.noKeys.Load(); instead != nil {
			if *instead == "" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_, _ = io.WriteString(w, *instead)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(keys.Close)
	b.url = "http://127.0.0.1:" + port
	words := strings.Fields(strings.ReplaceAll(command, "{port}", port))
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), "PORT="+port, "AUDIENCE=backend", "KEYS_URL="+keys.URL+"/keys")
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s is needed to test the %s sample (make deps installs it): %v", words[0], name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	testbed.Until(t, name+" to answer", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s has ended (make deps installs what it needs): %s", name, b.log.String())
		default:
		}
		response, err := http.Get(b.url)
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	}, &b.log)
	s.backends = append(s.backends, b)
}

// run runs the gateway with options of its assertions.
func (s *stand) run(t *testing.T, home, options string) {
	t.Helper()
	caddyfile := "{\nadmin off\npersist_config off\nauto_https off\nchat_identity {\nassertion {\n" + options + "\n}\n}\n}\n" + s.url + " {\n"
	route := func(path, audience, upstream string) {
		caddyfile += fmt.Sprintf("chat_identity %s {\nwidget shop\nsecret %s\nassertion %s\njwks_path /keys\n}\nreverse_proxy %[1]s %[4]s\n", path, secret, audience, upstream)
	}
	for _, b := range s.backends {
		route("/"+b.name, "backend", strings.TrimPrefix(b.url, "http://"))
	}
	route("/capture", "backend", s.captured)
	route("/elsewhere", "elsewhere", s.captured)
	s.gateway = testbed.Run(t, caddyfile+"}\n", home, s.url+"/keys")
}

// ask posts a claim, if there is one, and returns status and body.
func ask(t *testing.T, url string, header http.Header, claim []byte) (int, string) {
	t.Helper()
	method := http.MethodGet
	if claim != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(claim))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(request.Header, header)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// past asks a backend as somebody does who has found the way past the gateway.
func (b *backend) past(t *testing.T, assertion string) (int, string) {
	t.Helper()
	header := http.Header{"X-Verified-User": {"admin"}, "X-Verified-Widget": {"shop"}, "X-Identity-Outcome": {"verified"}}
	if assertion != "" {
		header.Set("X-Verified-Assertion", assertion)
	}
	status, body := ask(t, b.url, header, nil)
	return status, normal(t, body)
}

func (b *backend) wants(t *testing.T, what, assertion string, wantStatus int, want string) {
	t.Helper()
	if status, body := b.past(t, assertion); status != wantStatus || want != "" && body != want {
		t.Errorf("%s: answered %d %s, want %d %s\n%s", what, status, body, wantStatus, want, b.log.String())
	}
}

// normal returns a JSON text as Go writes it.
func normal(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(marshal(t, value))
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claim is that of the user, signed with a key.
func claim(t *testing.T, key string) []byte {
	t.Helper()
	return marshal(t, map[string]string{"user_id": userID, "user_hash": testbed.Sign(key, userID)})
}

// capture returns the assertion that the gateway makes of the user's claim.
func (s *stand) capture(t *testing.T, path string) string {
	t.Helper()
	status, assertion := ask(t, s.url+path, nil, claim(t, secret))
	if status != http.StatusOK || strings.Count(assertion, ".") != 2 {
		t.Fatalf("%s: %d %s", path, status, assertion)
	}
	return assertion
}
