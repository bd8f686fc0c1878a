package deploytests

import (
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
