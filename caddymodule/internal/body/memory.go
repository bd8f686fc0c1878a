package body

import (
	"io"
	"math/bits"
	"sync"
)

// Memory for bodies has sizes of a power of two, plus a few bytes: finding the end of a body
// takes one byte more than its length, which often is a power of two.
const (
	smallestBlock = 10 // its binary logarithm
	largestBlock  = 20 // of those in pools; larger bodies are rare
	blockSpare    = 512
)

// block is memory that a body is read into.
type block struct {
	buf   []byte // empty, with all its capacity
	class int    // its index in blocks, -1 if it does not return to a pool
}

var blocks [largestBlock - smallestBlock + 1]sync.Pool

// newBlock returns memory for at least size bytes.
func newBlock(size int) *block {
	class := max(bits.Len(uint(max(size-blockSpare, 1)-1)), smallestBlock) - smallestBlock
	if class >= len(blocks) {
		return &block{make([]byte, 0, size), -1}
	}
	if b, ok := blocks[class].Get().(*block); ok {
		return b
	}
	return &block{make([]byte, 0, 1<<(class+smallestBlock)+blockSpare), class}
}

// free returns the memory to its pool. Nothing may refer to it any more.
func (b *block) free() {
	if b.class >= 0 {
		blocks[b.class].Put(b)
	}
}

// copySize is how many bytes of a body are copied at a time.
const copySize = 64 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// spoolSize is how many bytes are written to a file at a time. Large writes are cheaper.
const spoolSize = 256 << 10

var spoolBuffers = sync.Pool{New: func() any { return new([spoolSize]byte) }}

// copyTo is [io.Copy] with a pooled buffer, even if the reader has a WriteTo.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(w, struct{ io.Reader }{r}, buf[:])
}
