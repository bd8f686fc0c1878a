//go:build unix

package body

import (
	"errors"
	"os"
	"syscall"
)

// createUnlinked creates a file that loses its name at once.
func createUnlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "chat-identity-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// isFull reports whether the file system, or this user's quota, is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
