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

// gateway is the gateway's process.
type gateway struct {
	cmd   *exec.Cmd
	ports map[*variant]int
	dir   string
}

// starter starts gateways.
type starter struct{ path, backend, auth string }

func (s starter) start() (*gateway, error) {
	dir, err := os.MkdirTemp("", "chat-identity-bench-*")
	if err != nil {
		return nil, err
	}
	g := &gateway{ports: make(map[*variant]int), dir: dir}
	var config strings.Builder
	config.WriteString("{\nadmin off\npersist_config off\nauto_https off\nlog {\nlevel ERROR\n}\n" +
		"chat_identity {\nwidget named {\nsecret {env.BENCH_SECRET}\n}\n}\n}\n")
	for _, v := range allVariants {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		g.ports[v] = port
		fmt.Fprintf(&config, "http://127.0.0.1:%d {\n%s\n}\n", port, strings.NewReplacer("BACKEND", s.backend, "AUTH", s.auth).Replace(v.site))
	}
	g.cmd = exec.Command(s.path, "run", "--config", "-", "--adapter", "caddyfile")
	g.cmd.Env = append(os.Environ(), "BENCH_SECRET="+secret, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	g.cmd.Stdin = strings.NewReader(config.String())
	var log bytes.Buffer
	g.cmd.Stdout, g.cmd.Stderr = &log, &log
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(g.ports[allVariants[len(allVariants)-1]]))
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

// cpu returns how much CPU time the gateway has taken, user and system.
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

// peak returns the most memory that the gateway ever had, in megabytes.
func (g *gateway) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kilobytes / 1024, err
}
