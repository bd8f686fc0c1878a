package body

import (
	"os"

	"golang.org/x/sys/unix"
)

// createNameless creates a file that never has a name, if the file system supports that.
func createNameless(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|os.O_EXCL|unix.O_TMPFILE, 0o600)
	if err != nil {
		return createUnlinked(dir)
	}
	return f, nil
}

// InMemory reports whether a folder's files are held in memory.
func InMemory(dir string) bool {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return false
	}
	return uint32(s.Type) == unix.TMPFS_MAGIC || uint32(s.Type) == unix.RAMFS_MAGIC
}

// allocate allocates a part of the file. If that fails, writing is slower, or fails, too.
func allocate(f *os.File, off, n int64) { _ = unix.Fallocate(int(f.Fd()), 0, off, n) }
