//go:build slow

package caddymodule

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSlowTunnels: what TestTunnels asserts, in front of servers of other
// languages. Like Go, gunicorn's gthread keeps connections alive. Each writes
// down what it is asked.
func TestSlowTunnels(t *testing.T) {
	for name, backend := range map[string]func(t *testing.T, dir string) (proxy string){
		"gunicorn":         gunicorn,
		"PHP's own server": phpBuiltIn,
		"PHP-FPM":          phpFPM,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			proxy := backend(t, dir)
			asked := filepath.Join(dir, "asked")
			for title, site := range guarded() {
				address := secureSite(t, strings.ReplaceAll(site, "reverse_proxy UPSTREAM", proxy), "127.0.0.1:1")
				for _, framing := range []string{
					fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
					fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled),
				} {
					for _, target := range []string{address, "/chat", "/other"} {
						checkRefused(t, title, tunnelOverHTTP1(t, address, "CONNECT "+target+" HTTP/1.1\r\nHost: "+address+"\r\n"+framing))
					}
				}
				checkRefused(t, title, tunnelOverHTTP2(t, address))
				for _, protocol := range []string{"", "webtransport"} {
					checkRefused(t, title, tunnelOverHTTP3(t, address, protocol))
				}
			}
			if text, err := os.ReadFile(asked); err == nil {
				t.Errorf("the backend was asked: %s", text)
			}
			// The log works.
			address := secureSite(t, proxy, "127.0.0.1:1")
			client := http.Client{Transport: &http.Transport{TLSClientConfig: untrusted()}, Timeout: patience}
			response, err := client.Get("https://" + address + "/chat")
			must(t, err)
			_ = response.Body.Close()
			if text, err := os.ReadFile(asked); err != nil || !strings.Contains(string(text), "GET") {
				t.Errorf("%s %q, %v", response.Status, text, err)
			}
		})
	}
}

func checkRefused(t *testing.T, title string, response *http.Response) {
	t.Helper()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s: %s", title, response.Status)
	}
}

// gunicorn runs an application that writes down each request.
func gunicorn(t *testing.T, dir string) string {
	writeFile(t, filepath.Join(dir, "app.py"), `import os
def app(environ, start_response):
    with open(os.path.join(os.path.dirname(__file__), "asked"), "a") as f:
        print(environ["REQUEST_METHOD"], environ.get("HTTP_X_VERIFIED_USER"), file=f)
    start_response("200 OK", [("Content-Length", "0")])
    return []
`)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	serve(t, dir, address, "gunicorn", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "30", "--bind", address, "app:app")
	return "reverse_proxy " + address
}

const phpApplication = `<?php file_put_contents(__DIR__ . "/asked", $_SERVER["REQUEST_METHOD"] . " " . ($_SERVER["HTTP_X_VERIFIED_USER"] ?? "") . "\n", FILE_APPEND);`

func phpBuiltIn(t *testing.T, dir string) string {
	writeFile(t, filepath.Join(dir, "index.php"), phpApplication)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	serve(t, dir, address, "php", "-S", address, "index.php")
	return "reverse_proxy " + address
}

func phpFPM(t *testing.T, dir string) string {
	writeFile(t, filepath.Join(dir, "index.php"), phpApplication)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	config := filepath.Join(dir, "fpm.conf")
	writeFile(t, config, fmt.Sprintf("[global]\nerror_log = %s/fpm.log\ndaemonize = no\n[www]\nlisten = %s\nuser = root\ngroup = root\npm = static\npm.max_children = 2\n", dir, address))
	programs, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(programs) == 0 {
		t.Fatal("there is no php-fpm: make deps installs it")
	}
	serve(t, dir, address, programs[0], "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", config)
	return fmt.Sprintf("root * %s\nphp_fastcgi %s", dir, address)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte(text), 0o644))
}

// serve runs a server until the test ends, and returns once it accepts connections.
func serve(t *testing.T, dir, address, program string, args ...string) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Dir = dir
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	})
	eventually(t, program+" does not serve", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
