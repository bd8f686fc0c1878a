// Package boltcheck reads a bolt file without trusting it. Bolt maps a file and
// believes every page of it: one that is damaged makes it crash, hang, or answer
// that what was on it is not there. Its own check is no help, since it follows
// cycles and wild pointers.
package boltcheck

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ErrDamaged is wrapped with what is wrong with a file.
var ErrDamaged = errors.New("the file is damaged")

func damaged(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, arguments...)...)
}

// Walk reads the whole file once, and shows visit every row of every bucket, in
// the order of the keys. It returns how many rows each bucket has. The error
// wraps [ErrDamaged] where a page is out of order, is used twice or is not there,
// or where the file has buckets within buckets; it is visit's own if that fails.
// Visit may keep what it is shown. Nobody must write meanwhile.
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
		return nil, damaged("it was cut short: it has %d bytes of %d", info.Size(), m.pages*uint64(pageSize))
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
				return damaged("there is a bucket within a bucket")
			}
			return visit(name, key, value)
		})
	}))
	if err == nil {
		err = w.free(m.freelist)
	}
	return rows, err
}

// A bolt file, version 2, is pages in the machine's byte order. The first two
// are metas, of which the newer one says where the tree begins, where the list
// of free pages is, and how many pages there are.
const (
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

var order = binary.NativeEndian

// meta is the part of a meta page that is needed.
type meta struct{ root, freelist, pages, transaction uint64 }

// readMetas returns the newer meta page. Bolt takes the other one where that is
// damaged, and forgets the last commit. A commit that was cut off cannot have
// done this: what counts of a meta page lies within one sector.
func readMetas(file io.ReaderAt, pageSize uint64) (newer meta, err error) {
	for n := range uint64(2) {
		var b [metaSize]byte
		if _, err := file.ReadAt(b[:], int64(n*pageSize+pageHeaderSize)); err != nil && !errors.Is(err, io.EOF) {
			return newer, err
		}
		if order.Uint32(b[:]) != metaMagic || order.Uint32(b[4:]) != metaVersion ||
			uint64(order.Uint32(b[8:])) != pageSize || order.Uint64(b[metaSize-8:]) != checksum(b[:]) {
			return newer, damaged("one of its two meta pages is not whole")
		}
		if m := (meta{order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}); m.transaction >= newer.transaction {
			newer = m
		}
	}
	return newer, nil
}

func checksum(meta []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(meta[:metaSize-8])
	return h.Sum64()
}
