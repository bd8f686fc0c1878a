//go:build unix

package caddymodule

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckReplaced: a change replaces the file of widgets, so its folder has to be writable,
// and the file need not be.
func TestCheckReplaced(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("the superuser may write everywhere")
	}
	for mode, found := range map[fs.FileMode]bool{0o700: false, 0o500: true} {
		dir := t.TempDir()
		folder := filepath.Join(dir, "store")
		file := filepath.Join(folder, "widgets.jsonl")
		must(t, os.Mkdir(folder, 0o700))
		must(t, os.WriteFile(file, nil, 0o400))
		must(t, os.Chmod(folder, mode))
		t.Cleanup(func() { must(t, os.Chmod(folder, 0o700)) })
		out, stderr, _ := runCheck(t, dir, oneSite("chat_identity {\nwidgets file "+file+"\n}", "chat_identity {\nwidget {query.w}\n}\nreverse_proxy 127.0.0.1:1"))
		if strings.Contains(out, "file_unwritable") != found {
			t.Errorf("a folder of mode %v: %s%s", mode, out, stderr)
		}
	}
}
