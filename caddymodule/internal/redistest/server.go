// Package redistest starts Redis servers for tests.
package redistest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// Server is a redis-server of a test, in a folder of its own.
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

// StartSentinel starts a sentinel with that file of configuration, which it
// writes to.
func StartSentinel(t testing.TB, config string) *Server {
	t.Helper()
	return start(t, []string{config}, "--sentinel")
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
	cmd, gone := exec.Command("redis-server", s.args...), make(chan struct{})
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
	if err := os.RemoveAll(filepath.Join(s.Dir, "appendonlydir")); err != nil {
		s.t.Fatal(err)
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

// StartCluster starts a cluster of that many nodes, each with its part of the
// slots.
func StartCluster(t testing.TB, count int) []*Server {
	t.Helper()
	nodes := make([]*Server, count)
	for i := range nodes {
		s := Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
		nodes[i] = s
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		const slots = 16384
		s.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/count), strconv.Itoa((i+1)*slots/count-1))
		if i > 0 {
			nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", s.Port)
		}
	}
	for _, s := range nodes {
		testbed.Until(t, "the cluster to come up", func() bool {
			info := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(count)+"\r")
		})
	}
	return nodes
}

// Certificate returns files of a certificate for those hosts that is valid until then, and its key.
func Certificate(t testing.TB, until time.Time, hosts ...string) (cert, key string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
