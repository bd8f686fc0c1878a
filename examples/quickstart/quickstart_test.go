package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestDemo runs what `make demo` runs: the real gateway in front of the backend.
func TestDemo(t *testing.T) {
	b := build(t)
	t.Run("chat", func(t *testing.T) { testChat(t, newDemo(t, b)) })
	t.Run("merging", func(t *testing.T) { testMerging(t, newStand(t)) })
	t.Run("conversations", func(t *testing.T) { testConversations(t, newStand(t)) })
	t.Run("calls", func(t *testing.T) { testCalls(t, newStand(t)) })
	t.Run("identify", func(t *testing.T) { testIdentify(t, newStand(t)) })
	t.Run("terminated", func(t *testing.T) { testTerminated(t, newDemo(t, b)) })
	t.Run("gateway killed", func(t *testing.T) { testGatewayKilled(t, newDemo(t, b)) })
	t.Run("what is wrong", func(t *testing.T) { testSaysWhatIsWrong(t, b) })
}

func testChat(t *testing.T, d *running) {
	base := d.start(t, freePort(t))

	cookie, ada := demoSignIn(t, base, "ada")
	_, grace := demoSignIn(t, base, "grace")
	forged := map[string]any{"user_id": "1906", "user_hash": ada["user_hash"]}
	unsigned := map[string]any{"user_id": "usr_ada"}

	cases := []struct {
		name    string
		mode    string
		claim   map[string]any
		status  int
		outcome string
		user    any
		reason  any
	}{
		{"anonymous, off", "off", nil, 200, "disabled", nil, nil},
		{"anonymous, optional", "optional", nil, 200, "anonymous", nil, "missing"},
		{"anonymous, required", "required", nil, 401, "", nil, "missing"},
		{"signed, off", "off", ada, 200, "disabled", nil, nil},
		{"signed, optional", "optional", ada, 200, "verified", "usr_ada", nil},
		{"signed, required", "required", ada, 200, "verified", "usr_ada", nil},
		{"an integer id, required", "required", grace, 200, "verified", "1906", nil},
		{"forged, optional", "optional", forged, 200, "invalid", nil, "invalid"},
		{"forged, required", "required", forged, 401, "", nil, "invalid"},
		{"unsigned, optional", "optional", unsigned, 200, "anonymous", nil, "partial"},
		{"unsigned, required", "required", unsigned, 401, "", nil, "partial"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			message := map[string]any{"conversation": fmt.Sprint("c", i), "visitor": fmt.Sprint("visitor-number-", 10+i), "text": "hello"}
			for field, value := range c.claim {
				message[field] = value
			}
			// A forged header rides along with every message.
			res, answer := d.post(t, base+"/"+c.mode+"/chat/messages", message, http.Header{"X-Verified-User": {"root"}, "X-Identity-Outcome": {"verified"}})
			if res.StatusCode != c.status {
				t.Fatalf("answered %d %v, want %d", res.StatusCode, answer, c.status)
			}
			if c.status != 200 {
				if res.Header.Get("Content-Type") != "application/problem+json" || answer["code"] != "identity_unverified" || answer["reason"] != c.reason {
					t.Errorf("refused with %s %v", res.Header.Get("Content-Type"), answer)
				}
				return
			}
			got := answer["received"].(map[string]any)
			if got["outcome"] != c.outcome || got["user"] != c.user || got["reason"] != c.reason {
				t.Errorf("the backend saw %v", got)
			}
			left := got["claim_in_body"].(map[string]any)
			_, claimed := c.claim["user_id"]
			if kept := c.mode == "off" || c.outcome == "verified"; left["user_id"] != (claimed && kept) {
				t.Errorf("the user id is left in the body: %v", left["user_id"])
			}
			if contact, known := got["contact"].(map[string]any); known != (c.user != nil) || known && contact["attributes"].(map[string]any)["plan"] == nil {
				t.Errorf("contact %v", got["contact"])
			}
		})
	}

	t.Run("the claim in the query", func(t *testing.T) {
		res, answer := d.get(t, fmt.Sprintf("%s/required/chat/messages?conversation=c5&visitor=%s&user_id=%v&user_hash=%v", base, visitorB, ada["user_id"], ada["user_hash"]), nil)
		if messages, _ := answer["messages"].([]any); res.StatusCode != 200 || len(messages) != 2 {
			t.Errorf("answered %d %v", res.StatusCode, answer)
		}
	})
	t.Run("the session signs its own user", func(t *testing.T) {
		res, answer := d.get(t, base+"/session", http.Header{"Cookie": {cookie}})
		if res.StatusCode != 200 || answer["user_hash"] != ada["user_hash"] {
			t.Errorf("answered %d %v", res.StatusCode, answer)
		}
	})
	t.Run("another host name is not served", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/session", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "rebound.example"
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); len(body) > 0 {
			t.Errorf("answered %d %s", res.StatusCode, body)
		}
	})

	if err := d.stop(t, os.Interrupt); err != nil {
		t.Errorf("after an interrupt it ended with %v\n%s", err, d.errors.String())
	}
	d.assertGone(t, base)
}

func testTerminated(t *testing.T, d *running) {
	base := d.start(t, freePort(t))
	if err := d.stop(t, syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v\n%s", err, d.errors.String())
	}
	d.assertGone(t, base)
}

func testGatewayKilled(t *testing.T, d *running) {
	base := d.start(t, freePort(t))
	pids := d.gateways(t)
	if len(pids) != 1 {
		t.Fatalf("%d gateways run", len(pids))
	}
	process, err := os.FindProcess(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	err = d.wait(t)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit status 1", err)
	}
	if !strings.Contains(d.errors.String(), "the gateway has ended") {
		t.Errorf("said %q", d.errors.String())
	}
	d.assertGone(t, base)
}

func testSaysWhatIsWrong(t *testing.T, b built) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, takenPort, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, gateway, port, says string
	}{
		{"the port is taken", "", takenPort, "port " + takenPort + " is in use"},
		{"the port is none", "", "eighty", "PORT=eighty is not a port"},
		{"the gateway is not built", filepath.Join(t.TempDir(), "caddy"), freePort(t), "make build"},
		{"the gateway does not stay", "false", freePort(t), "PORT=8081"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := newDemo(t, b)
			if c.gateway != "" {
				d.gateway = c.gateway
			}
			d.run(t, c.port)
			err := d.wait(t)
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("ended with %v, want exit status 1", err)
			}
			if !strings.Contains(d.errors.String(), c.says) {
				t.Errorf("said %q, want something about %q", d.errors.String(), c.says)
			}
		})
	}
}

// built is the paths of the two programs. They are this test's own, so that
// their processes can be told from others.
type built struct{ quickstart, gateway string }

func build(t *testing.T) built {
	t.Helper()
	dir := t.TempDir()
	b := built{filepath.Join(dir, "quickstart"), filepath.Join(dir, "caddy")}
	testbed.Build(t, b.quickstart, "./examples/quickstart")
	if err := os.Symlink(testbed.Gateway(t), b.gateway); err != nil {
		t.Fatal(err)
	}
	return b
}

// running is one run of the program.
type running struct {
	built
	home, temp string

	cmd    *exec.Cmd
	output io.Reader
	errors bytes.Buffer
	ended  chan error
}

func newDemo(t *testing.T, b built) *running {
	return &running{built: b, home: t.TempDir(), temp: t.TempDir()}
}

func (d *running) run(t *testing.T, port string) {
	t.Helper()
	d.cmd = exec.Command(d.quickstart, "-gateway", d.gateway)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAT_IDENTITY_SECRET=") && !strings.HasPrefix(v, "CALLS_SECRET=") && !strings.HasPrefix(v, "XDG_") {
			d.cmd.Env = append(d.cmd.Env, v)
		}
	}
	d.cmd.Env = append(d.cmd.Env, "PORT="+port, "HOME="+d.home, "TMPDIR="+d.temp)
	d.cmd.Dir = t.TempDir() // it must not matter where it runs
	d.cmd.Stderr = &d.errors
	output, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.output = output
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.ended = make(chan error, 1)
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
}

// start runs the demo and returns the address that it prints.
func (d *running) start(t *testing.T, port string) string {
	t.Helper()
	d.run(t, port)
	base := "http://localhost:" + port
	line, err := bufio.NewReader(d.output).ReadString('\n')
	if err != nil || !strings.Contains(line, base+" ") {
		_ = d.wait(t)
		t.Fatalf("printed %q (%v), want %s\n%s", line, err, base, d.errors.String())
	}
	res, err := http.Get(base + "/")
	if err != nil {
		t.Fatalf("printed its address before it answers: %v", err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("the page was answered with %s", res.Status)
	}
	return base
}

func (d *running) stop(t *testing.T, signal os.Signal) error {
	t.Helper()
	if err := d.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	return d.wait(t)
}

func (d *running) wait(t *testing.T) error {
	t.Helper()
	go func() { d.ended <- d.cmd.Wait() }()
	select {
	case err := <-d.ended:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the demo does not end")
		return nil
	}
}

// assertGone checks that nothing is left: no process, no listener, no file.
func (d *running) assertGone(t *testing.T, base string) {
	t.Helper()
	if pids := d.gateways(t); len(pids) > 0 {
		t.Errorf("gateways left running: %v", pids)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://")); err == nil {
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

// gateways returns the processes that run this test's gateway.
func (d *running) gateways(t *testing.T) []int {
	t.Helper()
	var pids []int
	for pid, command := range processes(t) {
		if strings.HasPrefix(command, d.gateway+" run ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (d *running) post(t *testing.T, url string, body any, header http.Header) (*http.Response, map[string]any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, "POST", url, bytes.NewReader(encoded), header)
}

func (d *running) get(t *testing.T, url string, header http.Header) (*http.Response, map[string]any) {
	t.Helper()
	return do(t, "GET", url, nil, header)
}

func do(t *testing.T, method, url string, body io.Reader, header http.Header) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s answered %s, not JSON: %v", method, url, res.Status, err)
	}
	return res, answer
}

func demoSignIn(t *testing.T, base, name string) (string, map[string]any) {
	t.Helper()
	res, answer := do(t, "POST", base+"/session", strings.NewReader(`{"person":"`+name+`"}`), nil)
	if res.StatusCode != 200 {
		t.Fatalf("signing %s in was answered %s", name, res.Status)
	}
	cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
	return cookie, answer
}

func freePort(t *testing.T) string { return strconv.Itoa(testbed.FreePort(t)) }

// processes returns the command lines of all processes.
func processes(t *testing.T) map[int]string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-ww", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	all := map[int]string{}
	for line := range strings.Lines(string(out)) {
		number, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		all[pid] = strings.TrimSpace(command)
	}
	return all
}
