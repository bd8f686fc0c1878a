package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestFleet runs what `make fleet` runs.
func TestFleet(t *testing.T) {
	dir := t.TempDir()
	program, caddy := filepath.Join(dir, "fleet"), testbed.Gateway(t)
	testbed.Build(t, program, "./examples/fleet")
	t.Run("together", func(t *testing.T) { testTogether(t, launch(t, program, caddy)) })
	t.Run("without Redis", func(t *testing.T) {
		d := newDemo(t, program, caddy, "PATH="+t.TempDir())
		if err := d.wait(t); err == nil || !strings.Contains(d.errors.String(), "there is no redis-server on the PATH") {
			t.Errorf("%v: %s", err, d.errors.String())
		}
		d.assertGone(t)
	})
	t.Run("without a gateway", func(t *testing.T) {
		d := newDemo(t, program, filepath.Join(dir, "nothing"))
		if err := d.wait(t); err == nil || !strings.Contains(d.errors.String(), "make build") {
			t.Errorf("%v: %s", err, d.errors.String())
		}
		d.assertGone(t)
	})
}

// testTogether: what is rotated at one gateway holds at all, a gateway can be
// lost, and nothing is left in the end.
func testTogether(t *testing.T, d *running) {
	claim := d.claim(t)
	d.all(t, claim, 3, "200 verified usr_ada")
	// A balancer is no way round the gateways.
	forged, err := http.NewRequest("POST", d.base+"/chat", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	forged.Header = http.Header{"X-Widget-Key": {widget}, "X-Verified-User": {"usr_ada"}}
	res, err := http.DefaultClient.Do(forged)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 401 {
		t.Errorf("a forged header: %s", res.Status)
	}

	// The commands are those that are printed.
	secret := strings.TrimSpace(d.command(t, "rotate"))
	d.all(t, claim, 3, "401 invalid")
	if status := d.post(t, "/secret", `{"secret":"`+secret+`"}`, nil); status != 204 {
		t.Fatalf("the website does not take the secret: %d", status)
	}
	next := d.claim(t)
	d.all(t, next, 3, "200 verified usr_ada")
	if said := d.command(t, "--grace"); len(strings.TrimSpace(said)) != 64 {
		t.Errorf("rotated with grace: %s", said)
	}
	d.all(t, next, 3, "200 verified usr_ada")

	d.command(t, "kill -9")
	// A message that reaches it on its way out is lost, and nobody can tell
	// whether it was taken.
	for deadline := time.Now().Add(time.Minute); !strings.Contains(d.printed.String(), "The gateway 1 has ended"); {
		if time.Now().After(deadline) {
			t.Fatalf("a gateway is gone, and nobody says so: %s", d.printed.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
	d.all(t, next, 2, "200 verified usr_ada")

	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := d.wait(t); err != nil {
		t.Errorf("after an interrupt it ended with %v\n%s", err, d.errors.String())
	}
	d.assertGone(t)
}

// running is one run of the program.
type running struct {
	base       string
	home, temp string
	cmd        *exec.Cmd
	caddy      string
	printed    lines
	errors     lines
	ended      chan error
	pids       []int
}

// lines is a buffer that is read while a process writes to it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newDemo(t *testing.T, program, caddy string, environment ...string) *running {
	t.Helper()
	port := testbed.FreePort(t)
	d := &running{base: fmt.Sprintf("http://localhost:%d", port), home: t.TempDir(), temp: t.TempDir(), caddy: caddy, ended: make(chan error, 1)}
	d.cmd = exec.Command(program, "-gateway", caddy)
	d.cmd.Env = append(append(os.Environ(), fmt.Sprintf("PORT=%d", port), "HOME="+d.home, "TMPDIR="+d.temp), environment...)
	d.cmd.Dir = t.TempDir() // it must not matter where it runs
	d.cmd.Stdout, d.cmd.Stderr = &d.printed, &d.errors
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- d.cmd.Wait() }()
	t.Cleanup(func() { _ = d.cmd.Process.Signal(os.Interrupt) })
	return d
}

// processLine is how a gateway is listed in the end.
var processLine = regexp.MustCompile(`(?m)^gateway ([0-9]): .* process ([0-9]+)$`)

// launch runs the demo until it has printed everything.
func launch(t *testing.T, program, caddy string) *running {
	t.Helper()
	d := newDemo(t, program, caddy)
	deadline := time.Now().Add(time.Minute)
	for len(processLine.FindAllString(d.printed.String(), -1)) < gateways {
		select {
		case err := <-d.ended:
			t.Fatalf("ended: %v\n%s", err, d.errors.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("printed %s\n%s", d.printed.String(), d.errors.String())
		}
	}
	if !strings.Contains(d.printed.String(), "open "+d.base+" ") {
		t.Errorf("printed %s", d.printed.String())
	}
	for _, pid := range regexp.MustCompile(`(?:process|kill -CONT) ([0-9]+)`).FindAllStringSubmatch(d.printed.String(), -1) {
		var n int
		if _, err := fmt.Sscan(pid[1], &n); err != nil {
			t.Fatal(err)
		}
		d.pids = append(d.pids, n)
	}
	if len(d.pids) != gateways+1 {
		t.Fatalf("processes %v in %s", d.pids, d.printed.String())
	}
	return d
}

// command runs the first printed command that holds a text.
func (d *running) command(t *testing.T, holds string) string {
	t.Helper()
	reader := bufio.NewScanner(strings.NewReader(d.printed.String()))
	for reader.Scan() {
		line := reader.Text()
		if strings.HasPrefix(line, "    ") && strings.Contains(line, holds) {
			cmd := exec.Command("sh", "-c", line)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return string(out)
		}
	}
	t.Fatalf("no command with %q in %s", holds, d.printed.String())
	return ""
}

// claim returns what the website signs, as the body of a message.
func (d *running) claim(t *testing.T) string {
	t.Helper()
	var claim json.RawMessage
	if status := d.post(t, "/claim", "", &claim); status != 200 {
		t.Fatalf("the website signs nothing: %d", status)
	}
	return string(claim)
}

func (d *running) post(t *testing.T, path, body string, answer any) int {
	t.Helper()
	res, err := http.Post(d.base+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer != nil {
		if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode
}

// all sends a message until so many gateways have answered it, each like that.
func (d *running) all(t *testing.T, claim string, count int, want string) {
	t.Helper()
	seen := map[string]bool{}
	for range 6 * count {
		r, err := http.NewRequest("POST", d.base+"/chat", strings.NewReader(claim))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {widget}}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		var answer struct{ Outcome, User, Reason string }
		if err != nil || json.Unmarshal(text, &answer) != nil {
			t.Fatalf("%v: %d %s", err, res.StatusCode, text)
		}
		gateway := res.Header.Get("X-Gateway")
		said := strings.Join(strings.Fields(fmt.Sprint(res.StatusCode, " ", answer.Outcome, " ", answer.User, answer.Reason)), " ")
		if said != want {
			t.Errorf("gateway %s: %s, want %s", gateway, said, want)
		}
		seen[gateway] = true
	}
	if len(seen) != count {
		t.Errorf("%v answered, want %d", seen, count)
	}
}

func (d *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-d.ended:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the demo does not end")
		return nil
	}
}

// assertGone checks that nothing is left: no process, no listener, no file.
func (d *running) assertGone(t *testing.T) {
	t.Helper()
	d.assertEnded(t)
	if conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://")); err == nil {
		conn.Close()
		t.Error("the port still answers")
	}
	for _, dir := range []string{d.home, d.temp} {
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range left {
			t.Errorf("left behind: %s", f.Name())
		}
	}
}

// assertEnded checks that what the demo has started ends, all of it.
func (d *running) assertEnded(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, pid := range d.pids {
		for runs(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d is left", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the balancer is left")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// runs reports whether there is such a process. One that has ended and is listed
// does not run: whoever inherits orphans need not ask how they ended.
func runs(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(string(out), "Z")
}
