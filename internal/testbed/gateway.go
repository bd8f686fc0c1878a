package testbed

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// gatewayVariable names the gateway that make test has built, for all tests to run.
const gatewayVariable = "CHAT_IDENTITY_TEST_GATEWAY"

// Gateway returns the path of a built gateway. By hand, with go test alone, it is
// built on the first call, at a place where the next go test finds it.
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
