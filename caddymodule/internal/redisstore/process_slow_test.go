//go:build slow && unix

package redisstore

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// The test binary is a gateway in a process of its own, too, when it is started as
// such.
func init() {
	if url := os.Getenv("REDISSTORE_GATEWAY"); url != "" {
		if err := lookupForever(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// lookupForever is the other process: it prints when it asked, by the wall clock,
// what it was answered, and whether it has a lease.
func lookupForever(url string) error {
	options, err := redislink.Parse(url)
	if err != nil {
		return err
	}
	link, err := redislink.Open(options)
	if err != nil {
		return err
	}
	s := Open(Options{Link: link, StaleIfError: time.Hour})
	last, had := "", false
	for n := 0; ; n++ {
		asked := time.Now().UnixNano()
		got, has := version(s, "w"), leased(s)
		if n%1000 == 0 {
			time.Sleep(time.Millisecond)
		}
		if got != last || has != had || n%1000 == 0 {
			if _, err := fmt.Println(asked, got, has); err != nil {
				return nil // the test has ended
			}
		}
		last, had = got, has
	}
}

// TestSlowPaused: a gateway that was stopped while a widget was rotated does not
// answer with what it remembers when it goes on, not even once.
func TestSlowPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("v0"), "w")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "REDISSTORE_GATEWAY=redis://"+server.Addr)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	lines := make(chan string, 1<<20)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	signal := func(signal syscall.Signal) {
		if err := child.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	// until reads on to a line with that version, asked for after that moment and
	// under a lease: without one Redis may be away for it, and who is cut off may
	// use what he remembers. No line of such a time has another version, but for
	// one that Redis could not be asked for.
	until := func(want string, after int64) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case line, ok := <-lines:
				var asked int64
				var got string
				var has bool
				if _, err := fmt.Sscan(line, &asked, &got, &has); err != nil || !ok {
					t.Fatalf("it has ended, or printed '%s'", line)
				}
				if asked < after {
					continue
				}
				if strings.HasPrefix(got, "v") && got != want {
					t.Fatalf("version %s was answered %v after %s was in effect", got, time.Duration(asked-after), want)
				}
				if got == want && has {
					return
				}
			case <-deadline:
				t.Fatalf("version %s is never answered", want)
			}
		}
	}
	until("v0", 0)
	for i := 1; i <= 9; i++ {
		want := fmt.Sprint("v", i)
		if i%3 == 0 {
			server.Pause() // so that it is stopped while it waits for an answer
			time.Sleep(interval + interval/2)
			signal(syscall.SIGSTOP)
			server.Resume()
		}
		signal(syscall.SIGSTOP)
		change(t, s, to(want), "w")
		effective := time.Now().UnixNano()
		if i%2 == 0 {
			server.Do("CLIENT", "KILL", "TYPE", "normal") // its connections, too
		}
		signal(syscall.SIGCONT)
		until(want, effective)
	}
}
