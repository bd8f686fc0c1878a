package redisledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func key(name string) ledger.Key       { return sha256.Sum256([]byte("key " + name)) }
func holder(name string) ledger.Holder { return sha256.Sum256([]byte("holder " + name)) }
func soon() time.Time                  { return time.Now().Add(time.Minute) }

// server is a Redis server that a test has started.
type server struct {
	t    testing.TB
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
}

// serve starts a server that is empty and answers.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), args: args}
	for range 20 { // another process may take the port in between, or it has no room for a cluster's above it
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if err = s.start(); err == nil {
			t.Cleanup(s.kill)
			return s
		}
		t.Log(err)
	}
	t.Fatal("no server could be started")
	return nil
}

// spread starts a cluster of one node.
func spread(t testing.TB) *server {
	t.Helper()
	s := serve(t, "--cluster-enabled", "yes")
	s.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	eventually(t, "the cluster is up", func() error {
		if info := s.do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") {
			return errors.New(info)
		}
		return nil
	})
	return s
}

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// start starts the server as it was before, with what it has saved.
func (s *server) start() error {
	args := append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", "",
		"--daemonize", "no", "--logfile", "log"}, s.args...)
	s.cmd = exec.Command("redis-server", args...)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	cmd := s.cmd
	go func() { ended <- cmd.Wait() }()
	for range 2000 {
		select {
		case err := <-ended:
			return fmt.Errorf("redis-server: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		// Not another process that has taken the port.
		if out, _ := s.command("INFO", "server"); strings.Contains(out, fmt.Sprintf("process_id:%d\r\n", cmd.Process.Pid)) {
			return nil
		}
	}
	return errors.New("redis-server does not answer")
}

// kill ends the process without a chance to save anything.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	for range 2000 {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
}

func (s *server) restart() {
	s.t.Helper()
	s.kill()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// command asks the server as an operator does.
func (s *server) command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.port)}, args...)...).Output()
	return strings.TrimSpace(string(out)), err
}

func (s *server) do(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...)
	if err != nil || strings.HasPrefix(out, "ERR") {
		s.t.Fatalf("%v: %s %v", args, out, err)
	}
	return out
}

// dial returns a client with the limits that are recommended.
func (s *server) dial(change ...func(*rueidis.ClientOption)) rueidis.Client {
	s.t.Helper()
	o := rueidis.ClientOption{
		InitAddress: []string{s.address()}, ForceSingleClient: true, DisableCache: true,
		Dialer: net.Dialer{Timeout: time.Second}, ConnWriteTimeout: time.Second,
	}
	for _, change := range change {
		change(&o)
	}
	c, err := rueidis.NewClient(o)
	if c == nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// ledger returns one on the server. It is closed when the test ends.
func (s *server) ledger(change ...func(*Options)) *Ledger {
	s.t.Helper()
	o := Options{Prefix: "test:"}
	for _, change := range change {
		change(&o)
	}
	if o.Client == nil {
		o.Client = s.dial(func(c *rueidis.ClientOption) { c.ForceSingleClient = !o.Cluster })
	}
	l := New(o)
	s.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return l
}

func opened(t testing.TB, l *Ledger) *Ledger {
	t.Helper()
	if _, err := l.Open(t.Context(), ledger.Window{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// elapse makes it later for everything that the server keeps, which is how a
// test has time pass.
func elapse(t testing.TB, c rueidis.Client, d time.Duration) {
	t.Helper()
	const script = `
local d = tonumber(ARGV[1])
for _, k in ipairs(redis.call('KEYS', '*')) do
	if redis.call('TYPE', k).ok == 'zset' then
		local places = redis.call('ZRANGE', k, 0, -1)
		for _, p in ipairs(places) do redis.call('ZINCRBY', k, -d, p) end
	end
	local left = redis.call('PTTL', k)
	if left >= 0 then
		if left <= d then redis.call('DEL', k) else redis.call('PEXPIRE', k, left - d) end
	end
end
return 1`
	args := []string{strconv.FormatInt(d.Milliseconds(), 10)}
	// With a key, so that a cluster's client knows where to.
	if err := c.Do(t.Context(), c.B().Eval().Script(script).Numkeys(1).Key("test:l").Arg(args...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// handClock is a clock that tests set.
type handClock struct {
	mu   sync.Mutex
	wall time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

// eventually waits, generously, until there is no error any more.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in half a minute: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func failed(_ string, err error) error { return err }
