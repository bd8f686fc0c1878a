package body

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"syscall"
)

// tempFile is a file without a name, so that it disappears with its process.
type tempFile struct {
	f        *os.File
	spool    *Spool
	client   netip.Prefix
	expected int64 // the declared size; negative if unknown
	written  int64
	taken    int64 // from the spool
}

// maxAhead bounds how many bytes are allocated before they are written.
const maxAhead = 4 << 20

// create creates a file for a client, which has declared that size.
func (s *Spool) create(client netip.Prefix, size int64) (*tempFile, error) {
	f, err := createNameless(s.Dir())
	if err != nil {
		return nil, noRoom(err)
	}
	return &tempFile{f: f, spool: s, client: client, expected: size}, nil
}

// write appends to the file.
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

// take reserves room for n more bytes. If more are expected, it reserves as many as were
// written: writing into allocated space is cheaper, and a false declaration gains little.
func (t *tempFile) take(n int64) error {
	size := t.written + n
	if n = size - t.taken; n <= 0 {
		return nil
	}
	if ahead := min(t.written, t.expected-t.taken, maxAhead); ahead > n && t.spool.take(t.client, ahead, size) == nil {
		allocate(t.f, t.taken, ahead)
		t.taken += ahead
		return nil
	}
	if err := t.spool.take(t.client, n, size); err != nil {
		return err
	}
	t.taken += n
	return nil
}

// close removes the file, which must not be in use.
func (t *tempFile) close() {
	_ = t.f.Close()
	t.spool.give(t.client, t.taken)
}

// noRoom tells an operator what to do about an error of the file system.
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
	return noRoomError(err, remedy)
}
