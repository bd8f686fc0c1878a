package ecosystem_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// echo is a backend that answers with whom it takes the request to be from.
func echo(t *testing.T, answer http.HandlerFunc) []string {
	t.Helper()
	backend := httptest.NewServer(answer)
	t.Cleanup(backend.Close)
	return []string{"backend:8080", backend.Listener.Addr().String()}
}

func user(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Verified-User")) }

// TestReadme: the README names every sample, and has rate_limit in the version that is
// tested.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.Caddyfile")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if !strings.Contains(string(readme), "]("+file+")") {
			t.Errorf("the README does not name %s", file)
		}
	}
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, required := range regexp.MustCompile(`(?m)^\t(github.com/mholt/caddy-ratelimit|github.com/caddyserver/caddy/v2) (v.*)$`).FindAllStringSubmatch(string(module), -1) {
		if !strings.Contains(string(readme), "caddy-ratelimit@"+required[2]) && !strings.Contains(string(readme), "xcaddy build "+required[2]) {
			t.Errorf("the README does not build with %s", required[0])
		}
	}
}

// TestRateLimit: each user has a count of his own, wherever he sends from, and nobody
// else can use it up.
func TestRateLimit(t *testing.T) {
	s := start(t, "rate_limit.Caddyfile", append(echo(t, user), "events 30", "events 3", "events 10", "events 2"))
	const forged = "X-Verified-User"
	forger := []byte(strings.Replace(string(message(t, "zoe")), "zoe", "ada", 1))
	for i := range 3 {
		s.answers(t, "ada", 200, "ada", "POST", "/chat/messages", message(t, "ada"))
		if i < 2 {
			s.answers(t, "a forger", 200, "", "POST", "/chat/messages", forger, forged, "ada")
		}
	}
	// No header of his makes him somebody else.
	for _, fake := range []string{"zoe", "bob"} {
		s.answers(t, "ada, once too often", 429, "", "POST", "/chat/messages", message(t, "ada"), forged, fake)
	}
	s.answers(t, "zoe", 200, "zoe", "POST", "/chat/messages", message(t, "zoe"))
	s.answers(t, "a visitor at the forger's address", 429, "", "POST", "/chat/messages", message(t, ""))
	s.answers(t, "another path", 200, "", "POST", "/other", message(t, ""))
	s.answers(t, "another method", 200, "", "GET", "/chat/messages", nil)
}

// TestTracing: the backend's trace is the page's, and the span says what was found, but not
// what proved it.
func TestTracing(t *testing.T) {
	trace := make(chan string, 2)
	s := start(t, "tracing.Caddyfile", echo(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/chat/") {
			trace <- r.Header.Get("Traceparent")
		}
	}), "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+collector(t), "OTEL_BSP_SCHEDULE_DELAY=10")
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	s.answers(t, "a message", 200, "", "POST", "/chat/messages", message(t, "ada"), "Traceparent", "00-"+id+"-00f067aa0ba902b7-01")
	if got := <-trace; !strings.HasPrefix(got, "00-"+id) {
		t.Errorf("the backend's trace is %q", got)
	}
	s.answers(t, "a stream", 200, "", "GET", "/chat/events?user_id=bob&user_hash="+sign("zoe"), nil)
	<-trace
	var exported string
	testbed.Until(t, "both spans", func() bool {
		exported = spans()
		return strings.Contains(exported, "verified") && strings.Contains(exported, "invalid")
	}, &s.gateway.Log)
	for _, want := range []string{"chat_identity.outcome", "chat_identity.reason", "chat_identity.widget", "chat_identity.proof"} {
		if !strings.Contains(exported, want) {
			t.Errorf("no span has %s: %q", want, exported)
		}
	}
	for _, proof := range []string{sign("ada"), sign("zoe"), secret} {
		if strings.Contains(exported, proof) {
			t.Errorf("a span has %s: %q", proof, exported)
		}
	}
}

// received is what OpenTelemetry's exporter has sent: its texts stand in it as they are.
var received testbed.Buffer

func spans() string { return received.String() }

// collector is where spans go.
func collector(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Error(err)
				return
			}
		}
		if _, err := io.Copy(&received, body); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1/traces"
}

// TestEncode: answers are compressed, refusals can be read by everybody, and an event
// arrives when it is sent.
func TestEncode(t *testing.T) {
	done := make(chan struct{})
	s := start(t, "encode.Caddyfile", echo(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chat/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "data: %s\n\n", r.Header.Get("X-Verified-User"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-done:
			case <-r.Context().Done():
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(strings.Repeat("a message of "+r.Header.Get("X-Verified-User")+", ", 100))
	}))
	for _, encoding := range []string{"gzip", "zstd", ""} {
		response, body := s.send(t, "POST", "/chat/messages", message(t, "ada"), "Accept-Encoding", encoding)
		if got := response.Header.Get("Content-Encoding"); response.StatusCode != 200 || got != encoding || (len(body) < 1000) != (encoding != "") {
			t.Errorf("%q: %d, %d bytes in %q", encoding, response.StatusCode, len(body), got)
		}
		response, body = s.send(t, "POST", "/chat/messages", message(t, ""), "Accept-Encoding", encoding)
		if response.StatusCode != 401 || !strings.Contains(body, `"reason":"missing"`) {
			t.Errorf("a refusal: %d %q", response.StatusCode, body)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/chat/events?user_id=ada&user_hash="+sign("ada"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stream, err := gzip.NewReader(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	event := make([]byte, len("data: ada\n\n"))
	if _, err := io.ReadFull(stream, event); err != nil || string(event) != "data: ada\n\n" {
		t.Errorf("the event, while the stream is open: %q, %v", event, err)
	}
	close(done)
}

// TestForwardAuth: the auth server is asked for the verified user, and never for one whom
// the browser has made up.
func TestForwardAuth(t *testing.T) {
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch verified := r.Header.Get("X-Verified-User"); {
		case r.URL.Path == "/may-chat" && verified == "banned", r.URL.Path == "/agent" && r.Header.Get("Cookie") != "login=grace":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/agent" && verified != "":
			t.Errorf("asked about an agent who is the user %s", verified)
		case r.URL.Path == "/agent":
			w.Header().Set("Remote-User", "grace")
		}
	}))
	t.Cleanup(auth.Close)
	s := start(t, "forward_auth.Caddyfile", append(echo(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s", r.Header.Get("X-Verified-User"), r.Header.Get("Remote-User"))
	}), "auth:9000", auth.Listener.Addr().String()))
	forged := []string{"X-Verified-User", "ada", "Cookie", "login=grace"}
	s.answers(t, "a user", 200, "zoe|", "POST", "/chat/messages", message(t, "zoe"))
	s.answers(t, "a banned user", 403, "", "POST", "/chat/messages", message(t, "banned"))
	s.answers(t, "a banned user who says that he is another", 403, "", "POST", "/chat/messages", message(t, "banned"), forged...)
	s.answers(t, "a visitor who says that he is a user", 200, "|", "POST", "/chat/messages", message(t, ""), forged...)
	s.answers(t, "an agent", 200, "|grace", "GET", "/agents/inbox", nil, forged...)
	s.answers(t, "a user who would be an agent", 403, "", "GET", "/agents/inbox?user_id=ada&user_hash="+sign("ada"), nil)
}

// TestPHP: a small chat server in PHP-FPM keeps the messages of each user apart, in whichever form
// they come, and believes nobody but the gateway.
func TestPHP(t *testing.T) {
	dir := t.TempDir()
	socket, config := filepath.Join(dir, "fpm.sock"), filepath.Join(dir, "fpm.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `[global]
error_log = %[1]s/fpm.log
daemonize = no
[www]
listen = %[2]s
pm = static
pm.max_children = 4
clear_env = no
php_admin_value[error_log] = %[1]s/php.log
`, dir, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(programs) == 0 {
		t.Fatal("there is no php-fpm (make deps installs it)")
	}
	args := []string{"--nodaemonize", "--fpm-config", config}
	if os.Getuid() == 0 {
		args = append(args, "--allow-to-run-as-root")
		appendTo(t, config, "user = root\ngroup = root\n")
	}
	var log testbed.Buffer
	fpm := exec.Command(programs[0], args...)
	fpm.Env = append(os.Environ(), "CHAT_DATABASE="+filepath.Join(dir, "chat.sqlite"))
	fpm.Stdout, fpm.Stderr = &log, &log
	if err := fpm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = fpm.Process.Signal(os.Interrupt)
		_ = fpm.Wait()
	})
	testbed.Succeeds(t, "PHP-FPM listens", func() error { _, err := os.Stat(socket); return err })
	root, err := filepath.Abs("chat/public")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "php_fastcgi.Caddyfile", []string{"/srv/chat/public", root, "/run/php/php-fpm.sock", socket})

	const zoe = "zoë@exämple.com / 名前"
	posted := func(user, text string) string {
		who := "null"
		if user != "" {
			who = `["default","` + user + `"]`
		}
		return fmt.Sprintf(`{"user":%s,"text":"%s","bytes":%%d}`, who, text)
	}
	const form = "application/x-www-form-urlencoded"
	claim := func(user, of string) string {
		return url.Values{"text": {"form"}, "user_id": {user}, "user_hash": {sign(of)}}.Encode()
	}
	const question = "Where is my order?"
	s.answers(t, "JSON", 201, fmt.Sprintf(posted(zoe, question), 0), "POST", "/chat/messages", message(t, zoe))
	s.answers(t, "a form", 201, fmt.Sprintf(posted(zoe, "form"), 0), "POST", "/chat/messages", []byte(claim(zoe, zoe)), "Content-Type", form)
	s.answers(t, "a file", 201, fmt.Sprintf(posted(zoe, "see file"), 1536<<10), "POST", "/chat/messages",
		[]byte(multipart(1536<<10, "text", "see file", "user_id", zoe, "user_hash", sign(zoe))), "Content-Type", "multipart/form-data; boundary=b")
	s.answers(t, "a file that is too large for PHP", 413, "", "POST", "/chat/messages",
		[]byte(multipart(3<<20, "text", "see file", "user_id", zoe, "user_hash", sign(zoe))), "Content-Type", "multipart/form-data; boundary=b")
	for _, name := range []string{"X-Verified-User", "X_Verified_User", "x-verified_user"} {
		s.answers(t, "a visitor with "+name, 201, fmt.Sprintf(posted("", question), 0), "POST", "/chat/messages", message(t, ""), name, "zoe")
		s.answers(t, "another user with "+name, 201, fmt.Sprintf(posted("ada", question), 0), "POST", "/chat/messages", message(t, "ada"), name, "zoe")
	}
	s.answers(t, "a forger", 201, fmt.Sprintf(posted("", "form"), 0), "POST", "/chat/messages", []byte(claim(zoe, "ada")), "Content-Type", form)
	s.answers(t, "two users in PHP's spelling", 400, "", "POST", "/chat/messages", []byte(claim("ada", "ada")+"&user%20id=zoe"), "Content-Type", form)

	history := func(user string, texts ...string) string {
		list, _ := json.Marshal(texts)
		return fmt.Sprintf(`{"user":["default","%s"],"messages":%s}`, user, list)
	}
	s.answers(t, "zoë's messages", 200, history(zoe, question, "form", "see file"), "GET", "/chat/messages?"+claim(zoe, zoe), nil)
	s.answers(t, "ada's messages", 200, history("ada", question, question, question), "GET", "/chat/messages?"+claim("ada", "ada"), nil)
	s.answers(t, "a forger's messages", 401, "", "GET", "/chat/messages?"+claim(zoe, "ada"), nil, "X-Verified-User", zoe)
	s.answers(t, "what is not public", 404, "", "GET", "/store.php", nil)
	if errors, _ := os.ReadFile(filepath.Join(dir, "php.log")); len(errors) > 0 {
		t.Errorf("PHP says %s", errors)
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// multipart is a form with a file before its fields, each a name and a value.
func multipart(size int, fields ...string) string {
	body := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n" + strings.Repeat("x", size) + "\r\n"
	for i := 0; i < len(fields); i += 2 {
		body += fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", fields[i], fields[i+1])
	}
	return body + "--b--\r\n"
}
