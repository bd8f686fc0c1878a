package filestore

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// replace writes the records to a new file, which then replaces the old one. After an error,
// the old one is unchanged. The caller holds the lock, so a new file that exists was left
// by a process that was killed.
func replace(target string, records []*widgets.Record) (*fileVersion, error) {
	fresh, written, err := writeBeside(target, records)
	if err == nil {
		err = os.Rename(fresh, target)
	}
	if err != nil {
		_ = os.Remove(fresh) // the next change tries again
		return nil, err
	}
	return written, nil
}

// try writes the records as replace does, but keeps the old file.
func try(target string, records []*widgets.Record) error {
	fresh, _, err := writeBeside(target, records)
	_ = os.Remove(fresh)
	return errors.Join(err, durable.Replaceable(target))
}

// writeBeside writes the records to the file that will replace the target.
func writeBeside(target string, records []*widgets.Record) (fresh string, written *fileVersion, err error) {
	folder, name := filepath.Split(target)
	fresh = filepath.Join(folder, "."+name+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fresh, nil, err
	}
	written, err = write(fresh, target, records)
	return fresh, written, err
}

// write durably creates a file of the records, which belongs to whom the target belongs.
func write(path, target string, records []*widgets.Record) (*fileVersion, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := durable.KeepOwner(f, target); err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	last, err := encode(w, records)
	if err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return newVersion(info, last, info.ModTime()), f.Close()
}
