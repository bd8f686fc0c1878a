package durable

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// renameTimeout is how long a rename waits for those who have the file open.
const renameTimeout = 2 * time.Second

// Rename gives a file its name, and replaces the one that has it. Windows refuses that while
// anyone reads the old one, another gateway or a virus scanner, so it tries again.
func Rename(from, to string) error {
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := os.Rename(from, to)
		inUse := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if !inUse || time.Since(began) > renameTimeout {
			return err
		}
	}
}
