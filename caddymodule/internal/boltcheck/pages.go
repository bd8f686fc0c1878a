package boltcheck

import (
	"bytes"
	"io"
)

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
	pages := uint64(len(w.used))
	if id >= pages || w.used[id] {
		return page{}, damaged("page %d is pointed to more than once or does not exist", id)
	}
	b := make([]byte, w.pageSize)
	if _, err := w.file.ReadAt(b, int64(id*w.pageSize)); err != nil {
		return page{}, err
	}
	overflow := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || overflow >= pages-id {
		return page{}, damaged("page %d has another number", id)
	}
	for n := id; n <= id+overflow; n++ {
		if w.used[n] {
			return page{}, damaged("page %d is used more than once", n)
		}
		w.used[n] = true
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
	var key, value uint64
	from := uint64(at)
	if p.flags == branchFlag {
		from += uint64(order.Uint32(b))
		key, e.page = uint64(order.Uint32(b[4:])), order.Uint64(b[8:])
	} else {
		e.flags = order.Uint32(b)
		from += uint64(order.Uint32(b[4:]))
		key, value = uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
	}
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
