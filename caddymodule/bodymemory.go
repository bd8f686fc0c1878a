package caddymodule

import (
	"bytes"
	"io"
	"math/bits"
	"net/http"
	"sync"
)

// Memory for bodies comes in sizes of a power of two, and of some bytes more:
// to find the end of a body takes room for a byte behind it, and lengths that
// are powers of two are common.
const (
	smallestBlock = 10 // its binary logarithm
	largestBlock  = 20 // of what is used again; larger bodies are rare and have memory of their own
	blockSpare    = 512
)

// bodyBlock is memory that a body is read into.
type bodyBlock struct {
	room  []byte // empty, with all its capacity
	class int    // its place among bodyBlocks, -1: it is not used again
}

var bodyBlocks [largestBlock - smallestBlock + 1]sync.Pool

// newBodyBlock returns memory for at least size bytes.
func newBodyBlock(size int) *bodyBlock {
	class := max(bits.Len(uint(max(size-blockSpare, 1)-1)), smallestBlock) - smallestBlock
	if class >= len(bodyBlocks) {
		return &bodyBlock{make([]byte, 0, size), -1}
	}
	if b, ok := bodyBlocks[class].Get().(*bodyBlock); ok {
		return b
	}
	return &bodyBlock{make([]byte, 0, 1<<(class+smallestBlock)+blockSpare), class}
}

// free has the memory used again. Nothing may refer to it any more.
func (b *bodyBlock) free() {
	if b.class >= 0 {
		bodyBlocks[b.class].Put(b)
	}
}

// bufferedBody is a body that was read, to be read again. Its memory is another
// body's once the request is over. A transport may still read it then, on its
// own goroutine (see [http.RoundTripper]), so whoever reads excludes the end,
// and whoever comes after it gets an error: never another client's body.
type bufferedBody struct {
	mu     sync.Mutex
	rest   bytes.Reader
	memory *bodyBlock
	// closed says that somebody has read as much as he wants, over that the
	// memory is given back.
	closed, over bool
}

// hold begins the body anew with that text, which is in that memory.
func (b *bufferedBody) hold(text []byte, memory *bodyBlock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest.Reset(text)
	b.memory = memory
	b.closed, b.over = false, false
}

// Read implements [io.Reader].
func (b *bufferedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.rest.Read(p)
}

// WriteTo implements [io.WriterTo]. A writer keeps nothing of what it is given.
func (b *bufferedBody) WriteTo(w io.Writer) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.rest.WriteTo(w)
}

// Close implements [io.Closer].
func (b *bufferedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// spent reports whether nobody may read any more. A body that was closed before
// anything of it was read is still good: for another attempt at the upstream, or
// in an error route. One that was begun is not, or the next upstream would take
// its rest for the whole.
func (b *bufferedBody) spent() bool {
	return b.over || b.closed && int64(b.rest.Len()) < b.rest.Size()
}

// end gives the memory back once the request is over, and returns the error with
// which it is: with one, error routes may want the body. Where somebody seems to
// be still at it, the memory is left to the garbage collector.
func (b *bufferedBody) end(err error) error {
	if err != nil || b.memory == nil || !b.mu.TryLock() {
		return err
	}
	defer b.mu.Unlock()
	if b.closed || b.rest.Len() == 0 {
		b.over = true
		b.rest.Reset(nil)
		b.memory.free()
		b.memory = nil
	}
	return nil
}
