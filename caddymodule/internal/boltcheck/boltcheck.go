// Package boltcheck reads a bolt file without trusting it. Bolt maps a file and trusts every
// page: a damaged one makes it crash, hang, or miss what was on it. Bolt's own check does
// not help, since it follows cycles and wild pointers.
package boltcheck

import (
	"bytes"
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

// The layout of a bolt file's pages.
const (
	pageHeaderSize = 16 // id 8, flags 2, count 2, overflow 4
	elementSize    = 16 // leaf: flags 4, pos 4, key 4, value 4; branch: pos 4, key 4, page 8
	bucketSize     = 16 // root page 8, sequence 8; then the page itself where root is 0

	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of a leaf's element

	manyFree = 0xffff // the count precedes the list
)

type walker struct {
	file     io.ReaderAt
	pageSize uint64
	used     []bool // pages that were read
}

// page is a page's header and content.
type page struct {
	id           uint64
	flags, count uint16
	elements     []byte // and the keys and values that they point to
}

func parsePage(id uint64, b []byte) page {
	return page{id, order.Uint16(b[8:]), order.Uint16(b[10:]), b[pageHeaderSize:]}
}

// read reads a page, which nothing may have pointed to before.
func (w *walker) read(id uint64) (page, error) {
	b := make([]byte, w.pageSize)
	overflow := uint64(0)
	for n := id; n <= id+overflow; n++ {
		if n >= uint64(len(w.used)) || w.used[n] {
			return page{}, damaged("page %d is pointed to more than once or does not exist", n)
		}
		w.used[n] = true
		if n > id {
			continue
		}
		if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil {
			return page{}, err
		}
		if overflow = uint64(order.Uint32(b[12:])); order.Uint64(b) != id {
			return page{}, damaged("page %d has another number", id)
		}
	}
	if overflow > 0 {
		b = make([]byte, (overflow+1)*w.pageSize)
		if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil {
			return page{}, err
		}
	}
	return parsePage(id, b), nil
}

// visitor is called with the elements of a tree's leaves in order.
type visitor func(flags uint32, key, value []byte) error

// ordered refuses keys that are out of order.
func ordered(visit visitor) visitor {
	var last []byte
	return func(flags uint32, key, value []byte) error {
		if last != nil && bytes.Compare(key, last) <= 0 {
			return damaged("its keys are out of order")
		}
		last = key
		return visit(flags, key, value)
	}
}

// child visits a subtree. The key that points to it must be its first one, as bolt assumes
// when it searches.
func (w *walker) child(id uint64, first []byte, visit visitor) error {
	p, err := w.read(id)
	if err != nil {
		return err
	}
	if p.flags != leafFlag && p.flags != branchFlag || p.count == 0 && (p.flags == branchFlag || first != nil) {
		return damaged("page %d is neither a leaf nor a branch", id)
	}
	return w.elements(p, first, visit)
}

func (w *walker) elements(p page, first []byte, visit visitor) error {
	for i := range int(p.count) {
		e, ok := p.element(i)
		switch {
		case !ok:
			return damaged("page %d points beyond its end", p.id)
		case i == 0 && first != nil && !bytes.Equal(e.key, first):
			return damaged("page %d is out of order", p.id)
		}
		var err error
		if p.flags == branchFlag {
			err = w.child(e.page, e.key, visit)
		} else {
			err = visit(e.flags, e.key, e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type element struct {
	flags      uint32
	key, value []byte
	page       uint64 // of a branch
}

// element returns an element of a leaf or a branch, whose offsets are relative to itself.
func (p page) element(i int) (e element, ok bool) {
	at := i * elementSize
	if at+elementSize > len(p.elements) {
		return e, false
	}
	b := p.elements[at:]
	var value uint64
	if p.flags == branchFlag {
		e.page = order.Uint64(b[8:])
	} else {
		e.flags, value = order.Uint32(b), uint64(order.Uint32(b[12:]))
		b = b[4:]
	}
	from, key := uint64(at)+uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
	if key == 0 || from < uint64(p.count)*elementSize || from+key+value > uint64(len(p.elements)) {
		return e, false
	}
	e.key, e.value = p.elements[from:from+key], p.elements[from+key:from+key+value]
	return e, true
}

// bucket visits a bucket, given its value in the tree. The value of a small bucket contains
// its only page.
func (w *walker) bucket(value []byte, visit visitor) error {
	if len(value) < bucketSize {
		return damaged("a bucket is too short")
	}
	if root := order.Uint64(value); root != 0 {
		return w.child(root, nil, ordered(visit))
	}
	if len(value) < bucketSize+pageHeaderSize {
		return damaged("a bucket is too short")
	}
	p := parsePage(0, value[bucketSize:])
	if p.flags != leafFlag {
		return damaged("a bucket is not a leaf")
	}
	return w.elements(p, nil, ordered(visit))
}

// free checks the list of free pages, which must not be in use.
func (w *walker) free(id uint64) error {
	p, err := w.read(id)
	if err != nil {
		return err
	}
	list, count := p.elements, uint64(p.count)
	if count == manyFree {
		count, list = order.Uint64(list), list[8:]
	}
	if p.flags != freelistFlag || count > uint64(len(list)/8) {
		return damaged("the list of free pages is not one")
	}
	for i := range count {
		id := order.Uint64(list[i*8:])
		if id >= uint64(len(w.used)) || w.used[id] {
			return damaged("page %d is used and free, or does not exist", id)
		}
		w.used[id] = true
	}
	return nil
}
