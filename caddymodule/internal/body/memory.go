package body

import (
	"io"
	"math/bits"
	"sync"
)

// Memory for bodies comes in sizes of a power of two, plus a few bytes: finding
// the end of a body takes room for one byte more, and lengths that are powers of
// two are common.
const (
	smallestBlock = 10 // its binary logarithm
	largestBlock  = 20 // of what is used again; larger bodies are rare and have memory of their own
	blockSpare    = 512
)

// block is memory that a body is read into.
type block struct {
	buf   []byte // empty, with all its capacity
	class int    // its index in blocks; -1: it is not used again
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

// free gives the memory to other bodies. Nothing may refer to it any more.
func (b *block) free() {
	if b.class >= 0 {
		blocks[b.class].Put(b)
	}
}

// copySize is how much of a body in a file, or on its way into one, is in
// memory at a time.
const copySize = 64 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// spoolSize is how much is written to a file at a time. File systems have a price
// for each write, and with large ones get along with fewer, larger pages.
const spoolSize = 256 << 10

var spoolBuffers = sync.Pool{New: func() any { return new([spoolSize]byte) }}

// copyTo is [io.Copy] by way of such memory, whatever else the reader can do.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(w, struct{ io.Reader }{r}, buf[:])
}

// growth returns by how much to grow the memory of a body of that declared size
// when so much has arrived: all that it needs, but at most seven times what the
// client has taken the trouble to send.
func growth(arrived, size int) int {
	if left := size - arrived; left > 0 {
		return min(left, 7*arrived)
	}
	return arrived
}
