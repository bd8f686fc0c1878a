// Package why_test runs docs/why.md.
package why_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const page = "../../docs/why.md"

var (
	transcript = regexp.MustCompile("(?ms)^```console why\n(.*?)^```$")
	command    = regexp.MustCompile(`(?m)^\$ (.*)\n`)
)

// TestWhy runs every command of the page, and compares what it prints with what the
// page says. With UPDATE=1 in the environment, the page is written anew.
func TestWhy(t *testing.T) {
	text := read(t, page)
	var script strings.Builder
	for _, block := range transcript.FindAllStringSubmatch(text, -1) {
		for _, m := range command.FindAllStringSubmatch(block[1], -1) {
			fmt.Fprintf(&script, "%s\necho '%s'\n", m[1], end)
		}
	}
	backend := filepath.Join(t.TempDir(), "backend")
	testbed.Build(t, backend, "./examples/why/backend")
	run := exec.CommandContext(t.Context(), "./why.sh")
	run.Stdin = strings.NewReader("exec 2>&1\n" + script.String())
	run.Env = append(ports(t), "GATEWAY_BINARY="+testbed.Gateway(t), "GO_BACKEND="+backend)
	var stderr testbed.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	printed := strings.Split(string(out), end+"\n")
	n := 0
	want := transcript.ReplaceAllStringFunc(text, func(block string) string {
		lines := "```console why\n"
		for _, m := range command.FindAllString(block, -1) {
			lines += m + printed[n]
			if n++; !strings.HasSuffix(lines, "\n") {
				lines += "\n"
			}
		}
		return lines + "```"
	})
	if n < 20 || n != len(printed)-1 {
		t.Fatalf("%d commands, which have printed %d times: %s", n, len(printed)-1, out)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if text != want {
		t.Errorf("the page and what its commands print differ; UPDATE=1 writes it anew:\n%s", differing(text, want))
	}
}

// TestPortInUse: another's server is not taken for one of these.
func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	run := exec.CommandContext(t.Context(), "./why.sh")
	run.Env = append(ports(t), "GO_PORT="+port)
	out, err := run.CombinedOutput()
	want := "Port " + port + " is in use, by another `make why` perhaps: end that, or choose another port with GO_PORT=<port>.\n"
	if err == nil || string(out) != want {
		t.Errorf("%v, %s", err, out)
	}
}

// ports is the environment, with a free port for each server of why.sh.
func ports(t *testing.T) []string {
	t.Helper()
	env := os.Environ()
	names := regexp.MustCompile(`(?m)^for name in (.*); do$`).FindStringSubmatch(read(t, "why.sh"))
	for _, name := range strings.Fields(names[1]) {
		env = append(env, fmt.Sprintf("%s_PORT=%d", name, testbed.FreePort(t)))
	}
	return env
}

// end follows what a command has printed.
const end = "=== end of a command ==="

func differing(text, want string) string {
	a, b := strings.Split(text, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d\npage:\n%s\nprinted:\n%s", i+1, strings.Join(a[i:min(i+8, len(a))], "\n"), strings.Join(b[i:min(i+8, len(b))], "\n"))
		}
	}
	return ""
}

// TestCosts: what the page says of CPU is in the measured table.
func TestCosts(t *testing.T) {
	text, measured := read(t, page), read(t, "../../docs/performance.md")
	for row, size := range map[string]string{
		`(?m)^\| \[CPU\]\(performance.md\) of the gateway for 300 B .*$`: "300 B, chat text",
		`(?m)^\| CPU of the gateway for 1 MB of chat text .*$`:           "1 MB, chat text",
	} {
		said := strings.Split(regexp.MustCompile(row).FindString(text), " | ")
		found := strings.Split(regexp.MustCompile(`(?m)^\| `+size+` \|.*$`).FindString(measured), " | ")
		if len(said) != 6 || len(found) != 6 || strings.Trim(said[5], " |") != found[1] || said[2] != strings.Trim(found[5], " |") {
			t.Errorf("the page says %q, and measured was %q", said, found)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
