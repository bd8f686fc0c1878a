package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// variant is a site of the gateway's.
type variant struct {
	name, site string
	signed     bool
	headers    string // beside those that every request has
}

var variants = []variant{
	{"bare reverse_proxy", "reverse_proxy BACKEND", true, ""},
	// What a backend is told has to be sent: the same by hand, unverified.
	{"three headers", "request_header X-Verified-User " + user + "\nrequest_header X-Verified-Widget default\n" +
		"request_header X-Identity-Outcome verified\nreverse_proxy BACKEND", true, ""},
	{"verified", "chat_identity required {\nsecret {env.BENCH_SECRET}\n}\nreverse_proxy BACKEND", true, ""},
	{"optional, claim cut", "chat_identity {\nsecret {env.BENCH_SECRET}\n}\nreverse_proxy BACKEND", false, ""},
	{"forward_auth", "forward_auth AUTH {\nuri /\ncopy_headers X-Verified-User\n}\nreverse_proxy BACKEND", true, "X-User-Id: " + user + "\r\nX-User-Hash: HASH\r\n"},
}

// gateway is the gateway's process.
type gateway struct {
	cmd   *exec.Cmd
	ports map[string]int // by the variant's name
	dir   string
}

func startGateway(path, backend, auth string) (*gateway, error) {
	dir, err := os.MkdirTemp("", "chat-identity-bench-*")
	if err != nil {
		return nil, err
	}
	g := &gateway{ports: make(map[string]int), dir: dir}
	var config strings.Builder
	config.WriteString("{\nadmin off\npersist_config off\nauto_https off\nlog {\nlevel ERROR\n}\n}\n")
	for _, v := range variants {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		g.ports[v.name] = port
		fmt.Fprintf(&config, "http://127.0.0.1:%d {\n%s\n}\n", port, strings.NewReplacer("BACKEND", backend, "AUTH", auth).Replace(v.site))
	}
	g.cmd = exec.Command(path, "run", "--config", "-", "--adapter", "caddyfile")
	g.cmd.Env = append(os.Environ(), "BENCH_SECRET="+secret, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	g.cmd.Stdin = strings.NewReader(config.String())
	var log bytes.Buffer
	g.cmd.Stdout, g.cmd.Stderr = &log, &log
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(g.ports[variants[len(variants)-1].name]))
		if err == nil {
			c.Close()
			return g, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	g.stop()
	return nil, fmt.Errorf("the gateway does not start: %s", log.String())
}

func (g *gateway) stop() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	_ = os.RemoveAll(g.dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// cpu returns how much CPU time the gateway has taken.
func (g *gateway) cpu() (time.Duration, error) {
	total := time.Duration(0)
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		// In nanoseconds, where stat has hundredths of a second.
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", g.cmd.Process.Pid, thread.Name()))
		if err != nil {
			continue // it has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}

// forgetPeak has the kernel begin anew to note the peak of the gateway's memory.
func (g *gateway) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.cmd.Process.Pid), []byte("5"), 0o600)
}

// peak returns the most memory that the gateway had, in bytes.
func (g *gateway) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kilobytes << 10, err
}
