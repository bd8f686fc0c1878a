package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
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

// TestPastTheGateways: whoever reaches the backend itself is nobody to it.
func TestPastTheGateways(t *testing.T) {
	backend := httptest.NewServer(newWebsite("http://127.0.0.1:1").handler())
	defer backend.Close()
	for _, assertion := range []string{"", "forged", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfYWRhIn0."} {
		r, err := http.NewRequest("POST", backend.URL+"/chat", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Verified-User": {"usr_ada"}, "X-Identity-Outcome": {"verified"}, "X-Verified-Assertion": {assertion}}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 401 {
			t.Errorf("with the assertion %q: %s", assertion, res.Status)
		}
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

	d.losesNothing(t, next)
	d.all(t, next, 2, "200 verified usr_ada")

	d.Stop(t, os.Interrupt)
	pid, _ := strconv.Atoi(regexp.MustCompile(`kill -CONT ([0-9]+)`).FindStringSubmatch(d.Printed.String())[1])
	if redis, err := os.FindProcess(pid); err == nil && !errors.Is(redis.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		t.Errorf("Redis, process %d, is left running", pid)
	}
}

// losesNothing kills a gateway, and sends messages before the balancer can know. A message
// that is at the gateway when it is killed may be lost; none of these is.
func (d running) losesNothing(t *testing.T, claim string) {
	t.Helper()
	const messages = 4 * gateways // with a connection to each gateway for some of them
	sent := new(sync.WaitGroup)
	send := func() <-chan string {
		answers := make(chan string, messages)
		for range messages {
			sent.Add(1)
			go func() {
				wrote := sync.OnceFunc(sent.Done)
				defer wrote()
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wrote() }})
				_, said, err := d.message(ctx, claim)
				answers <- fmt.Sprint(said, err)
			}()
		}
		return answers
	}
	check := func(answers <-chan string) {
		t.Helper()
		for range messages {
			if said := <-answers; said != "200 verified usr_ada<nil>" {
				t.Errorf("around the loss of a gateway: %s", said)
			}
		}
	}
	check(send())

	balancer := d.balancer(t)
	_ = balancer.Signal(testbed.Suspend)
	defer balancer.Signal(testbed.Resume)
	d.command(t, "kill -9")
	d.Prints(t, "The gateway 1 has ended")
	answers := send()
	sent.Wait()
	_ = balancer.Signal(testbed.Resume)
	check(answers)
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

// balancer returns the process that runs the gateway's binary and is not printed as one.
func (d running) balancer(t *testing.T) *os.Process {
	t.Helper()
	for _, pid := range d.Gateways(t) {
		if !strings.Contains(d.Printed.String(), fmt.Sprintf(", process %d\n", pid)) {
			balancer, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			return balancer
		}
	}
	t.Fatalf("no balancer runs beside %s", d.Printed.String())
	return nil
}

// message sends a message, and returns which gateway answered what.
func (d running) message(ctx context.Context, claim string) (gateway, said string, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", d.URL+"/chat", strings.NewReader(claim))
	if err != nil {
		return "", "", err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {widget}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", "", err
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	var answer struct{ Outcome, User, Reason string }
	if err = errors.Join(err, json.Unmarshal(text, &answer)); err != nil {
		return "", "", fmt.Errorf("%w: %d %s", err, res.StatusCode, text)
	}
	said = strings.Join(strings.Fields(fmt.Sprint(res.StatusCode, " ", answer.Outcome, " ", answer.User, answer.Reason)), " ")
	return res.Header.Get("X-Gateway"), said, nil
}

// all sends a message often enough to reach count gateways, which must all answer as wanted.
func (d running) all(t *testing.T, claim string, count int, want string) {
	t.Helper()
	seen := map[string]bool{}
	for range 6 * count {
		gateway, said, err := d.message(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		if said != want {
			t.Errorf("gateway %s: %s, want %s", gateway, said, want)
		}
		seen[gateway] = true
	}
	if len(seen) != count {
		t.Errorf("%v answered, want %d", seen, count)
	}
}
