// Package durable writes files that survive a power cut.
package durable

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// SyncFolder makes creations, renames and removals in a folder durable.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there, and NTFS keeps a journal of names
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // not every file system can
	}
	return errors.Join(err, folder.Close())
}

// CreateFolder creates a folder and its missing parents, durably, for their owner only.
func CreateFolder(path string) error {
	parent := filepath.Dir(path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || parent == path {
		return os.MkdirAll(path, 0o700) // an error if it is not a folder
	}
	if err := CreateFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err == nil {
		folder, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(Adopt(folder, parent), folder.Close()); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := SyncFolder(parent); err != nil && !errors.Is(err, fs.ErrPermission) { // the parent may be closed to this user
		return err
	}
	return nil
}

// ReadLine returns the line of text in a file, "" if there is no such file.
func ReadLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		return "", fmt.Errorf("%s is empty: restore it, or remove it to forget what was noted", path)
	}
	return strings.TrimSuffix(string(text), "\n"), err
}

// WriteLine replaces a file, durably, by one with that line of text.
func WriteLine(path, text string) error {
	return put(path, Rename, func(draft *os.File) error {
		_, err := draft.WriteString(text + "\n")
		return err
	})
}

// Create creates a file, durably, with the content that fill writes, for its owner only,
// and its missing parents. A file that exists already stays.
func Create(path string, fill func(draft *os.File) error) error {
	err := put(path, os.Link, fill) // unlike a rename, it does not replace what another process has created
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// put writes a draft and gives it its name in one step.
func put(path string, name func(from, to string) error, fill func(*os.File) error) error {
	folder := filepath.Dir(path)
	if err := CreateFolder(folder); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, "."+filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // unless it was renamed
	if err := Fill(draft, path, func() error { return fill(draft) }); err != nil {
		return err
	}
	if err := name(draft.Name(), path); err != nil {
		return err
	}
	return SyncFolder(folder)
}

// Fill durably writes a new file, which is to replace the one at the path and belongs to whom
// that belongs, and closes it.
func Fill(fresh *os.File, path string, write func() error) error {
	err := KeepOwner(fresh, path)
	if err == nil {
		err = write()
	}
	if err == nil {
		err = fresh.Sync()
	}
	return cmp.Or(err, fresh.Close())
}
