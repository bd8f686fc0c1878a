package body

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"syscall"
)

// tempFile is a file that has no name, so that it is gone with its last user,
// however that ends.
type tempFile struct {
	f      *os.File
	spool  *Spool
	client netip.Prefix
	taken  int64 // of the spool
}

// create creates a file for a client.
func (s *Spool) create(client netip.Prefix) (*tempFile, error) {
	f, err := createNameless(s.Dir())
	if err != nil {
		return nil, noRoom(err)
	}
	return &tempFile{f: f, spool: s, client: client}, nil
}

// write adds to the file.
func (t *tempFile) write(p []byte) error {
	if err := t.spool.take(t.client, int64(len(p))); err != nil {
		return err
	}
	t.taken += int64(len(p))
	if _, err := t.f.Write(p); err != nil {
		return noRoom(err)
	}
	return nil
}

// close removes the file. Nobody may be reading it.
func (t *tempFile) close() {
	_ = t.f.Close()
	t.spool.give(t.client, t.taken)
}

// noRoom says what an operator can do about an error of the file system.
func noRoom(err error) error {
	remedy := "resolve that, or name another folder with spool"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		remedy = "create the folder, or name another with spool"
	case errors.Is(err, fs.ErrPermission):
		remedy = "let the gateway write to the folder, or name another with spool"
	case isFull(err):
		remedy = "free some space there, or name another folder with spool"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		remedy = "raise the limit of open files"
	}
	return &NoRoomError{err, remedy}
}
