package testbed

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// gatewayVariable names the gateway that make test has built, for all tests to run.
const gatewayVariable = "CHAT_IDENTITY_TEST_GATEWAY"

// Gateway returns the path of a built gateway. With go test alone, it is built
// on the first call, where the next go test finds it.
func Gateway(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(gatewayVariable); path != "" {
		return path
	}
	path := filepath.Join(Root(t), "bin", "testgateway")
	Build(t, path, "./caddymodule/cmd/caddy")
	return path
}

// Build builds a program of this repository.
func Build(t testing.TB, path, pkg string, flags ...string) {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	build.Dir = Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
}

// Root returns the repository's folder.
func Root(t testing.TB) string {
	t.Helper()
	_, file, _, known := runtime.Caller(0)
	if !known {
		t.Fatal("this file's path is not known")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// A Process is a running gateway.
type Process struct {
	Log Buffer
	cmd *exec.Cmd
}

// Run runs a gateway with a Caddyfile until the test ends. It keeps what it stores
// in home, and returns once the URL is answered.
func Run(t testing.TB, caddyfile, home, url string, environment ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(Gateway(t), "run", "--config", "-", "--adapter", "caddyfile")}
	p.cmd.Stdin, p.cmd.Stderr = strings.NewReader(caddyfile), &p.Log
	p.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	p.cmd.Env = append(p.cmd.Env, environment...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(t) })
	Until(t, "the gateway to answer", func() bool {
		response, err := http.Get(url)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode < 500
	}, &p.Log)
	return p
}

// Stop ends the gateway, unless it has ended, as Ctrl-C does.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the gateway ended with %v:\n%s", err, p.Log.String())
	}
}

// Kill ends the gateway without giving it time to write anything.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
