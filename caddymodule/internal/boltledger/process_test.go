package boltledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// childVariable names the part that this binary plays when a test starts it as
// another process.
const childVariable = "BOLTLEDGER_TEST_CHILD"

// parts are what a child can do with the path it is given.
var parts = map[string]func(path string){
	"reserve": reserveUntilKilled,
	"hold":    holdUntilTold,
	"judge":   judgeFiles,
}

func TestMain(m *testing.M) {
	if part := os.Getenv(childVariable); part != "" {
		parts[part](os.Args[len(os.Args)-1])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is another process with its input and output.
type child struct {
	*exec.Cmd
	in     io.WriteCloser
	lines  chan string // closed when the output has ended
	errors *strings.Builder
}

func start(t *testing.T, part, path string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0], "-test.run=^$", path), lines: make(chan string), errors: new(strings.Builder)}
	c.Env = append(os.Environ(), childVariable+"="+part)
	c.Stderr = c.errors
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended, as most do
		for range c.lines {
		}
		_ = c.Wait()
	})
	return c
}

// line returns the next line that the child writes. A child that ends instead,
// or says nothing for a minute, fails the test with what its goroutines do.
func (c *child) line(t *testing.T) string {
	t.Helper()
	select {
	case line, more := <-c.lines:
		if more {
			return line
		}
	case <-time.After(time.Minute):
		_ = c.Process.Signal(syscall.SIGQUIT)
	}
	for range c.lines {
	}
	t.Fatalf("the process: %v\n%s", c.Wait(), c.errors)
	return ""
}

func farAway() time.Time { return time.Now().Add(24 * time.Hour).Truncate(time.Second) }

// reserveUntilKilled reserves keys of random names and says so when it has.
func reserveUntilKilled(path string) {
	l := New(Options{Path: path})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for {
				name := fmt.Sprint(rand.Uint64())
				e, err := l.Reserve(context.Background(), key(name), holder(name), farAway(), ledger.Share{Owner: key("owner"), Limit: 1 << 30})
				if err != nil || e.Holder != holder(name) {
					panic(fmt.Sprint(err, e))
				}
				_, _ = os.Stdout.WriteString(name + "\n") // one write, which a kill cannot cut
			}
		})
	}
	group.Wait()
}

// TestKilled kills a process that reserves, at random moments. What it said
// that it had reserved is held when the file is opened again.
func TestKilled(t *testing.T) {
	t.Parallel()
	const rounds = 24
	random := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "ledger.db")
	var acknowledged []string
	for round := range rounds {
		if round%4 == 0 { // killed at its start, where the file is created
			path, acknowledged = filepath.Join(t.TempDir(), "ledger.db"), nil
		}
		c := start(t, "reserve", path)
		first := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			for n := 0; ; n++ {
				name, more := <-c.lines
				if n == 0 {
					close(first)
				}
				if !more {
					return
				}
				acknowledged = append(acknowledged, name)
			}
		})
		if round%4 == 0 {
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
		} else {
			<-first
			time.Sleep(time.Duration(random.IntN(40_000)) * time.Microsecond)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatalf("the process ended by itself: %v\n%s", err, c.errors)
		}
		group.Wait()
		l := New(Options{Path: path})
		for _, name := range acknowledged {
			e, err := l.Held(t.Context(), key(name))
			if err != nil || e.Holder != holder(name) {
				t.Fatalf("round %d: what was acknowledged is not held: %v, %v", round, e, err)
			}
			e, err = l.Reserve(t.Context(), key(name), holder("another"), farAway(), ledger.Share{})
			if err != nil || e.Holder != holder(name) {
				t.Fatalf("round %d: what was acknowledged was accepted again: %v, %v", round, e, err)
			}
		}
		l.close(t)
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was reserved before a kill")
	}
}

// holdUntilTold has the file open until its input ends.
func holdUntilTold(path string) {
	l := New(Options{Path: path})
	if _, err := l.Open(context.Background(), ledger.Window{}); err != nil {
		panic(err)
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := l.Close(); err != nil {
		panic(err)
	}
}

// TestSecondProcess opens a file that another process has open.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	c := start(t, "hold", path)
	if text := c.line(t); text != "open" {
		t.Fatalf("the other process said %q", text)
	}
	l := New(Options{Path: path})
	defer l.close(t)
	if _, err := l.Open(t.Context(), ledger.Window{}); !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, errInUse) {
		t.Fatalf("opened all the same: %v", err)
	}
	// Requests do not each wait for the lock.
	begun, attempts, last := time.Now(), 1, l.failed
	for range 200 {
		_, err := l.Held(t.Context(), key("k"))
		if !errors.Is(err, errInUse) || !strings.Contains(err.Error(), path) {
			t.Fatalf("got %v", err)
		}
		if err := l.Err(); !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatalf("Err is %v", err)
		}
		l.mu.Lock()
		if l.failed != last {
			attempts, last = attempts+1, l.failed
		}
		l.mu.Unlock()
	}
	if most := 2 + int(time.Since(begun)/retryAfter); attempts > most {
		t.Errorf("%d attempts to open, more than %d", attempts, most)
	}
	_ = c.in.Close()
	testbed.Succeeds(t, "it recovers", func() error {
		_, err := l.Reserve(t.Context(), key("k"), holder("a"), farAway(), ledger.Share{})
		return err
	})
	if err := l.Err(); err != nil {
		t.Error(err)
	}
}
