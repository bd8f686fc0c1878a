package testbed

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long tests wait for what must happen, on a machine under load.
const Patience = time.Minute

// Until waits until the condition holds. If it never does, the logs are printed.
func Until(t testing.TB, what string, condition func() bool, logs ...fmt.Stringer) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s\n%v", what, logs)
		}
	}
}

// Succeeds waits until there is no error any more.
func Succeeds(t testing.TB, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in a minute: %v", what, err)
		}
	}
}

// A Buffer can be read while a process writes to it.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A Demo is a running example that starts gateways.
type Demo struct {
	URL             string // of its page
	Printed, Errors Buffer
	Process         *os.Process

	gateway string        // its path, which is this demo's own, so that its processes can be recognized
	folders []string      // what it may write to
	ended   chan struct{} // closed
	err     error         // how it ended
}

// StartDemo starts a demo with a gateway, on a free port unless the environment
// sets another.
func StartDemo(t testing.TB, program, gateway string, environment ...string) *Demo {
	t.Helper()
	home, temp, port := t.TempDir(), t.TempDir(), FreePort(t)
	d := &Demo{
		URL: fmt.Sprintf("http://localhost:%d", port), gateway: filepath.Join(t.TempDir(), "caddy"),
		folders: []string{home, temp}, ended: make(chan struct{}),
	}
	if err := os.Symlink(gateway, d.gateway); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-gateway", d.gateway)
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "HOME="+home, "TMPDIR="+temp,
		"XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "CHAT_IDENTITY_SECRET=", "CALLS_SECRET=")
	cmd.Env = append(cmd.Env, environment...)
	cmd.Dir = t.TempDir() // it must not matter where it runs
	cmd.Stdout, cmd.Stderr = &d.Printed, &d.Errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.Process = cmd.Process
	go func() {
		d.err = cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-d.ended
	})
	return d
}

// Prints waits until the demo has printed a text.
func (d *Demo) Prints(t testing.TB, text string) {
	t.Helper()
	Until(t, fmt.Sprintf("the demo to print %q", text), func() bool {
		select {
		case <-d.ended:
			t.Fatalf("the demo ended: %v\n%s", d.err, d.Errors.String())
		default:
		}
		return strings.Contains(d.Printed.String(), text)
	}, &d.Printed, &d.Errors)
}

// Stop sends a signal to the demo and waits until it ends.
func (d *Demo) Stop(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := d.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := d.Wait(t); err != nil {
		t.Errorf("after %v it ended with %v\n%s", signal, err, d.Errors.String())
	}
}

// Wait waits until the demo ends, and checks that nothing is left: no process, no
// listener, no file. It returns how the demo ended.
func (d *Demo) Wait(t testing.TB) error {
	t.Helper()
	select {
	case <-d.ended:
	case <-time.After(Patience):
		t.Fatal("the demo does not end")
	}
	if pids := d.Gateways(t); len(pids) > 0 {
		t.Errorf("gateways left running: %v", pids)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(d.URL, "http://")); err == nil {
		conn.Close()
		t.Error("the port still answers")
	}
	for _, folder := range d.folders {
		files, err := os.ReadDir(folder)
		if err != nil || len(files) > 0 {
			t.Errorf("left behind: %v, %v", files, err)
		}
	}
	return d.err
}

// Gateways returns the processes that run the demo's gateway.
func (d *Demo) Gateways(t testing.TB) (pids []int) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		number, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(strings.TrimSpace(command), d.gateway+" run ") {
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
