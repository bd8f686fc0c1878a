//go:build unix

package caddymodule

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOfflineOwner: the file keeps its mode, and where the superuser runs the command, its
// owner. What he creates belongs to whom the folder belongs.
func TestOfflineOwner(t *testing.T) {
	for name, reached := range map[string]bool{"the owner's folder": true, "a folder that its owner does not reach": false} {
		t.Run(name, func(t *testing.T) { testOfflineOwner(t, reached) })
	}
}

func testOfflineOwner(t *testing.T, reached bool) {
	p := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	file := widgetsFile(p.config)
	folder := filepath.Dir(file)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 65534, 65534
		must(t, os.Chown(folder, uid, gid))
		for up := filepath.Dir(folder); reached && up != "/" && up != os.TempDir(); up = filepath.Dir(up) {
			must(t, os.Chmod(up, 0o755))
		}
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
	if !reached || os.Getuid() != 0 {
		return
	}
	// Who owns a folder may put a link in the place of another: what the superuser would
	// write through it is not written.
	victim := filepath.Join(t.TempDir(), "victim")
	must(t, os.Mkdir(victim, 0o755))
	must(t, os.Rename(folder, folder+".moved"))
	t.Cleanup(func() { _ = os.Remove(folder) })
	owned := filepath.Join(filepath.Dir(folder), "owned")
	must(t, os.Mkdir(owned, 0o755))
	must(t, os.Chown(owned, uid, gid))
	must(t, os.Symlink(victim, filepath.Join(owned, "link")))
	must(t, os.Symlink(filepath.Join(owned, "link"), folder))
	must(t, os.Lchown(folder, uid, gid))
	if _, stderr, err := p.offline(t, "create", "second"); err == nil || !strings.Contains(stderr, "permission denied") {
		t.Errorf("%v: %s", err, stderr)
	}
	left, err := os.ReadDir(victim)
	must(t, err)
	info, err := os.Stat(victim)
	must(t, err)
	if len(left) > 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("a folder of the superuser holds %v and is another user's", left)
	}
}
