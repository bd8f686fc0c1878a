//go:build soak

package soak_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// skew is that of one-time signatures: for so long none is accepted after a restart of Redis.
const skew = 5 * time.Second

// caddyfile is both gateways'. The bare proxy's site is beside that of the others, since
// chat_identity guards a whole site.
const caddyfile = `{
	admin 127.0.0.1:{$ADMIN}
	persist_config off
	auto_https off
	log {
		level ERROR
	}
	chat_identity {
		encryption_key {env.SOAK_KEY}
		widgets redis redis://{$REDIS}
	}
}

http://127.0.0.1:{$PORT} {
	chat_identity required {
		widget {header.X-Widget-Key}
		jwks_path /keys
	}
	chat_identity /session* required {
		widget {header.X-Widget-Key}
		identify /session/identify
		session 1h
	}
	chat_identity /open* {
		widget {header.X-Widget-Key}
	}
	chat_identity /talk* required {
		widget {header.X-Widget-Key}
		conversation body /conversation
		assertion soak
	}
	chat_identity /token* required {
		dialect jwt
		widget {header.X-Widget-Key}
		assertion soak
	}
	chat_identity /member* required {
		dialect jwt
		widget members
		public_key {env.SOAK_PUBLIC}
		token {
			algorithm ES256
		}
		assertion soak
	}
	chat_identity /once* required {
		dialect snapengage
		widget {header.X-Widget-Key}
		one_time
		skew 5s
		assertion soak
	}
	reverse_proxy {$BACKEND} {
		stream_close_delay 1h
	}
}

http://127.0.0.1:{$BARE} {
	reverse_proxy {$BACKEND}
}
`

// fleet is what is loaded, and what was counted.
type fleet struct {
	redis    *redistest.Server
	gateways [2]*gateway
	http     *http.Client
	member   *ecdsa.PrivateKey
	lives    []*life
	tally

	away    span // Redis is, or one-time signatures are not accepted yet
	cutting span // a gateway is killed
	quiet   span // no secret is retired

	retirements sync.RWMutex // is read-locked while a secret is retired

	reloads               atomic.Int64
	imported, redisStart  time.Duration
	redisBytes, noWidgets int64
	answers               []string // of the dashboard
	memories              [3][2]float64
}

// gateway is one of the fleet. Killed, it runs again at the same ports.
type gateway struct {
	*testbed.Process
	site, bare, admin string // host and port of each
	home              string
	environment       []string
	up                atomic.Bool
	reloading         span
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{http: &http.Client{Timeout: testbed.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * clients}}}
	t.Cleanup(f.http.CloseIdleConnections)
	f.redis = redistest.Start(t)
	f.noWidgets = f.redisMemory(t)
	var err error
	if f.member, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(f.member.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := widgets.NewEncryptionKey()
	for i := range f.gateways {
		address := func() string { return fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t)) }
		f.gateways[i] = &gateway{site: address(), bare: address(), admin: address(), home: t.TempDir()}
	}
	backend := f.backend(t)
	for _, g := range f.gateways {
		port := func(address string) string { return strings.TrimPrefix(address, "127.0.0.1:") }
		g.environment = []string{
			"PORT=" + port(g.site), "BARE=" + port(g.bare), "ADMIN=" + port(g.admin), "BACKEND=" + backend, "REDIS=" + f.redis.Addr, "SOAK_KEY=" + key,
			"SOAK_PUBLIC=" + string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		}
		g.run(t)
		g.healthy(t)
		g.up.Store(true)
	}
	f.stock(t, key)
	f.name(t, known)
	return f
}

func (g *gateway) run(t *testing.T) {
	t.Helper()
	g.Process = testbed.Run(t, caddyfile, g.home, "http://"+g.admin+"/chat_identity/stats", g.environment...)
}

func (g *gateway) healthy(t *testing.T) {
	t.Helper()
	testbed.Until(t, "the gateway to be healthy", func() bool {
		response, err := http.Get("http://" + g.admin + "/chat_identity/health")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return err == nil && strings.Contains(string(text), `"ok"`)
	}, &g.Log)
}

// change asks the admin API, and decodes its answer.
func (g *gateway) change(method, path, media string, body io.Reader, answer any) error {
	request, err := http.NewRequest(method, "http://"+g.admin+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", media)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, response.Status, text)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(text, answer)
	}
	return err
}

func (g *gateway) must(t *testing.T, method, path, media string, body io.Reader, answer any) {
	t.Helper()
	if err := g.change(method, path, media, body, answer); err != nil {
		t.Fatal(err)
	}
}

// gauge is the value of one of the gateway's metrics without labels, 0 if there is none.
func (g *gateway) gauge(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if families[name] == nil {
		return 0
	}
	return families[name].GetMetric()[0].GetGauge().GetValue()
}

// measure notes each gateway's resident memory, in megabytes.
func (f *fleet) measure(t *testing.T, when int) {
	t.Helper()
	for i, g := range f.gateways {
		f.memories[when][i] = g.gauge(t, "process_resident_memory_bytes") / 1e6
	}
}

// redisMemory is what Redis uses, in bytes.
func (f *fleet) redisMemory(t *testing.T) (used int64) {
	t.Helper()
	_, text, _ := strings.Cut(f.redis.Do("INFO", "memory"), "used_memory:")
	if _, err := fmt.Sscan(text, &used); err != nil {
		t.Fatal(err)
	}
	return used
}

func (f *fleet) rotateSigningKeys(t *testing.T) {
	t.Helper()
	f.gateways[0].must(t, "POST", "/chat_identity/keys/rotate", "application/json", nil, nil)
}

// widgetID and secretOf are of the widgets that nobody rotates.
func widgetID(i int) string { return fmt.Sprintf("w%06d", i) }

func secretOf(id string) string { return sign("the seed of the secrets", id) }

func sign(secret, text string) string { return testbed.Sign(secret, text) }

// stock imports the widgets, as a backup is.
func (f *fleet) stock(t *testing.T, key string) {
	t.Helper()
	sealing, err := widgets.ParseEncryptionKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ring, records := widgets.NewRing(sealing), make([]*widgets.Record, numWidgets)
	for i := range records {
		id := widgetID(i)
		secret, err := verifier.NewSecret(secretOf(id))
		if err == nil {
			records[i], err = widgets.NewRecord(id, "", "", secret, ring, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for page := range slices.Chunk(records, 1000) {
		text, err := json.Marshal(page)
		if err != nil {
			t.Fatal(err)
		}
		f.gateways[0].must(t, "POST", "/chat_identity/import", "application/json", bytes.NewReader(text), nil)
	}
	f.imported = time.Since(began)
	f.redisBytes = f.redisMemory(t)
}

// name has a verified request name each of the first widgets at both gateways.
func (f *fleet) name(t *testing.T, count int) {
	t.Helper()
	for i := range count {
		for g := range f.gateways {
			a, err := f.ask(f.message(widgetID(i), secretOf(widgetID(i))).at(g))
			if err != nil || a.Status != 200 {
				t.Fatalf("widget %d is not verified: %+v %v", i, a, err)
			}
		}
	}
}

// answer is the backend's, or what a refusal says.
type answer struct {
	Status               int `json:"-"`
	User, Widget, Reason string
}

// backend answers with who was verified. Where the gateway's assertion is demanded, that has to
// say what the headers say. It echoes what is sent over a WebSocket, and sends events.
func (f *fleet) backend(t *testing.T) (address string) {
	believed := &guard.Guard{KeysURL: "http://" + f.gateways[0].site + "/keys", Issuer: "chat-identity", Audience: "soak"}
	return listen(t, func(w http.ResponseWriter, r *http.Request) {
		a := answer{User: r.Header.Get("X-Verified-User"), Widget: r.Header.Get("X-Verified-Widget")}
		switch {
		case r.Header.Get("Upgrade") != "":
			echo(w)
			return
		case r.URL.Path == "/events":
			tick(w, r)
			return
		case r.Header.Get("X-Verified-Assertion") != "":
			said, err := believed.Read(r)
			if err == nil && (said.Subject != a.User || said.Widget != a.Widget) {
				err = errors.New("the assertion differs from the headers")
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(a)
	})
}

// token is a JSON Web Token of a user.
func token(user, header string, signature func(head string) []byte) string {
	return testbed.Token(header, fmt.Sprintf(`{"sub":%q,"exp":%d}`, user, time.Now().Add(10*time.Minute).Unix()), signature)
}
