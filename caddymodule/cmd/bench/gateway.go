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
	cmd     *exec.Cmd
	address map[*variant]string
	dir     string
}

// starter starts gateways.
type starter struct{ path, backend, auth string }

func (s starter) start() (*gateway, error) {
	dir, err := os.MkdirTemp("", "chat-identity-bench-*")
	if err != nil {
		return nil, err
	}
	g := &gateway{address: make(map[*variant]string), dir: dir}
	var config strings.Builder
	config.WriteString("{\nadmin off\npersist_config off\nauto_https off\nlog {\nlevel ERROR\n}\n" +
		"chat_identity {\nwidget named {\nsecret {env.BENCH_SECRET}\n}\n" +
		"assertion {\nlifetime 1h\n}\n}\n}\n") // so that no round mints
	var held []net.Listener // until all have their ports, so that no two get the same
	for _, v := range allVariants {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		g.address[v] = l.Addr().String()
		fmt.Fprintf(&config, "http://%s {\n%s\n}\n", g.address[v], strings.NewReplacer("BACKEND", s.backend, "AUTH", s.auth).Replace(v.site))
	}
	for _, l := range held {
		l.Close()
	}
	g.cmd = exec.Command(s.path, "run", "--config", "-", "--adapter", "caddyfile")
	g.cmd.Env = append(os.Environ(), "BENCH_SECRET="+secret, "BENCH_PUBLIC_KEY="+publicPEM(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	g.cmd.Stdin = strings.NewReader(config.String())
	var log bytes.Buffer
	g.cmd.Stdout, g.cmd.Stderr = &log, &log
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		c, err := net.Dial("tcp", g.address[bare])
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

// cpu returns the gateway's CPU time so far, user and system.
func (g *gateway) cpu() (time.Duration, error) {
	total := time.Duration(0)
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		// In nanoseconds; stat has only hundredths of a second.
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

// peak returns the most memory that the gateway has ever used, in megabytes.
func (g *gateway) peak() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes := 0.0
	_, err = fmt.Sscan(rest, &kilobytes)
	return kilobytes / 1024, err
}
