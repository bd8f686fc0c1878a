package deploytests

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestRollout replaces two gateways one after the other, as Kubernetes does: SIGTERM, while
// requests still arrive because those who send them have not heard of it, and the end after
// shutdown_delay and what is left of the requests. No request is lost or refused.
func TestRollout(t *testing.T) {
	f := newFleet(t)
	widget := strings.TrimSpace(f.gateways[0].command(t, "", "create", "shop"))
	claim := f.gateways[0].command(t, widget, "sign", "--user", "user-123")

	ctx, stop := context.WithCancel(t.Context())
	traffic := make([]*client, 8)
	var running sync.WaitGroup
	for i := range traffic {
		traffic[i] = &client{fleet: f, claim: claim, fresh: i%2 == 0}
		running.Go(func() { traffic[i].run(ctx) })
	}
	for _, g := range f.gateways {
		f.replace(t, g, claim)
	}
	stop()
	running.Wait()
	for _, c := range traffic {
		for _, failure := range c.failures {
			t.Error(failure)
		}
	}
	for _, g := range f.gateways {
		if g.answered.Load() == 0 || g.leaving.Load() == 0 {
			t.Errorf("the gateway %s answered %d requests, %d of them after SIGTERM", g.site, g.answered.Load(), g.leaving.Load())
		}
	}
}

// A fleet is two gateways with the Caddyfile and the Redis of the manifests.
type fleet struct {
	gateways []*gateway
	active   atomic.Pointer[[]*gateway] // to which requests are sent
	slow     chan struct{}              // ends the requests to /chat/slow
	held     atomic.Int32               // how many of these are at the backend
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	dir := newFolder(t)
	f := &fleet{slow: make(chan struct{})}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				_ = conn.Close()
			}
			return
		}
		if r.URL.Path == "/chat/slow" {
			f.held.Add(1)
			<-f.slow
		}
		_, _ = io.WriteString(w, r.Header.Get("X-Identity-Outcome")+" "+r.Header.Get("X-Verified-User"))
	}))
	t.Cleanup(backend.Close)
	t.Cleanup(func() { close(f.slow) })

	redis := net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t)))
	_, port, _ := net.SplitHostPort(redis)
	arguments := redisCommand(t, dir)
	start(t, exec.Command(arguments[0], append(arguments[1:], "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())...), syscall.SIGTERM)
	for i := range 2 {
		g := &gateway{
			site:  net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t))),
			admin: net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t))),
			dir:   dir,
		}
		g.environment = []string{
			"SITE=http://" + g.site, "CADDY_ADMIN=" + g.admin, "REDIS=" + redis, "BACKEND=" + backend.Listener.Addr().String(),
			"CREDENTIALS_DIRECTORY=" + filepath.Join(dir, "secrets"), fmt.Sprintf("METRICS_ADDRESS=127.0.0.%d", i+2),
			"XDG_DATA_HOME=" + t.TempDir(), "HOME=" + t.TempDir(),
		}
		g.start(t)
		f.gateways = append(f.gateways, g)
	}
	f.active.Store(&f.gateways)
	return f
}

// replace stops a gateway and starts it again.
func (f *fleet) replace(t *testing.T, g *gateway, claim string) {
	t.Helper()
	// A request that takes longer than the gateway goes on serving.
	before, slow := f.held.Load(), make(chan string, 1)
	go func() {
		said, _, err := send(t.Context(), http.DefaultClient, g, "/chat/slow", claim)
		slow <- fmt.Sprint(said, err)
	}()
	testbed.Until(t, "the slow request to arrive", func() bool { return f.held.Load() > before }, g.log)

	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	g.going.Store(true)
	testbed.Until(t, "the readiness probe to say why it fails", func() bool {
		said, err := g.health()
		return err != nil && strings.Contains(said, "Caddy is shutting down")
	}, g.log)
	testbed.Until(t, "requests that arrive all the same", func() bool { return g.leaving.Load() > 50 }, g.log)
	if said := upgrade(t, g); said != "101 Upgrade" {
		t.Errorf("a WebSocket, while the gateway goes: %s", said)
	}

	// Those who send requests have heard of it.
	others := slices.DeleteFunc(slices.Clone(f.gateways), func(other *gateway) bool { return other == g })
	f.active.Store(&others)
	testbed.Until(t, "the gateway to accept no connections", func() bool {
		conn, err := net.Dial("tcp", g.site)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, g.log)
	time.Sleep(time.Second) // of the grace_period
	f.slow <- struct{}{}
	if said := <-slow; said != "200 verified user-123<nil>" {
		t.Errorf("the slow request: %s", said)
	}
	if err := g.process.Wait(); err != nil {
		t.Errorf("the gateway ended with %v\n%s", err, g.log.String())
	}
	g.start(t)
	f.active.Store(&f.gateways)
}

// upgrade opens a WebSocket, and returns the answer's status and Connection.
func upgrade(t *testing.T, g *gateway) string {
	t.Helper()
	conn, err := net.Dial("tcp", g.site)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", g.site); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", strings.Join(response.Header.Values("Connection"), ","))
}

// A gateway of the fleet.
type gateway struct {
	site, admin, dir  string
	environment       []string
	process           *exec.Cmd
	log               *testbed.Buffer
	going             atomic.Bool
	answered, leaving atomic.Int64 // answers, and those that ended a connection which was kept alive
}

// start starts the gateway, as the image does, and waits until the readiness probe succeeds.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.process = exec.Command(testbed.Gateway(t), "run", "--config", filepath.Join(g.dir, "Caddyfile"))
	g.process.Env = append(g.process.Environ(), g.environment...)
	g.log = start(t, g.process, syscall.SIGQUIT)
	testbed.Until(t, "the readiness probe to succeed", func() bool {
		_, err := g.health()
		return err == nil
	}, g.log)
	g.going.Store(false)
}

func (g *gateway) health() (said string, err error) {
	cmd := exec.Command(g.process.Path, "chat-identity", "health")
	cmd.Env = append(cmd.Environ(), g.environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// command runs a command of the gateway with a secret.
func (g *gateway) command(t *testing.T, secret string, arguments ...string) string {
	t.Helper()
	cmd := exec.Command(g.process.Path, append([]string{"chat-identity"}, arguments...)...)
	cmd.Env = append(append(cmd.Environ(), g.environment...), "CHAT_IDENTITY_SECRET="+secret)
	return output(t, cmd)
}

// A client sends messages to all gateways in turn.
type client struct {
	fleet    *fleet
	claim    string
	fresh    bool // a connection for each
	failures []string
}

func (c *client) run(ctx context.Context) {
	with := &http.Client{Transport: &http.Transport{DisableKeepAlives: c.fresh}}
	for i := 0; ctx.Err() == nil && len(c.failures) < 5; i++ {
		gateways := *c.fleet.active.Load()
		g := gateways[i%len(gateways)]
		going := g.going.Load()
		said, closes, err := send(ctx, with, g, "/chat/messages", c.claim)
		if ctx.Err() != nil {
			return
		}
		g.answered.Add(1)
		if going && closes && !c.fresh {
			g.leaving.Add(1)
		}
		if err != nil || said != "200 verified user-123" {
			c.failures = append(c.failures, fmt.Sprintf("the gateway %s answered %q, %v", g.site, said, err))
		}
	}
}

// send sends a message, and returns the answer and whether it ends the connection.
func send(ctx context.Context, with *http.Client, g *gateway, path, claim string) (said string, closes bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.site+path, strings.NewReader(claim))
	if err != nil {
		return "", false, err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {"shop"}}
	response, err := with.Do(request)
	if err != nil {
		return "", false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, body), response.Close, err
}

// redisCommand is the command of the manifests' Redis, with the folder's secrets.
func redisCommand(t *testing.T, dir string) []string {
	t.Helper()
	command := slices.Clone(project(t, dir).Services["redis"].Command)
	for i, word := range command {
		command[i] = strings.Replace(word, "/run/secrets/", filepath.Join(dir, "secrets")+"/", 1)
	}
	return command
}

// TestDurations: whoever stops the gateway waits for as long as it may take to end.
func TestDurations(t *testing.T) {
	dir := newFolder(t)
	var config struct {
		Apps struct {
			HTTP struct {
				Delay int64 `json:"shutdown_delay"`
				Grace int64 `json:"grace_period"`
			} `json:"http"`
		} `json:"apps"`
	}
	adapted := output(t, exec.Command(testbed.Gateway(t), "adapt", "--config", filepath.Join(dir, "Caddyfile")))
	if err := json.Unmarshal([]byte(adapted), &config); err != nil {
		t.Fatal(err)
	}
	needed := (config.Apps.HTTP.Delay + config.Apps.HTTP.Grace) / 1e9
	compose := int64(0)
	if grace := project(t, dir).Services["gateway"].StopGracePeriod; grace != nil {
		compose = int64(*grace) / 1e9
	}
	for what, has := range map[string]int64{
		"terminationGracePeriodSeconds": *newCluster(t, dir).deployments["gateway"].Spec.Template.Spec.TerminationGracePeriodSeconds,
		"stop_grace_period":             compose,
		"TimeoutStopSec":                stopTimeout(t, dir),
	} {
		if config.Apps.HTTP.Delay == 0 || has <= needed {
			t.Errorf("%s is %ds, shutdown_delay and grace_period are %ds", what, has, needed)
		}
	}
}
