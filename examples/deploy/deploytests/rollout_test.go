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
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	testbed.Until(t, "health to say why it fails", func() bool {
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
