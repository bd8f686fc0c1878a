//go:build unix

package caddymodule

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOfflineOwner: the file keeps its mode, and where the superuser runs the command, its
// owner. What he creates belongs to whom the folder belongs.
func TestOfflineOwner(t *testing.T) {
	p := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	file := widgetsFile(p.config)
	folder := filepath.Dir(file)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65534
		must(t, os.Chown(folder, uid, gid))
	}
	p.secretOffline(t, "create", "shop")
	must(t, os.Chmod(file, 0o640))
	p.secretOffline(t, "rotate", "shop")
	for path, mode := range map[string]fs.FileMode{file: 0o640, file + ".lock": 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		if got, want := fmt.Sprint(stat.Uid, stat.Gid), fmt.Sprint(uid, gid); got != want || info.Mode().Perm() != mode {
			t.Errorf("%s has owner and group %s and mode %v, want %s and %v", path, got, info.Mode(), want, mode)
		}
	}
}
