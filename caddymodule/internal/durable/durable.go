// Package durable writes files that outlive a power cut.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// SyncFolder makes what was created, renamed or removed in a folder durable.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened there, and NTFS keeps a journal of names
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // some file systems have no such thing, and say so
	}
	return errors.Join(err, folder.Close())
}

// CreateFolder creates a folder and those that it is in, for their owner only.
func CreateFolder(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || parent == path {
		return os.MkdirAll(path, 0o700) // says if it is no folder
	}
	if err := CreateFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := SyncFolder(parent); err != nil && !errors.Is(err, fs.ErrPermission) { // it need not be open to this user
		return err
	}
	return nil
}

// ReadLine returns the line of text in a file, "" where there is no such file.
func ReadLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		return "", fmt.Errorf("%s is empty: restore it, or remove it to have what it noted forgotten", path)
	}
	return strings.TrimSuffix(string(text), "\n"), err
}

// WriteLine puts a line of text into a file, in place of what is there.
func WriteLine(path, text string) error {
	return put(path, os.Rename, func(draft *os.File) error {
		_, err := draft.WriteString(text + "\n")
		return err
	})
}

// Create creates a file that fill has filled, for its owner only, and the folders
// it is in. If there is such a file already, it stays.
func Create(path string, fill func(draft *os.File) error) error {
	err := put(path, os.Link, fill) // unlike a rename, it does not replace what another process has created
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// put has a file appear under its name in one step, and whole.
func put(path string, name func(from, to string) error, fill func(*os.File) error) error {
	folder := filepath.Dir(path)
	if err := CreateFolder(folder); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, "."+filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // where it was not renamed
	err = fill(draft)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := name(draft.Name(), path); err != nil {
		return err
	}
	return SyncFolder(folder)
}
