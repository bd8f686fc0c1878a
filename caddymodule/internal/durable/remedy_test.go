package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExplain has the system refuse what it can here, and explains the rest by its numbers.
func TestExplain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	system := func(err error) error {
		return fmt.Errorf("wrapped: %w", &os.LinkError{Op: "rename", Old: "/a", New: "/b", Err: err})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{WriteLine(filepath.Join(file, "note"), "x"), "not a directory: correct the path"},
		{WriteLine(filepath.Join(filepath.Dir(file), strings.Repeat("long", 100)), "x"), "correct the path"},
		{system(syscall.EBUSY), "rename /a /b: device or resource busy: the file itself is mounted (as a bind mount or a volume of one file is) and cannot be replaced: mount its folder"},
		{system(syscall.EXDEV), "mount its folder"},
		{system(syscall.ENOSPC), "free some space"},
		{system(syscall.EDQUOT), "free some space"},
		{system(syscall.EROFS), "mounted read-only"},
		{system(syscall.EFBIG), "ulimit -f"},
		{system(syscall.EMFILE), "ulimit -n"},
		{system(syscall.ENOLCK), "local disk"},
		{system(syscall.EIO), "the disk may be failing"},
		{system(syscall.EACCES), "must belong to the user"},
		{system(fs.ErrPermission), "must belong to the user"},
		{system(syscall.EINVAL), ": something else"},
		{fmt.Errorf("lock: %w", context.DeadlineExceeded), "it did not answer in time: see whether the disk"},
		{context.Canceled, "the caller did not wait"},
	} {
		f := Explain(c.err, "something else")
		if !strings.Contains(f.Error(), c.want) || !errors.Is(f, c.err) || strings.Contains(f.Error(), "context") {
			t.Errorf("%v: %v, want %s", c.err, f, c.want)
		}
	}
}
