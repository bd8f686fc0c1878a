package command

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// storedSecretText is the secret that the servers below generate.
const storedSecretText = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// adminServer is an HTTP server with one answer per method and path: a status and
// a body.
type adminServer struct {
	address string
	answers map[string]string
	handler http.Handler // instead, unless nil

	mu      sync.Mutex
	got     []string // method, target and body of each request
	headers []http.Header
}

func startAdmin(t *testing.T, network string, s *adminServer) *adminServer {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "admin.sock")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	if network == "unix" {
		s.address = "unix/" + address
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *adminServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.RequestURI
	s.mu.Lock()
	s.got = append(s.got, strings.TrimSpace(call+" "+string(body)))
	s.headers = append(s.headers, r.Header)
	s.mu.Unlock()
	if s.handler != nil {
		s.handler.ServeHTTP(w, r)
		return
	}
	answer, ok := s.answers[call]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	code, text, _ := strings.Cut(answer, " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		panic(answer)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// calls returns the requests so far.
func (s *adminServer) calls() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, "\n")
}

// clientRun is one call of a command.
type clientRun struct {
	ctx context.Context // default Background
	out io.Writer       // default a buffer
	in  string
}

// client runs "caddy chat-identity" in this process, as Caddy's Main does.
func (r clientRun) client(t *testing.T, args ...string) (out, errors string, err error) {
	t.Helper()
	root := clientRoot()
	var stdout, stderr bytes.Buffer
	root.SetIn(strings.NewReader(r.in))
	root.SetOut(&stdout)
	if r.out != nil {
		root.SetOut(r.out)
	}
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"chat-identity"}, args...))
	if r.ctx == nil {
		r.ctx = context.Background()
	}
	err = root.ExecuteContext(r.ctx)
	out, errors = stdout.String(), stderr.String()
	for _, secret := range []string{storedSecretText, commandSecret} {
		if strings.Contains(errors, secret) {
			t.Errorf("%v: a secret on standard error:\n%s", args, errors)
		}
	}
	for _, text := range []string{out, errors} {
		for _, c := range text {
			if c != '\n' && (c < 0x20 || c >= 0x7f && c < 0xa0) {
				t.Errorf("%v: a control character was printed: %q", args, text)
				break
			}
		}
	}
	if err != nil && errors == "" && args[0] != "explain" && !slices.Contains(args, "--json") {
		t.Errorf("%v: failed without a message: %v", args, err)
	}
	return out, errors, err
}

func clientRoot() *cobra.Command {
	registered := caddycmd.Commands()["chat-identity"]
	sub := &cobra.Command{Use: registered.Name, Short: registered.Short, Long: registered.Long}
	registered.CobraFunc(sub)
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	root.AddCommand(sub)
	return root
}

// Errors in the arguments are reported before any request, and without repeating
// what may be a secret.
func TestCommandClientArguments(t *testing.T) {
	s := startAdmin(t, "tcp", &adminServer{})
	var said transcript
	for _, x := range []struct{ name, args, in string }{
		{"no id", "show", ""},
		{"secret as argument", "create shop " + commandSecret, ""},
		{"secret as flag", "create shop --secret=" + commandSecret, ""},
		{"secret after flag", "create shop --secret " + commandSecret, ""},
		{"secret after one letter", "create shop -s" + commandSecret, ""},
		{"secret as value of a switch", "create shop --secret-stdin=" + commandSecret, ""},
		{"secret as bad syntax", "create shop --=" + commandSecret, ""},
		{"secret before the command", "--secret " + commandSecret + " create shop", ""},
		{"argument of list", "list " + commandSecret, ""},
		{"a top too large", "stats --top 5000", ""},
		{"an unknown window", "stats --last week", ""},
		{"readiness of nothing", "readiness", ""},
		{"argument of stats", "stats x", ""},
		{"argument of reseal", "reseal x", ""},
		{"bad id", "delete ../config", ""},
		{"long id", "show " + strings.Repeat("a", 129), ""},
		{"bad mode", "create shop --mode strict", ""},
		{"bad dialect", "create shop --dialect x", ""},
		{"nothing to set", "set shop", ""},
		{"create with two kinds of keys", "create shop --public-key testdata/public.pem --jwks https://login.example.com/jwks", ""},
		{"create with secret and key", "create shop --secret-stdin --public-key testdata/public.pem", ""},
		{"create with a private key", "create shop --public-key testdata/private.pem", ""},
		{"create with a file that is no key", "create shop --public-key testdata/commands.txt", ""},
		{"create without the file", "create shop --public-key testdata/none.pem", ""},
		{"set bad mode", "set shop --mode strict", ""},
		{"set bad dialect", "set shop --dialect x", ""},
		{"bad grace", "rotate shop --grace soon", ""},
		{"no grace", "rotate shop --grace 0s", ""},
		{"negative grace", "rotate shop --grace -1h", ""},
		{"empty grace", "rotate shop --grace=", ""},
		{"configuration in place of a gateway", "stats --config Caddyfile", ""},
		{"configuration beside an address", "list --address localhost:1 --config Caddyfile", ""},
		{"end of a grace with a grace", "rotate shop --grace 1h --end-grace", ""},
		{"value missing", "rotate shop --grace", ""},
		{"no secret", "create shop --secret-stdin", "\n"},
		{"short secret", "create shop --secret-stdin", "short"},
		{"two secrets", "create shop --secret-stdin", commandSecret + "\n" + commandSecret + "\n"},
		{"no text", "create shop --secret-stdin", commandSecret + "\xff"},
		{"address with a scheme", "list --address http://localhost:2019", ""},
		{"address of several ports", "list --address localhost:2019-2020", ""},
		{"address of another network", "list --address udp/localhost:2019", ""},
		{"unknown command with a flag", "lst --address localhost:2020", ""},
		{"unknown ledger command", "ledger frob --address localhost:2020", ""},
		{"an argument", "ledger accept-loss shop", ""},
		{"unknown command of keys", "keys frob --address localhost:2020", ""},
		{"rotate the keys of a widget", "keys rotate shop", ""},
		{"unknown command", "frob", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			args := strings.Fields(x.args)
			if !strings.Contains(x.args, "--address") && args[0] != "frob" {
				args = append([]string{args[0], "--address=" + s.address}, args[1:]...)
				if strings.HasPrefix(args[0], "--secret") {
					args = strings.Fields(x.args)
				}
			}
			out, errors, err := clientRun{in: x.in}.client(t, args...)
			if err == nil || out != "" || !strings.HasPrefix(errors, "Error: ") {
				t.Errorf("%q, %q, %v", out, errors, err)
			}
			said.add(x.name, shortened(strings.Fields(x.args)), out, errors)
		})
	}
	said.compare(t, "arguments.txt")
	if s.calls() != "" {
		t.Errorf("it was asked: %s", s.calls())
	}
}

// maybe is what a command says if a change may have been made.
const maybe = "The change may have been made: see 'caddy chat-identity show shop'"

func TestCommandClientErrors(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	api := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
			answer(status, body)(w, r)
		}
	}
	broken := func(sent string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(connection, sent)
				connection.Close()
			}
		}
	}
	var said transcript
	for _, x := range []struct {
		name    string
		handler http.HandlerFunc
		doubt   bool // whether a command that changes something says so
	}{
		{"host not allowed", answer(403, `{"error":"host not allowed: 10.0.0.1"}`), false},
		{"the server's sentence", api(409, `{"error":"widget shop is defined in the configuration"}`), false},
		{"the server's sentence of a failure", api(503, `{"error":"the store is busy"}`), false},
		{"another server's sentence", answer(401, `{"error":"Unauthorized.\u001b[2J"}`), false},
		{"escapes", api(404, `{"error":"no \u001b[2J\u001b]0;x\u0007\nsuch\u202e"}`), false},
		{"long sentence", api(404, `{"error":"`+strings.Repeat("x", 9*maxPlain)+`"}`), false},
		{"no module", answer(404, "404 page not found\n"), false},
		{"empty error", answer(400, `{"error":""}`), false},
		{"failure without a reason", answer(502, "<html>\x1b[2J"), true},
		{"not JSON", answer(200, "<html>\x1b[2J"), true},
		{"other JSON", answer(200, `{"id":7}`), true},
		{"another widget", answer(200, `{"id":"other"}`), true},
		{"nothing", answer(200, ""), true},
		{"redirect", answer(307, ""), false},
		{"no HTTP", broken("\x1b[2JSSH-2.0\r\n"), true},
		{"hung up", broken(""), true},
		{"cut off", broken("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":\"shop\""), true},
		{"endless headers", broken("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20)), true},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := startAdmin(t, "tcp", &adminServer{handler: x.handler})
			_, shown, _ := clientRun{}.client(t, "show", "shop", "--address", s.address)
			said.add(x.name, []string{"show", "shop"}, "", strings.NewReplacer(s.address, "localhost:2019", strings.Repeat("x", maxPlain), "<2 KiB>").Replace(shown))
			shown = strings.TrimSuffix(shown, "\n")
			for _, args := range [][]string{
				{"show", "shop"}, {"reveal", "shop"},
				{"set", "shop", "--mode", "off"}, {"delete", "shop"}, {"rotate", "shop"}, {"create", "shop"}, {"create", "shop", "--secret-stdin"},
			} {
				changes := args[0] != "show" && args[0] != "reveal"
				for _, more := range [][]string{nil, {"--json"}} {
					out, errors, err := clientRun{in: commandSecret}.client(t, append(append(args, "--address", s.address), more...)...)
					if err == nil || out != "" || !strings.HasPrefix(errors, shown) {
						t.Errorf("%v: %q, %q, %v; want %q", args, out, errors, err, shown)
					}
					if strings.Contains(errors, maybe) != (x.doubt && changes) {
						t.Errorf("%v: %q", args, errors)
					}
				}
			}
		})
	}
	said.compare(t, "answers.txt")
}

func TestCommandClientRedirectsNowhere(t *testing.T) {
	other := startAdmin(t, "tcp", &adminServer{})
	s := startAdmin(t, "tcp", &adminServer{handler: http.RedirectHandler("http://"+other.address+"/", http.StatusTemporaryRedirect)})
	_, errors, err := clientRun{in: commandSecret}.client(t, "create", "shop", "--secret-stdin", "--address", s.address)
	if err == nil || !strings.Contains(errors, "redirect") || other.calls() != "" {
		t.Errorf("%v, %s, asked: %s", err, errors, other.calls())
	}
}

func TestCommandClientNoServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	for _, address := range []string{closed, "unix/" + filepath.Join(t.TempDir(), "none.sock")} {
		for _, args := range [][]string{{"list"}, {"rotate", "shop"}, {"delete", "shop"}, {"reseal"}, {"stats"}, {"health"}} {
			_, errors, err := clientRun{}.client(t, append(args, "--address", address)...)
			if running := args[0] == "stats" || args[0] == "health"; running == strings.Contains(errors, "--config") || running != strings.Contains(errors, "admin unix//") {
				t.Errorf("%v advises what it cannot: %q", args, errors)
			}
			if err == nil || !strings.Contains(errors, "no Caddy answers at "+address) || !strings.Contains(errors, "--address") || strings.Contains(errors, "may have been made") {
				t.Errorf("%v: %q, %v", args, errors, err)
			}
		}
	}
}

func TestCommandClientTimeouts(t *testing.T) {
	s := startAdmin(t, "tcp", &adminServer{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})}).address
	for _, x := range []struct {
		args    string
		changes bool
	}{
		{"list", false}, {"show shop", false}, {"readiness shop", false}, {"reveal shop", false}, {"stats", false},
		{"create shop", true}, {"set shop --mode off", true}, {"rotate shop", true}, {"delete shop", true}, {"reseal", true},
		{"keys list", false}, {"keys rotate", true},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		_, errors, err := clientRun{ctx: ctx}.client(t, append(strings.Fields(x.args), "--address", s)...)
		cancel()
		if err == nil || !strings.Contains(errors, "did not answer in time") || strings.Contains(errors, "The change may have been made") != x.changes {
			t.Errorf("%s: %q, %v", x.args, errors, err)
		}
	}
}

func TestCommandClientBounds(t *testing.T) {
	s := startAdmin(t, "tcp", &adminServer{answers: map[string]string{"GET /x": `200 "` + strings.Repeat("x", 98) + `"`}})
	for _, x := range []struct {
		left int64
		want string
	}{{99, "sent more than"}, {100, ""}} {
		c, err := clientAt(s.address)
		if err != nil {
			t.Fatal(err)
		}
		c.left = x.left
		var to string
		_, _, err = c.ask(context.Background(), &apiRequest{method: "GET", path: "/x"}, &to)
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%d: %v", x.left, err)
		}
	}
}

// Caddy's admin endpoint checks the Origin that a client sends.
func TestCommandClientHeaders(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		s := startAdmin(t, network, &adminServer{answers: map[string]string{
			"GET /chat_identity/widgets/shop":         `200 {"id":"shop"}`,
			"POST /chat_identity/widgets/shop/rotate": `200 {"id":"shop","secret":"` + storedSecretText + `"}`,
		}})
		for _, command := range []string{"show", "rotate"} {
			if _, _, err := (clientRun{}).client(t, command, "shop", "--address", s.address); err != nil {
				t.Fatal(err)
			}
		}
		origin := "http://" + s.address
		if network == "unix" {
			origin = ""
		}
		if got := s.headers[0]; got.Get("Origin") != origin || got.Get("Content-Type") != "" {
			t.Errorf("%s: %v", network, got)
		}
		if got := s.headers[1]; got.Get("Origin") != origin || got.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", network, got)
		}
	}
}

func TestCommandClientAddress(t *testing.T) {
	for _, x := range []struct{ written, origin string }{
		{"", "http://" + caddy.DefaultAdminListen},
		{"localhost", "http://localhost:2019"},
		{":4000", "http://:4000"},
		{"tcp4/127.0.0.1:4000", "http://127.0.0.1:4000"},
		{"[::1]:4000", "http://[::1]:4000"},
		{"unix//run/caddy.sock|0220", "http://127.0.0.1"},
	} {
		c, err := clientAt(x.written)
		if err != nil || c.origin != x.origin {
			t.Errorf("%s: %+v, %v", x.written, c, err)
		}
	}
}
