package boltledger

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
)

// A bolt file, version 2, is pages in the machine's byte order. The first two
// are metas, of which the newer one says where the tree begins, where the list
// of free pages is, and how many pages there are.
const (
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	minPageBits, maxPageBits = 10, 24 // as bolt looks for them
)

var order = binary.NativeEndian

// meta is the part of a meta page that is needed.
type meta struct {
	pageSize, root, freelist, pages, id uint64
}

var errNoMeta = errors.New("no meta page")

func readMeta(file io.ReaderAt, at int64) (meta, error) {
	var page [pageHeaderSize + metaSize]byte
	if _, err := file.ReadAt(page[:], at); err != nil && !errors.Is(err, io.EOF) {
		return meta{}, err
	}
	b := page[pageHeaderSize:]
	h := fnv.New64a()
	_, _ = h.Write(b[:metaSize-8])
	m := meta{uint64(order.Uint32(b[8:])), order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}
	size := m.pageSize
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[metaSize-8:]) != h.Sum64() ||
		size < 1<<minPageBits || size > 1<<maxPageBits || size&(size-1) != 0 {
		return meta{}, errNoMeta
	}
	return m, nil
}

// readMetas returns the newer meta page, and whether the other one is whole, too.
func readMetas(file io.ReaderAt) (newer meta, both bool, err error) {
	first, err := readMeta(file, 0)
	if err == nil {
		second, err := readMeta(file, int64(first.pageSize))
		if err == nil && second.id > first.id {
			return second, true, nil
		}
		if errors.Is(err, errNoMeta) {
			return first, false, nil
		}
		return first, true, err
	}
	for bits := minPageBits; bits <= maxPageBits && errors.Is(err, errNoMeta); bits++ {
		if newer, err = readMeta(file, 1<<bits); err == nil && newer.pageSize != 1<<bits {
			err = errNoMeta
		}
	}
	return newer, false, err
}
