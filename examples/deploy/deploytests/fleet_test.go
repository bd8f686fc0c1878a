package deploytests

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// A fleet is two gateways with the Caddyfile and the Redis of the manifests.
type fleet struct {
	gateways []*gateway
	redis    *exec.Cmd
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
	f.redis = exec.Command(arguments[0], append(arguments[1:], "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())...)
	start(t, f.redis, syscall.SIGTERM)
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

// A gateway of the fleet.
type gateway struct {
	site, admin, dir  string
	environment       []string
	process           *exec.Cmd
	log               *testbed.Buffer
	going             atomic.Bool
	answered, leaving atomic.Int64 // answers, and those that ended a connection which was kept alive
}

// start starts the gateway, as the image does, and waits until it is healthy.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.process = exec.Command(testbed.Gateway(t), "run", "--config", filepath.Join(g.dir, "Caddyfile"))
	g.process.Env = append(g.process.Environ(), g.environment...)
	g.log = start(t, g.process, syscall.SIGQUIT)
	testbed.Until(t, "the gateway to be healthy", func() bool {
		_, err := g.health()
		return err == nil
	}, g.log)
	g.going.Store(false)
}

// restart kills the gateway and starts it again.
func (g *gateway) restart(t *testing.T) {
	t.Helper()
	must(t, g.process.Process.Kill())
	_ = g.process.Wait()
	g.start(t)
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

// redisCommand is the command of the manifests' Redis, with the folder's secrets.
func redisCommand(t *testing.T, dir string) []string {
	t.Helper()
	command := slices.Clone(project(t, dir).Services["redis"].Command)
	for i, word := range command {
		command[i] = strings.Replace(word, "/run/secrets/", filepath.Join(dir, "secrets")+"/", 1)
	}
	return command
}
