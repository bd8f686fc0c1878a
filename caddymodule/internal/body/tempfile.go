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
	f        *os.File
	spool    *Spool
	client   netip.Prefix
	expected int64 // to be written in all, as declared; below 0: not known
	written  int64
	taken    int64 // of the spool
}

// maxAhead is the most that a file gets before it is written.
const maxAhead = 4 << 20

// create creates a file for a client, of that size if it keeps its word.
func (s *Spool) create(client netip.Prefix, size int64) (*tempFile, error) {
	f, err := createNameless(s.Dir())
	if err != nil {
		return nil, noRoom(err)
	}
	return &tempFile{f: f, spool: s, client: client, expected: size}, nil
}

// write adds to the file.
func (t *tempFile) write(p []byte) error {
	if err := t.take(int64(len(p))); err != nil {
		return err
	}
	n, err := t.f.Write(p)
	if t.written += int64(n); err != nil {
		return noRoom(err)
	}
	return nil
}

// take takes room for n bytes more. Where more are to come, as many as are there
// already come with them: writing into what is allocated is cheaper, and nobody
// gets much by their word alone.
func (t *tempFile) take(n int64) error {
	if n -= t.taken - t.written; n <= 0 {
		return nil
	}
	if ahead := min(t.written, t.expected-t.taken, maxAhead); ahead > n && t.spool.take(t.client, ahead) == nil {
		allocate(t.f, t.taken, ahead)
		t.taken += ahead
		return nil
	}
	if err := t.spool.take(t.client, n); err != nil {
		return err
	}
	t.taken += n
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
