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

// fileVersion tells a file from what it may have become since.
type fileVersion struct {
	info fs.FileInfo
	last []byte // the last line, where the file was whole
	// settled says that any change since would have given the file another time.
	settled bool
}

// newVersion returns the version of a file that is read from that time on.
func newVersion(info fs.FileInfo, last []byte, from time.Time) *fileVersion {
	return &fileVersion{info, last, from.Sub(info.ModTime()) > tick}
}

// looksLike compares what the folder says of the file.
func (v *fileVersion) looksLike(info fs.FileInfo) bool {
	return v != nil && v.info.Size() == info.Size() && v.info.ModTime().Equal(info.ModTime()) && os.SameFile(v.info, info)
}

// holds reports whether the file still is what it was. In doubt the last lines
// are compared: of two whole files, they are equal only if the files are.
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

// load reads the file, and returns which version it has read.
func load(path string, now time.Time) (*snapshot, *fileVersion, error) {
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
		return nil, newVersion(info, nil, now), &fs.PathError{Op: "read", Path: path, Err: err}
	}
	if err != nil {
		return nil, nil, err
	}
	return s, newVersion(info, last, now), nil
}
