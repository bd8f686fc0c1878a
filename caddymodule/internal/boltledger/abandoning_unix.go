//go:build unix && !solaris && !aix && !android

package boltledger

import (
	"errors"
	"os"
	"syscall"
)

// abandon closes a file that stays mapped. Nothing can be written through it
// after that. Its mapping keeps the lock, which therefore is let go of by a copy
// of the descriptor.
func abandon(file *os.File) error {
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Close(), syscall.Flock(fd, syscall.LOCK_UN), syscall.Close(fd))
}
