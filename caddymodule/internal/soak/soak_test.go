//go:build soak

// Package soak_test loads a fleet for minutes with everything that it is made for, honest
// and hostile, while secrets are rotated, configurations reloaded, Redis restarted and a
// gateway killed. `make soak` runs it, SOAK=2m for as long as that.
package soak_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	numWidgets = 200_000
	// known widgets are named at each gateway before Redis restarts, so that they must be
	// served all the while.
	known    = 500
	clients  = 40 // each of which sends a request after another
	streams  = 24 // that are open at any time
	rotators = 3
	think    = 25 * time.Millisecond // the mean pause of a client
)

func TestSoak(t *testing.T) {
	took, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil || took < 20*time.Second {
		t.Fatal("SOAK must be a duration of at least 20s, such as 2m")
	}
	f := newFleet(t)
	prometheus := f.watch(t)
	f.measure(t, 0)

	for i := range rotators {
		f.lives = append(f.lives, f.newLife(t, i))
	}

	load, end := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer func() {
		end()
		group.Wait()
	}()
	for i := range clients {
		group.Go(func() { f.client(load, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	for i := range streams {
		group.Go(func() { f.streamer(load, rand.New(rand.NewPCG(2, uint64(i)))) })
	}
	for i, l := range f.lives {
		group.Go(func() { f.live(load, l, i) })
	}

	f.began = time.Now()
	reach := func(share float64) { // reloads until that part of the time has passed
		for i := 0; ; i++ {
			left := time.Until(f.began.Add(time.Duration(share * float64(took))))
			if left <= 0 {
				return
			}
			time.Sleep(min(left, took/20))
			f.reload(t, i%2)
		}
	}
	reach(0.3)
	f.rotateSigningKeys(t)
	f.restartRedis(t)
	reach(0.5)
	f.killSecond(t)
	reach(0.65)
	f.measure(t, 1)
	reach(1)
	f.judgeDashboard(t, prometheus)
	loaded := time.Since(f.began)
	f.measure(t, 2)
	end()
	group.Wait()
	f.report(t, loaded)
}

// watch starts a Prometheus that scrapes the fleet as examples/observability says, but more
// often, and returns its URL.
func (f *fleet) watch(t *testing.T) (url string) {
	folder := filepath.Join(testbed.Root(t), "examples", "observability")
	text, err := os.ReadFile(filepath.Join(folder, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("15s", "2s", "localhost:2019", f.gateways[0].admin+", "+f.gateways[1].admin,
		"alerts.yml", filepath.Join(folder, "alerts.yml")).Replace(string(text))
	return testbed.Prometheus(t, config)
}

// judgeDashboard has the tests of the dashboard ask Prometheus, while the load goes on. It
// waits until a gateway has counted the widgets, which is not in a hurry.
func (f *fleet) judgeDashboard(t *testing.T, prometheus string) {
	for deadline := time.Now().Add(10 * time.Minute); f.gateways[0].gauge(t, "caddy_chat_identity_oldest_secret_age_seconds") == 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("the widgets are not counted in ten minutes")
		}
	}
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestDashboardInPrometheus$", "./examples/observability")
	cmd.Dir = testbed.Root(t)
	cmd.Env = append(os.Environ(), "CHAT_IDENTITY_PROMETHEUS="+prometheus)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the dashboard: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, answer, ok := strings.Cut(line, "answered: "); ok {
			f.answers = append(f.answers, strings.TrimSpace(answer))
		}
	}
}

// restartRedis kills Redis and starts it again.
func (f *fleet) restartRedis(t *testing.T) {
	// A gateway serves from memory what it has read since any widget was last changed.
	f.quiet.begin()
	f.retirements.Lock() // none is under way
	defer f.retirements.Unlock()
	f.name(t, known)
	f.away.begin()
	f.note("Redis is killed")
	f.redis.Kill()
	time.Sleep(2 * time.Second)
	began := time.Now()
	f.redis.Restart()
	testbed.Until(t, "Redis to have its data", func() bool { return f.redis.Do("PING") == "PONG" })
	f.redisStart = time.Since(began)
	f.note("Redis is back")
	for _, g := range f.gateways {
		g.healthy(t)
	}
	// None is accepted that was signed before, nor any for skew. Clocks of signers are cut to
	// whole seconds.
	time.AfterFunc(skew+2*time.Second, func() {
		f.away.end()
		f.quiet.end()
	})
}

// killSecond kills the second gateway and starts it again.
func (f *fleet) killSecond(t *testing.T) {
	g := f.gateways[1]
	f.quiet.begin()
	f.cutting.begin()
	f.note("a gateway is killed")
	g.Kill()
	g.up.Store(false)
	time.Sleep(2 * time.Second)
	g.run(t)
	g.healthy(t)
	g.up.Store(true)
	f.note("the gateway is back")
	f.cutting.end()
	f.quiet.end()
}

// reload loads another configuration, as Caddy does only where something has changed.
func (f *fleet) reload(t *testing.T, i int) {
	g := f.gateways[i]
	f.reloads.Add(1)
	text := caddyfile + fmt.Sprintf("\n# reload %d\nhttp://127.0.0.1:%d {\n}\n", f.reloads.Load(), testbed.FreePort(t))
	// On Linux, Caddy listens anew and closes what it listened on, with the connections that it
	// has not accepted yet. Those that wait for a request it closes a little later.
	g.reloading.begin()
	g.must(t, "POST", "/load", "text/caddyfile", bytes.NewBufferString(text), nil)
	time.Sleep(time.Second)
	g.reloading.end()
}

// span is when something is expected that otherwise is not.
type span struct {
	mu         sync.Mutex
	from, till time.Time
}

func (s *span) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.till = time.Now(), time.Time{}
}

func (s *span) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.till = time.Now()
}

// since reports whether the span and the time since then have a moment in common.
func (s *span) since(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.from.IsZero() && (s.till.IsZero() || then.Before(s.till))
}
