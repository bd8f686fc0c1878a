package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestFleet runs what `make fleet` runs.
func TestFleet(t *testing.T) {
	program, caddy := filepath.Join(t.TempDir(), "fleet"), testbed.Gateway(t)
	testbed.Build(t, program, "./examples/fleet")
	t.Run("together", func(t *testing.T) { testTogether(t, running{testbed.StartDemo(t, program, caddy)}) })
	for _, c := range []struct{ name, gateway, path, says string }{
		{"without Redis", caddy, t.TempDir(), "there is no redis-server on the PATH"},
		{"without a gateway", filepath.Join(t.TempDir(), "nothing"), os.Getenv("PATH"), "make build"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := testbed.StartDemo(t, program, c.gateway, "PATH="+c.path)
			if err := d.Wait(t); err == nil || !strings.Contains(d.Errors.String(), c.says) {
				t.Errorf("%v: %s", err, d.Errors.String())
			}
		})
	}
}

// testTogether: what is rotated at one gateway holds at all, a gateway can be
// lost, and nothing is left in the end.
func testTogether(t *testing.T, d running) {
	d.Prints(t, fmt.Sprintf("\ngateway %d: ", gateways))
	if !strings.Contains(d.Printed.String(), "open "+d.URL+" ") {
		t.Errorf("printed %s", d.Printed.String())
	}
	if pids := d.Gateways(t); len(pids) != gateways+1 {
		t.Errorf("%d gateways run, with the balancer", len(pids))
	}
	claim := d.claim(t)
	d.all(t, claim, 3, "200 verified usr_ada")
	// A balancer is no way round the gateways.
	forged, err := http.NewRequest("POST", d.URL+"/chat", strings.NewReader("{}"))
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
	// A message that reaches it on its way out is lost, and it is unknown whether it
	// was accepted.
	d.Prints(t, "The gateway 1 has ended")
	d.all(t, next, 2, "200 verified usr_ada")

	d.Stop(t, os.Interrupt)
	pid, _ := strconv.Atoi(regexp.MustCompile(`kill -CONT ([0-9]+)`).FindStringSubmatch(d.Printed.String())[1])
	if redis, err := os.FindProcess(pid); err == nil && !errors.Is(redis.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		t.Errorf("Redis, process %d, is left running", pid)
	}
}

// running is a demo of a fleet.
type running struct{ *testbed.Demo }

// command runs the first printed command that contains a text.
func (d running) command(t *testing.T, text string) string {
	t.Helper()
	for line := range strings.Lines(d.Printed.String()) {
		if strings.HasPrefix(line, "    ") && strings.Contains(line, text) {
			cmd := exec.Command("sh", "-c", line)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return string(out)
		}
	}
	t.Fatalf("no command with %q in %s", text, d.Printed.String())
	return ""
}

// claim returns what the website signs, as the body of a message.
func (d running) claim(t *testing.T) string {
	t.Helper()
	var claim json.RawMessage
	if status := d.post(t, "/claim", "", &claim); status != 200 {
		t.Fatalf("the website signs nothing: %d", status)
	}
	return string(claim)
}

func (d running) post(t *testing.T, path, body string, answer any) int {
	t.Helper()
	res, err := http.Post(d.URL+path, "application/json", strings.NewReader(body))
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

// all sends a message often enough to reach count gateways, which must all answer as wanted.
func (d running) all(t *testing.T, claim string, count int, want string) {
	t.Helper()
	seen := map[string]bool{}
	for range 6 * count {
		r, err := http.NewRequest("POST", d.URL+"/chat", strings.NewReader(claim))
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
