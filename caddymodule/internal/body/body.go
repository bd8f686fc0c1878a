package body

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// The memory for a body of unknown length, and the maximum before anything has arrived,
// whatever length is declared. In bytes.
const (
	firstRead    = 1 << 10
	maxFirstRead = 16 << 10
)

// Body is the body of one request, prepared by [Open]. It must not be copied, nor reused for
// another request, since a transport may still be reading it.
//
// At first only the handler reads it. Once it was read whole and passed on by [Body.Pass],
// it is an [io.ReadCloser] that starts from the beginning and that any goroutine may read.
type Body struct {
	from     io.ReadCloser // nil if the request has no body, or is a tunnel
	length   int64         // as declared; negative if unknown
	major    int           // of the request's HTTP version
	tooLarge func(error) bool

	text   []byte // what was read, less what was cut, if it is in memory
	block  *block // the memory of text
	inFile bool
	file   *tempFile
	kept   []segment // of the file: what was not cut
	size   int64     // of a whole body, less what was cut
	whole  bool      // all of it was read
	asked  bool      // the handler asked for all of it
	cut    bool      // something was cut
	err    error     // what ended the reading, io.EOF at the end of the body

	start   *start // nil until somebody asks how the body begins
	started int    // how much of text start has seen
	beyond  beyond

	// mu guards what follows, and all of the above once the body was passed on.
	mu     sync.Mutex
	at     int64       // where the next Read begins
	closed bool        // by Close
	over   bool        // the memory or file was released
	ended  atomic.Bool // by End
	stop   func() bool // stops the wait for the request's end
}

// Open returns the request's body, ready to be read. It is an earlier handler's if that has
// read all of it, otherwise b, which must be new. tooLarge reports whether an error means
// that the body exceeds a limit, besides [http.MaxBytesError]; it may be nil.
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

// Present reports whether there is a body at all. If its length is not declared, which in
// HTTP/3 says nothing, Present waits for the first bytes.
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

// Announced reports whether it is clear without reading that the client sends a body: over
// HTTP/1 and HTTP/2, even one of unknown length is announced.
func (b *Body) Announced() bool {
	return b.from != nil && (b.length > 0 || b.length < 0 && b.major < 3)
}

// ReadAll reads the whole body into memory. If it is longer than limit bytes, the error is
// [ErrTooLarge]; other errors are [ErrBroken].
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

// more reads once, for a text of less than max bytes. size is the expected length, plus one
// byte to find the end; 0 if it is unknown.
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

// ending handles the error of a read, after which size bytes were read in all.
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

// grow gets more memory, for a text of that size if it is not 0: for all of it, but at most
// seven times what has arrived.
func (b *Body) grow(size int) {
	if b.block == nil {
		b.block = newBlock(min(cmp.Or(size, firstRead), maxFirstRead))
		b.text = b.block.buf
		return
	}
	more, arrived := size-len(b.text), len(b.text)
	if more <= 0 {
		more = arrived
	}
	larger := newBlock(arrived + min(more, 7*arrived))
	b.text = append(larger.buf, b.text...)
	b.block.free()
	b.block = larger
}

// Whole reports whether all of the body was read.
func (b *Body) Whole() bool { return b.whole }

// Len returns the length of a whole body, less what was cut.
func (b *Body) Len() int64 { return b.size }

// Text returns a whole body that is in memory, else nil. It is valid until the body is
// passed on.
func (b *Body) Text() []byte {
	if !b.whole || b.inFile {
		return nil
	}
	return b.text
}

// Errors of reading a body.
var (
	// ErrTooLarge says that the body exceeds the given limit, or one that an earlier
	// handler set.
	ErrTooLarge = errors.New("body: larger than its limit")
	// ErrBroken says that the client stopped before the body was complete.
	ErrBroken = errors.New("body: ended before it was complete")
	// ErrStalled says that the client sends too slowly or not at all.
	ErrStalled = errors.New("body: arrives too slowly")
	// ErrNoRoom says that there is no room for a temporary file. Its text, with the cause and
	// what an operator can do about it, is not for the client, since it names a folder of this
	// machine.
	ErrNoRoom = errors.New("body: no room for a temporary file")
	// ErrNeverFits is [ErrNoRoom] of a body that is larger than its client's share.
	ErrNeverFits = fmt.Errorf("%w: it can never be stored", ErrNoRoom)
)

func noRoomError(cause error, remedy string) error {
	return fmt.Errorf("%w: %w: %s", ErrNoRoom, cause, remedy)
}

// reason maps an error of reading to [ErrTooLarge], or to [ErrBroken]: the client stopped.
func (b *Body) reason(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || b.tooLarge != nil && b.tooLarge(err) {
		return ErrTooLarge
	}
	return ErrBroken
}
