package durable

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// Replaceable returns why another file cannot take the place of the one at the path: it is
// mounted there itself. Otherwise nil.
func Replaceable(path string) error {
	var file unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, 0, &file) == nil && file.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return &fs.PathError{Op: "rename", Path: path, Err: unix.EBUSY}
	}
	return nil
}

// Kernel reports whether a folder shows the kernel's own files, among which none can be created.
func Kernel(folder string) bool {
	var s unix.Statfs_t
	return unix.Statfs(folder, &s) == nil && (s.Type == unix.PROC_SUPER_MAGIC || s.Type == unix.SYSFS_MAGIC)
}
