package deploytests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// newFolder returns a copy of examples/deploy with secrets, as its script creates them. The
// script is run twice, as whoever has forgotten that it was: the secrets stay.
func newFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deploy")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(testbed.Root(t), "examples/deploy"))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	must(t, os.Mkdir(filepath.Join(dir, "secrets"), 0o755)) // as somebody has created it, open to all
	output(t, exec.Command(filepath.Join(dir, "secrets.sh")))
	first := secret(t, dir, "encryption_key") + secret(t, dir, "redis_password") + secret(t, dir, "redis_acl")
	output(t, exec.Command(filepath.Join(dir, "secrets.sh")))
	if first != secret(t, dir, "encryption_key")+secret(t, dir, "redis_password")+secret(t, dir, "redis_acl") {
		t.Fatal("secrets.sh has replaced the secrets")
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("others can read the secrets: %v, %v", info, err)
	}
	return dir
}

func secret(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "secrets", name))
	if err != nil || len(text) == 0 {
		t.Fatalf("%s: %q, %v", name, text, err)
	}
	return strings.TrimSpace(string(text))
}

// output runs a command, which must succeed, and returns what it prints.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var errors testbed.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, errors.String())
	}
	return string(out)
}

// start starts a program that ends with the test, and returns what it logs.
func start(t *testing.T, cmd *exec.Cmd, end syscall.Signal) *testbed.Buffer {
	t.Helper()
	log := new(testbed.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			if cmd.Process.Signal(end) != nil { // it is root's
				_ = root("kill", fmt.Sprintf("-%d", end), fmt.Sprint(cmd.Process.Pid)).Run()
			}
			_ = cmd.Wait()
		}
	})
	return log
}
