package filestore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"time"
)

// tick is the coarsest step of file times in use, FAT's. A file that was
// changed less than a tick before it was read can be changed once more and keep
// its time, and with it its size.
const tick = 2 * time.Second

// mark tells a file from what it may have become since.
type mark struct {
	info fs.FileInfo
	last []byte // the last line, where the file was whole
	// settled says that any change since would have given the file another time.
	settled bool
}

// newMark makes the mark of a file that is read from that time on.
func newMark(info fs.FileInfo, last []byte, from time.Time) *mark {
	return &mark{info, last, from.Sub(info.ModTime()) > tick}
}

// looksLike compares what the folder says of the file.
func (m *mark) looksLike(info fs.FileInfo) bool {
	return m != nil && m.info.Size() == info.Size() && m.info.ModTime().Equal(info.ModTime()) && os.SameFile(m.info, info)
}

// holds reports whether the file still is what it was. In doubt the last lines
// are compared: of two whole files, they are equal only if the files are.
func (m *mark) holds(path string, info fs.FileInfo, now time.Time) bool {
	if !m.looksLike(info) {
		return false
	}
	if m.settled {
		return true
	}
	last, err := readEnd(path, len(m.last))
	if err != nil || !bytes.Equal(last, m.last) {
		return false
	}
	m.settled = now.Sub(info.ModTime()) > tick
	return true
}

// readEnd returns the last n bytes of a file.
func readEnd(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := make([]byte, n)
	_, err = f.ReadAt(end, info.Size()-int64(n))
	return end, err
}

// load reads the file, and marks it.
func load(path string, now time.Time) (*snapshot, *mark, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat() // before reading: what is written meanwhile shows as a change
	if err != nil {
		return nil, nil, err
	}
	s, last, err := decode(f)
	var wrong *damage
	if errors.As(err, &wrong) {
		return nil, newMark(info, nil, now), &fs.PathError{Op: "read", Path: path, Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	return s, newMark(info, last, now), nil
}
