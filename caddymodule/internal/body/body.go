package body

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// The memory for a body whose length is not known, and the most that a client
// gets by its word alone: the rest comes when that much has arrived.
const (
	firstRead    = 1 << 10
	maxFirstRead = 16 << 10
)

// Body is the body of one request. [Open] begins it. It must not be copied, nor
// used for another request: somebody may still be reading this one's.
//
// First the handler reads it, alone. Once it has been read whole and passed on by
// [Body.Pass], it is an [io.ReadCloser] that begins anew, and that any goroutine
// may read.
type Body struct {
	from     io.ReadCloser // nil if the request has none, or a tunnel
	length   int64         // as declared; below 0: not known
	major    int           // of the request's HTTP version
	tooLarge func(error) bool

	text   []byte // in memory: what was read, less what was cut out of it
	block  *block // where it lies
	inFile bool   // it lies in a file instead
	file   *tempFile
	kept   []segment // of the file: what was not cut out of it
	size   int64     // once the body is whole: as it reads now
	whole  bool      // everything is read, to the end
	asked  bool      // that was asked for
	cut    bool
	err    error // what ended the reading, io.EOF if the body did

	start   start
	started int // how much of text it has
	looked  bool
	beyond  beyond

	// What follows is guarded by mu, as is all above once the body is passed on.
	mu     sync.Mutex
	at     int64 // where the next Read begins
	closed bool  // somebody has read as much as they want
	over   bool  // the memory or file is given back, and nobody may read any more
	ended  atomic.Bool
	stop   func() bool // of the wait for the request's end
	room   [4]segment  // what kept has at first
}

// Open returns the request's body, ready to be read. If an earlier handler has
// read it whole, that is the one; otherwise it is b, which must be new. tooLarge,
// which may be nil, reports whether an error of reading is that of a limit. An
// [http.MaxBytesError] always is.
func Open(r *http.Request, b *Body, tooLarge func(error) bool) *Body {
	if earlier, ok := r.Body.(*Body); ok && earlier.untouched() {
		return earlier
	}
	if r.Method == http.MethodConnect || r.Body == nil || r.Body == http.NoBody {
		return b
	}
	b.from, b.length, b.major, b.tooLarge = r.Body, r.ContentLength, r.ProtoMajor, tooLarge
	return b
}

// untouched reports whether the whole body can still be read.
func (b *Body) untouched() bool {
	b.acquire()
	defer b.release()
	return b.whole && !b.over && b.at == 0
}

// Present reports whether there is a body at all. One without a declared length,
// as in every request of HTTP/3 that does not declare it, is asked: that waits
// for its first bytes.
func (b *Body) Present() bool {
	for b.from != nil && b.length < 0 && len(b.text) == 0 && b.err == nil {
		_ = b.more(firstRead, 0)
	}
	switch {
	case b.whole:
		return b.size > 0
	case b.from == nil:
		return false
	}
	return b.length != 0
}

// Announced reports whether it is clear without reading that the client sends a
// body: over HTTP/1 and HTTP/2 one of unknown length is announced.
func (b *Body) Announced() bool {
	return b.from != nil && (b.length > 0 || b.length < 0 && b.major < 3)
}

// ReadAll reads the whole body into memory. A larger one than limit is
// [ErrTooLarge]; nothing beyond the limit is kept.
func (b *Body) ReadAll(limit int64) error {
	b.asked = true
	if !b.whole && (b.length > limit || !b.beyond.empty()) {
		return ErrTooLarge
	}
	for !b.whole {
		if err := b.more(limit+1, b.length+1); err != nil { // one byte more, if there is one
			return err
		}
		if int64(len(b.text)) > limit {
			return ErrTooLarge
		}
	}
	if b.size > limit {
		return ErrTooLarge
	}
	return nil
}

// more reads once, for a text of less than max bytes, of which size are expected
// with the one that finds the end; 0: nobody knows.
func (b *Body) more(max, size int64) error {
	if b.err != nil {
		return b.reason(b.err)
	}
	if len(b.text) == cap(b.text) {
		b.grow(int(size))
	}
	n, err := b.from.Read(b.text[len(b.text):min(int64(cap(b.text)), max)])
	b.text = b.text[:len(b.text)+n]
	return b.ending(int64(len(b.text)), err)
}

// ending looks at what a read returned, with which so much was read.
func (b *Body) ending(size int64, err error) error {
	switch b.err = err; {
	case err == nil:
		return nil
	case err != io.EOF:
		return b.reason(err)
	case size < b.length:
		b.err = io.ErrUnexpectedEOF
		return ErrBroken
	}
	b.whole, b.size = true, size
	return nil
}

// grow gets more memory, for a text of that size if it is above 0.
func (b *Body) grow(size int) {
	if b.block == nil {
		b.block = newBlock(min(cmp.Or(size, firstRead), maxFirstRead))
		b.text = b.block.buf
		return
	}
	larger := newBlock(len(b.text) + growth(len(b.text), size))
	b.text = append(larger.buf, b.text...)
	b.block.free()
	b.block = larger
}

// Whole reports whether everything was read.
func (b *Body) Whole() bool { return b.whole }

// Len returns the length of a whole body, less what was cut.
func (b *Body) Len() int64 { return b.size }

// Text returns a whole body that is in memory, else nil. It is good until the
// body is passed on, and is what the next handlers will read.
func (b *Body) Text() []byte {
	if !b.whole || b.inFile {
		return nil
	}
	return b.text
}

// wait has the body end at the latest when the request does.
func (b *Body) wait(ctx context.Context) {
	b.acquire()
	defer b.release()
	b.stop = context.AfterFunc(ctx, b.End)
}

// Why a body cannot be read.
var (
	// ErrTooLarge says that the body is larger than the limit given, or than one
	// that was set on the request before.
	ErrTooLarge = errors.New("body: larger than its limit")
	// ErrBroken says that the client stopped before the body was complete.
	ErrBroken = errors.New("body: ended before it was complete")
	// ErrStalled says that the client sends too slowly, or no longer.
	ErrStalled = errors.New("body: arrives too slowly")
	// ErrNoRoom is what every [NoRoomError] is.
	ErrNoRoom = errors.New("body: no room for a temporary file")
)

// NoRoomError says why there is no room for a temporary file. It is for the
// operator's log and never for the client: it names a folder of this machine.
type NoRoomError struct {
	Cause  error  // what failed
	Remedy string // what an operator can do about it
}

// Error implements error.
func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%v: %v: %s", ErrNoRoom, e.Cause, e.Remedy)
}

// Is reports whether target is [ErrNoRoom].
func (e *NoRoomError) Is(target error) bool { return target == ErrNoRoom }

// Unwrap returns the cause.
func (e *NoRoomError) Unwrap() error { return e.Cause }

// reason maps an error of reading: a limit that was set on the request before
// is a limit, anything else is a client that stopped.
func (b *Body) reason(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || b.tooLarge != nil && b.tooLarge(err) {
		return ErrTooLarge
	}
	return ErrBroken
}
