package deploytests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestService: systemd knows every line of the unit, and its own judgment of how exposed the
// service is stays low.
func TestService(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "chat-identity.service")
	// The binary is elsewhere on this machine.
	text := strings.ReplaceAll(service(t, newFolder(t)), "/usr/local/bin/caddy", testbed.Gateway(t))
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("%v\n%s", err, said)
	}
	// From 0 to 100; a service without any of this has 96.
	if said, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

func service(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "chat-identity.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unitEnvironment is what the unit's lines Environment= say.
func unitEnvironment(t *testing.T, dir string) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(service(t, dir), -1) {
		for _, pair := range strings.Fields(line[1]) {
			name, value, _ := strings.Cut(pair, "=")
			variables[name] = value
		}
	}
	return variables
}

// TestOtherUsers: under systemd, another user of the machine cannot load a configuration of
// his own, which would serve him the secrets. It needs root to become that user.
func TestOtherUsers(t *testing.T) {
	dir := newFolder(t)
	run := filepath.Join("/tmp", fmt.Sprint("caddy-chat-identity-", os.Getpid())) // others can enter /tmp
	folder, is := strings.CutSuffix(unitEnvironment(t, dir)["CADDY_ADMIN"], "/admin.sock")
	if name, below := strings.CutPrefix(folder, "unix/%t/"); !is || !below || !strings.Contains(service(t, dir), "\nRuntimeDirectory="+name+"\nRuntimeDirectoryMode=0700\n") {
		t.Fatalf("the admin endpoint is in %q, and not in a folder that is closed to others", folder)
	}
	must(t, os.Mkdir(run, 0o700))
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	g := alone(t, dir, "127.0.0.1:9", "CADDY_ADMIN=unix/"+run+"/admin.sock")

	arguments := []string{"curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "--json", "{}", "--unix-socket", run + "/admin.sock", "http://127.0.0.1/load"}
	other := root(append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, arguments...)...)
	if said, err := other.CombinedOutput(); other.ProcessState.ExitCode() != 7 { // could not connect
		t.Errorf("another user is answered %s, %v", said, err)
	}
	testbed.Until(t, "the gateway's own user to be answered", func() bool {
		said, err := exec.Command(arguments[0], arguments[1:]...).Output()
		return err == nil && string(said) == "200"
	}, g.log)
}

// stopTimeout is for how many seconds systemd waits for the gateway to end.
func stopTimeout(t *testing.T, dir string) int64 {
	t.Helper()
	match := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)s$`).FindStringSubmatch(service(t, dir))
	if match == nil {
		t.Fatal("the unit has no TimeoutStopSec")
	}
	seconds, _ := strconv.ParseInt(match[1], 10, 64)
	return seconds
}
