//go:build unix

package durable

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestKeepOwner: the superuser gives a file the owner of the one that it replaces. Anyone
// else must not replace another user's, which would lock that user out.
func TestKeepOwner(t *testing.T) {
	folder := t.TempDir()
	fresh, err := os.Create(filepath.Join(folder, "fresh"))
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if os.Geteuid() != 0 {
		if err := KeepOwner(fresh, "/etc/passwd"); err == nil || !strings.Contains(err.Error(), "belongs to user root") {
			t.Errorf("%v", err)
		}
		return
	}
	const nobody = 65534
	replaced := filepath.Join(folder, "replaced")
	if err := os.WriteFile(replaced, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(replaced, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := KeepOwner(fresh, replaced); err != nil {
		t.Fatal(err)
	}
	info, err := fresh.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != nobody || stat.Gid != nobody || info.Mode() != 0o640 {
		t.Errorf("owner %d, group %d, mode %v", stat.Uid, stat.Gid, info.Mode())
	}
}
