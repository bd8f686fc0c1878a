// Package redistest starts Redis servers for tests.
package redistest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// Server is a redis-server of a test, in a folder of its own. The environment
// variable CHAT_IDENTITY_TEST_REDIS names another program, such as valkey-server.
type Server struct {
	Port string
	Addr string
	Dir  string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	gone chan struct{}
}

// Start starts a server that ends with the test. Without further arguments it
// keeps everything it has acknowledged, over [Server.Kill] and [Server.Restart]: what
// was written to a file outlives a process, if not a machine.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, nil, append([]string{"--save", "", "--appendonly", "yes", "--appendfsync", "no"}, args...)...)
}

func start(t testing.TB, file []string, args ...string) *Server {
	t.Helper()
	port := FreePort(t)
	s := &Server{Port: port, Addr: "127.0.0.1:" + port, Dir: t.TempDir(), t: t}
	s.args = slices.Concat(file, []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.Dir}, args)
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// FreePort returns one that a node of a cluster can have, too: see testbed.
func FreePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(testbed.FreePort(t))
}

// Restart starts the server again after [Server.Kill], and waits until it
// answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	testbed.Succeeds(s.t, "redis-server listens", func() error {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.gone:
			log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			s.t.Fatalf("redis-server has ended: %s", log)
		default:
		}
		return err
	})
}

// Launch starts the server and does not wait.
func (s *Server) Launch() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd, gone := exec.Command(cmp.Or(os.Getenv("CHAT_IDENTITY_TEST_REDIS"), "redis-server"), s.args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.gone = cmd, gone
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
}

// Kill ends the server as a crash does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.gone
}

// Empty removes what the server, which was killed, has kept.
func (s *Server) Empty() {
	s.t.Helper()
	for _, name := range []string{"appendonlydir", "appendonly.aof"} { // the latter before Redis 7
		if err := os.RemoveAll(filepath.Join(s.Dir, name)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Pause stops the server's process, and Resume lets it go on.
func (s *Server) Pause()  { s.signal(testbed.Suspend) }
func (s *Server) Resume() { s.signal(testbed.Resume) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends one command over a connection of its own, and returns what was
// answered, as text. It tries again where the connection is cut, as by a server
// that becomes the primary: the command must bear that.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	client := s.Dial(rueidis.ClientOption{})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	message, err := client.Do(ctx, client.B().Arbitrary(words...).Build().ToRetryable()).ToMessage()
	if err != nil && !rueidis.IsRedisNil(err) {
		s.t.Fatalf("redis: %s: %v", words[0], err)
	}
	if text, err := message.ToString(); err == nil {
		return text
	}
	answer, _ := message.ToAny()
	return fmt.Sprint(answer)
}

// Dial returns a client of the server, for the caller to close. It tries for a
// while: a server that becomes the primary cuts connections off.
func (s *Server) Dial(option rueidis.ClientOption) rueidis.Client {
	s.t.Helper()
	option.InitAddress, option.ForceSingleClient, option.DisableCache = []string{s.Addr}, true, true
	var client rueidis.Client
	testbed.Succeeds(s.t, "a connection to redis-server", func() (err error) {
		client, err = rueidis.NewClient(option)
		return err
	})
	return client
}
