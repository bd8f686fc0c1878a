package backends_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c35f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"
	userID = `zoë@exämple.com "42" 名前`
	user   = `{"user":["shop","zoë@exämple.com \"42\" 名前"]}`
	nobody = `{"user":null}`
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
	keysAway atomic.Bool
	captured string // the address of an upstream that answers with the assertion it gets
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
	for name, command := range map[string]string{
		"node": "node backend.js", "python": "/usr/bin/python3 backend.py", "php": "php -S 127.0.0.1:{port} backend.php",
		"ruby": "puma --quiet --threads 1:4 --bind tcp://127.0.0.1:{port} backend.ru", "go": program,
	} {
		s.start(t, name, command)
	}
	return s
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
		if s.keysAway.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
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
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(userID))
	return marshal(t, map[string]string{"user_id": userID, "user_hash": hex.EncodeToString(mac.Sum(nil))})
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

// TestBackends: every sample believes the gateway, and nobody who goes past it.
func TestBackends(t *testing.T) {
	s := newStand(t)
	home := t.TempDir()
	s.run(t, home, "issuer another\nlifetime 1h")
	anotherIssuer := s.capture(t, "/capture")
	s.gateway.Stop(t)
	s.run(t, home, "lifetime 1s")
	expired := s.capture(t, "/capture")

	// Without keys, nothing can be said of a request.
	s.keysAway.Store(true)
	for _, b := range s.backends {
		b.wants(t, b.name+", without keys", expired, http.StatusServiceUnavailable, "")
		b.wants(t, b.name+", without keys or an assertion", "", http.StatusUnauthorized, "")
	}
	s.keysAway.Store(false)
	s.gateway.Stop(t)

	s.run(t, home, "lifetime 1h")
	good := s.capture(t, "/capture")
	bad := s.bad(t, good)
	bad["an assertion for another audience"] = s.capture(t, "/elsewhere")
	bad["an assertion of another issuer"] = anotherIssuer
	bad["nothing"] = ""
	each(t, s.backends, func(t *testing.T, b *backend) {
		testbed.Until(t, "the expired assertion to be refused", func() bool {
			status, _ := b.past(t, expired)
			return status == http.StatusUnauthorized
		}, &b.log)
		start, reads := time.Now(), b.reads.Load()
		for what, assertion := range bad {
			b.wants(t, what, assertion, http.StatusUnauthorized, "")
		}
		for _, c := range []struct {
			who   string
			claim []byte
			want  string
		}{{"a user", claim(t, secret), user}, {"a visitor", nil, nobody}, {"a forger", claim(t, "another secret"), nobody}} {
			header := http.Header{"X-Verified-Assertion": {good}, "X-Verified-User": {"admin"}}
			if status, body := ask(t, s.url+"/"+b.name, header, c.claim); status != http.StatusOK || normal(t, body) != normal(t, c.want) {
				t.Errorf("%s: answered %d %s, want %s\n%s", c.who, status, body, c.want, b.log.String())
			}
		}
		// What an assertion does not do: it is good for whoever has it until it expires.
		b.wants(t, "a copy", good, http.StatusOK, normal(t, user))
		for range 20 {
			b.wants(t, "an unknown key", bad["a foreign key"], http.StatusUnauthorized, "")
			b.wants(t, "a copy", good, http.StatusOK, normal(t, user))
		}
		if n, most := b.reads.Load()-reads, int32(time.Since(start)/(10*time.Second))+1; n > most {
			t.Errorf("the key set was read %d times, want %d at most", n, most)
		}
	})

	// A gateway that has lost its keys has others, which are found without a restart.
	s.gateway.Stop(t)
	s.run(t, t.TempDir(), "lifetime 1h")
	each(t, s.backends, func(t *testing.T, b *backend) {
		testbed.Until(t, "the new key to be known", func() bool {
			status, body := ask(t, s.url+"/"+b.name, nil, claim(t, secret))
			return status == http.StatusOK && normal(t, body) == normal(t, user)
		}, &b.log)
		b.wants(t, "an assertion of the lost key", good, http.StatusUnauthorized, "")
	})
}

// each tests the samples at the same time.
func each(t *testing.T, backends []*backend, test func(*testing.T, *backend)) {
	var all sync.WaitGroup
	for _, b := range backends {
		all.Go(func() { t.Run(b.name, func(t *testing.T) { test(t, b) }) })
	}
	all.Wait()
}

// bad returns assertions that are not the gateway's, though they say what the good one says.
func (s *stand) bad(t *testing.T, good string) map[string]string {
	t.Helper()
	_, text := ask(t, s.url+"/keys", nil, nil)
	var set struct{ Keys []json.RawMessage }
	var key struct{ KID, X, Y string }
	if err := json.Unmarshal([]byte(text), &set); err != nil || len(set.Keys) != 1 || json.Unmarshal(set.Keys[0], &key) != nil {
		t.Fatalf("%s: %v", text, err)
	}
	spki := bytes.Join([][]byte{unhex(t, "3059301306072a8648ce3d020106082a8648ce3d03010703420004"), decode(t, key.X), decode(t, key.Y)}, nil)
	pem := "-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(spki[:48]) + "\n" + base64.StdEncoding.EncodeToString(spki[48:]) + "\n-----END PUBLIC KEY-----\n"
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := own.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}

	parts := strings.Split(good, ".")
	payload := decode(t, parts[1])
	encode := base64.RawURLEncoding.EncodeToString
	sign := func(header map[string]any, payload []byte, sign func(text string) []byte) string {
		text := encode(marshal(t, header)) + "." + encode(payload)
		return text + "." + encode(sign(text))
	}
	none := func(string) []byte { return nil }
	zeros := func(string) []byte { return make([]byte, 64) }
	foreign := func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, own, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	withKey := func(key []byte) func(string) []byte {
		return func(text string) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(text))
			return mac.Sum(nil)
		}
	}
	es256, hs256 := map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.KID}, map[string]any{"alg": "HS256", "typ": "JWT", "kid": key.KID}
	bad := map[string]string{
		"a foreign key":                        sign(map[string]any{"alg": "ES256", "typ": "JWT", "kid": "foreign"}, payload, foreign),
		"a foreign key under the gateway's id": sign(es256, payload, foreign),
		"a foreign key without an id":          sign(map[string]any{"alg": "ES256", "typ": "JWT"}, payload, foreign),
		"a foreign key that the header has": sign(map[string]any{"alg": "ES256", "typ": "JWT", "jwk": map[string]string{
			"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]),
		}}, payload, foreign),
		"no algorithm":                    sign(map[string]any{"alg": "none", "typ": "JWT", "kid": key.KID}, payload, none),
		"an algorithm called None":        sign(map[string]any{"alg": "None", "typ": "JWT", "kid": key.KID}, payload, none),
		"no signature":                    sign(es256, payload, none),
		"a signature of zeros":            sign(es256, payload, zeros),
		"HS256 with the public key":       sign(hs256, payload, withKey([]byte(pem))),
		"HS256 with the public key's JWK": sign(hs256, payload, withKey(set.Keys[0])),
		"HS256 with the public key's DER": sign(hs256, payload, withKey(spki)),
		"HS256 with the empty key":        sign(hs256, payload, withKey(nil)),
		"the signature of other claims":   parts[0] + "." + encode(bytes.Replace(payload, []byte(`"shop"`), []byte(`"bank"`), 1)) + "." + parts[2],
		"a header of other bytes":         encode(marshal(t, map[string]any{"alg": "ES256", "kid": key.KID})) + "." + parts[1] + "." + parts[2],
		"two parts":                       parts[0] + "." + parts[1],
		"four parts":                      good + "." + parts[2],
		"a header that is no object":      encode([]byte(`"ES256"`)) + "." + parts[1] + "." + parts[2],
		"an id that is no text":           sign(map[string]any{"alg": "ES256", "kid": []int{1}}, payload, foreign),
		"text":                            "admin",
	}
	if changed := bad["the signature of other claims"]; changed == good {
		t.Fatal("the widget is not in the claims")
	}
	return bad
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
