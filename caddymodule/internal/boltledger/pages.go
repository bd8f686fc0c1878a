package boltledger

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

	manyFree = 0xffff // the count stands in front of the list
)

// walker reads a bolt file's pages without believing any.
type walker struct {
	file io.ReaderAt
	meta
	used    []bool // pages that have been met
	buffers [][]byte
}

func newWalker(file io.ReaderAt, m meta) *walker {
	w := &walker{file: file, meta: m, used: make([]bool, m.pages)}
	w.used[0], w.used[1] = true, true
	return w
}

// page is a page's content behind its header, and what the header says of it.
type page struct {
	flags, count uint16
	elements     []byte // and the keys and values that they point to
}

// read reads a page that nothing has pointed to before. It is valid until
// another one of that depth is read.
func (w *walker) read(id uint64, depth int) (page, error) {
	if id >= w.pages || w.used[id] {
		return page{}, damaged("page %d is pointed to twice or does not exist", id)
	}
	for len(w.buffers) <= depth {
		w.buffers = append(w.buffers, make([]byte, w.pageSize))
	}
	b, at := w.buffers[depth], int64(id*w.pageSize)
	if _, err := w.file.ReadAt(b[:w.pageSize], at); err != nil {
		return page{}, err
	}
	overflow := uint64(order.Uint32(b[12:]))
	if order.Uint64(b) != id || overflow >= w.pages-id {
		return page{}, damaged("page %d is another one", id)
	}
	for n := range overflow + 1 {
		if w.used[id+n] {
			return page{}, damaged("page %d is used twice", id+n)
		}
		w.used[id+n] = true
	}
	if size := (overflow + 1) * w.pageSize; size > w.pageSize {
		b = make([]byte, size)
		w.buffers[depth] = b
		if _, err := w.file.ReadAt(b, at); err != nil {
			return page{}, err
		}
	} else {
		b = b[:size]
	}
	return parsePage(b), nil
}

func parsePage(b []byte) page {
	return page{order.Uint16(b[8:]), order.Uint16(b[10:]), b[pageHeaderSize:]}
}

// visitor is shown the elements of the leaves in order.
type visitor func(flags uint32, key, value []byte) error

// tree visits what is beneath a page. The first key is the one by which the
// page is pointed to, as bolt takes for granted when it looks for the pointer;
// all are less than high. Nil is no bound.
func (w *walker) tree(id uint64, depth int, first, high []byte, visit visitor) error {
	p, err := w.read(id, depth)
	if err != nil {
		return err
	}
	switch {
	case p.flags == leafFlag && (p.count > 0 || first == nil):
		return p.leaf(id, first, high, visit)
	case p.flags == branchFlag && p.count > 0:
		return w.branch(p, id, depth, first, high, visit)
	}
	return damaged("page %d is neither a leaf nor a branch", id)
}

func (w *walker) branch(p page, id uint64, depth int, first, high []byte, visit visitor) error {
	key, ok := p.branchKey(0)
	if !ok || first != nil && !bytes.Equal(key, first) {
		return damaged("page %d is out of order", id)
	}
	for i := range int(p.count) {
		next, bound := []byte(nil), high
		if i+1 < int(p.count) {
			next, ok = p.branchKey(i + 1)
			if !ok || bytes.Compare(key, next) >= 0 || high != nil && bytes.Compare(next, high) >= 0 {
				return damaged("page %d is out of order", id)
			}
			bound = next
		}
		child := order.Uint64(p.elements[i*elementSize+8:])
		if err := w.tree(child, depth+1, key, bound, visit); err != nil {
			return err
		}
		key = next
	}
	return nil
}

func (p page) leaf(id uint64, first, high []byte, visit visitor) error {
	previous := first
	for i := range int(p.count) {
		at := i * elementSize
		if at+elementSize > len(p.elements) {
			return damaged("page %d is too short", id)
		}
		e := p.elements[at:]
		size := uint64(order.Uint32(e[8:]))
		data, ok := p.data(i, order.Uint32(e[4:]), size+uint64(order.Uint32(e[12:])))
		if !ok || size == 0 {
			return damaged("page %d points out of itself", id)
		}
		key := data[:size]
		if after := bytes.Compare(key, previous); i == 0 && first != nil && after != 0 || i > 0 && after <= 0 ||
			high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("page %d is out of order", id)
		}
		if err := visit(order.Uint32(e), key, data[size:]); err != nil {
			return err
		}
		previous = key
	}
	return nil
}

// branchKey returns the key of a branch's element.
func (p page) branchKey(i int) ([]byte, bool) {
	at := i * elementSize
	if at+elementSize > len(p.elements) {
		return nil, false
	}
	e := p.elements[at:]
	size := order.Uint32(e[4:])
	key, ok := p.data(i, order.Uint32(e), uint64(size))
	return key, ok && size > 0
}

// data returns what an element points to, counted from itself.
func (p page) data(i int, pos uint32, size uint64) ([]byte, bool) {
	from := uint64(i*elementSize) + uint64(pos)
	if from < uint64(p.count)*elementSize || from+size > uint64(len(p.elements)) {
		return nil, false
	}
	return p.elements[from : from+size], true
}

// bucket visits a bucket, given the value it stands in the tree with.
func (w *walker) bucket(value []byte, visit visitor) error {
	if len(value) < bucketSize {
		return damaged("a bucket is too short")
	}
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, 0, nil, nil, visit)
	}
	if len(value) < bucketSize+pageHeaderSize {
		return damaged("a bucket is too short")
	}
	p := parsePage(value[bucketSize:])
	if p.flags != leafFlag {
		return damaged("a bucket is not a leaf")
	}
	return p.leaf(0, nil, nil, visit)
}

// free checks the list of free pages: a page in it must be nobody's.
func (w *walker) free() error {
	p, err := w.read(w.freelist, 0)
	if err != nil {
		return err
	}
	list, count := p.elements, uint64(p.count)
	if count == manyFree {
		count, list = order.Uint64(list), list[8:]
	}
	if p.flags != freelistFlag || count > uint64(len(list)/8) {
		return damaged("the list of free pages is none")
	}
	for i := range count {
		id := order.Uint64(list[i*8:])
		if id >= w.pages || w.used[id] {
			return damaged("page %d is used and free, or does not exist", id)
		}
		w.used[id] = true
	}
	return nil
}
