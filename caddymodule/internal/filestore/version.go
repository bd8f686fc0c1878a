package filestore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"time"
)

// tick is the coarsest resolution of file times in use, FAT's. A file that was changed less
// than a tick before it was read can change again and keep its time and size.
const tick = 2 * time.Second

// fileVersion identifies the content of a file.
type fileVersion struct {
	info    fs.FileInfo
	last    []byte // the last line, nil if the file is damaged
	settled bool   // any later change gives the file another time
}

// newVersion returns the version of a file that is read at that time.
func newVersion(info fs.FileInfo, last []byte, from time.Time) *fileVersion {
	return &fileVersion{info, last, from.Sub(info.ModTime()) > tick}
}

// looksLike compares the file's identity, size and time.
func (v *fileVersion) looksLike(info fs.FileInfo) bool {
	return v != nil && v.info.Size() == info.Size() && v.info.ModTime().Equal(info.ModTime()) && os.SameFile(v.info, info)
}

// holds reports whether the file has not changed. In doubt it compares the last lines, which
// have checksums.
func (v *fileVersion) holds(path string, info fs.FileInfo, now time.Time) bool {
	if !v.looksLike(info) {
		return false
	}
	if v.settled {
		return true
	}
	last, err := readEnd(path, len(v.last))
	if err != nil || !bytes.Equal(last, v.last) {
		return false
	}
	v.settled = now.Sub(info.ModTime()) > tick
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

// load reads the file, and returns its version.
func load(path string, now time.Time) (*snapshot, *fileVersion, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat() // before reading, so that a write meanwhile counts as a change
	if err != nil {
		return nil, nil, err
	}
	s, last, err := decode(f)
	var wrong *damage
	if errors.As(err, &wrong) {
		return nil, newVersion(info, nil, now), &fs.PathError{Op: "read", Path: path, Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	return s, newVersion(info, last, now), nil
}
