package body

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// createNameless creates a file that Windows deletes when it is closed, or its
// process ends. Until then it has a name.
func createNameless(dir string) (*os.File, error) {
	name := filepath.Join(dir, "chat-identity-"+rand.Text())
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|windows.FILE_FLAG_DELETE_ON_CLOSE, 0o600)
}

// InMemory reports whether a folder's files are held in memory. Only Linux tells.
func InMemory(string) bool { return false }

// isFull reports whether the file system, or this user's quota, is full.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// allocate is an optimization, on Linux only.
func allocate(*os.File, int64, int64) {}
