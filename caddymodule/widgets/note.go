package widgets

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ReadNote returns the line of text in a file, "" where there is no such file.
func ReadNote(path string) (string, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		return "", fmt.Errorf("%s is empty: restore it, or remove it to have what it noted forgotten", path)
	}
	return strings.TrimSuffix(string(text), "\n"), err
}

// WriteNote puts a line of text into a file, durably, in one step and in place of
// what is there.
func WriteNote(path, text string) error {
	folder, name := filepath.Split(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, "."+name+".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // where it was not renamed
	_, err = draft.WriteString(text + "\n")
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return err
	}
	// Some file systems have no such thing, and say so.
	if err := SyncFolder(folder); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
