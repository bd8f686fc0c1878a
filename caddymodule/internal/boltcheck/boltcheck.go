// Package boltcheck reads a bolt file without trusting it. Bolt maps a file and trusts every
// page: a damaged one makes it crash, hang, or miss what was on it. Bolt's own check does
// not help, since it follows cycles and wild pointers.
package boltcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ErrDamaged is wrapped by errors that say what is wrong with a file.
var ErrDamaged = errors.New("the file is damaged")

func damaged(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, arguments...)...)
}

// Walk reads the whole file once, and calls visit with every row of every bucket in the
// order of the keys. It returns the number of rows of each bucket. The error is visit's own,
// or wraps [ErrDamaged] if a page is out of order, missing or used more than once, or if
// there are nested buckets. visit may keep its arguments. The file must not be written
// meanwhile.
func Walk(file *os.File, pageSize int, visit func(bucket string, key, value []byte) error) (rows map[string]int, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	m, err := readMetas(file, uint64(pageSize))
	if err != nil {
		return nil, err
	}
	if m.pages > uint64(info.Size())/uint64(pageSize) {
		return nil, damaged("it was truncated: it has %d bytes of %d", info.Size(), m.pages*uint64(pageSize))
	}
	w := &walker{file: file, pageSize: uint64(pageSize), used: make([]bool, max(m.pages, 2))}
	w.used[0], w.used[1] = true, true
	rows = make(map[string]int)
	err = w.child(m.root, nil, ordered(func(flags uint32, key, value []byte) error {
		name := string(key)
		rows[name] = 0
		if flags != bucketFlag {
			return damaged("a row is in no bucket")
		}
		return w.bucket(value, func(flags uint32, key, value []byte) error {
			rows[name]++
			if flags != 0 {
				return damaged("a bucket contains a bucket")
			}
			return visit(name, key, value)
		})
	}))
	if err == nil {
		err = w.free(m.freelist)
	}
	return rows, err
}

// A bolt file, version 2, consists of pages in the machine's byte order. The first two are
// meta pages. The newer one says where the tree and the list of free pages are, and how
// many pages there are.
const (
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

var order = binary.NativeEndian

// meta is the necessary part of a meta page.
type meta struct{ root, freelist, pages, transaction uint64 }

// readMetas returns the newer meta page. If that is damaged, bolt would take the other one
// and lose the last commit. An interrupted commit cannot damage it, since a meta page lies
// within one sector.
func readMetas(file io.ReaderAt, pageSize uint64) (newer meta, err error) {
	for n := range uint64(2) {
		var b [metaSize]byte
		if _, err := file.ReadAt(b[:], int64(n*pageSize+pageHeaderSize)); err != nil && !errors.Is(err, io.EOF) {
			return newer, err
		}
		if order.Uint32(b[:]) != metaMagic || order.Uint32(b[4:]) != metaVersion ||
			uint64(order.Uint32(b[8:])) != pageSize || order.Uint64(b[metaSize-8:]) != checksum(b[:]) {
			return newer, damaged("one of its two meta pages is damaged")
		}
		if m := (meta{order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}); m.transaction >= newer.transaction {
			newer = m
		}
	}
	return newer, nil
}

// Begins reports whether a file begins as bolt's do.
func Begins(file io.ReaderAt) bool {
	var b [8]byte
	_, err := file.ReadAt(b[:], pageHeaderSize)
	return err == nil && order.Uint32(b[:]) == metaMagic && order.Uint32(b[4:]) == metaVersion
}

func checksum(meta []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(meta[:metaSize-8])
	return h.Sum64()
}
