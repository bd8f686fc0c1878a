package body

import (
	"io"
	"net/http"
	"strconv"
)

// digests are headers that do not hold for a body that was cut (RFC 9530, RFC 3230, RFC
// 1864).
var digests = [...]string{"Content-Digest", "Repr-Digest", "Digest", "Content-Md5"}

// Pass gives the body back to the request. A body that was read whole gets a length: if a
// proxy tries a second upstream while the first attempt is still reading, the second gets
// only the rest, and by the length can tell. Any other body streams, starting with what was
// read of it; Pass returns it then, else nil.
func (b *Body) Pass(r *http.Request) *Streamed {
	switch {
	case b.from == nil || b.length == 0 && !b.whole:
		return nil
	case b.whole && b.size == 0 && b.length < 0 && !b.cut:
		if b.major > 1 {
			r.Body, r.ContentLength = http.NoBody, 0 // spares the upstream an empty chunked body
		}
		return nil
	case !b.whole, !b.asked && b.length < 0: // its end may have been seen by chance
		s := b.stream()
		r.Body = s
		return s
	}
	r.Body = b
	if b.size != r.ContentLength {
		r.ContentLength, r.TransferEncoding = b.size, nil
		r.Header["Content-Length"] = []string{strconv.FormatInt(b.size, 10)}
	}
	if b.cut {
		for _, name := range digests {
			r.Header.Del(name)
		}
	}
	return nil
}

// Discard leaves the request without a body, and releases what was read. The server deals
// with the rest.
func (b *Body) Discard(r *http.Request) {
	Remove(r)
	_ = b.Close()
	b.End()
}

// Remove leaves a request without a body.
func Remove(r *http.Request) {
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	for _, name := range [...]string{"Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding"} {
		r.Header.Del(name)
	}
	for _, name := range digests {
		r.Header.Del(name)
	}
}

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	b.acquire()
	defer b.release()
	if b.spent() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.closed = false // unread, by an earlier attempt
	n, err := b.readAt(p, b.at)
	b.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// WriteTo implements [io.WriterTo].
func (b *Body) WriteTo(w io.Writer) (written int64, err error) {
	if done, n, err := b.writeText(w); done {
		return n, err
	}
	return copyTo(struct{ io.Writer }{w}, b)
}

// writeText writes a body that is in memory, and holds the lock meanwhile.
func (b *Body) writeText(w io.Writer) (done bool, written int64, err error) {
	b.acquire()
	defer b.release()
	switch {
	case b.spent():
		return true, 0, http.ErrBodyReadAfterClose
	case b.inFile:
		return false, 0, nil
	case b.at < b.size:
		b.closed = false // unread, by an earlier attempt
		n, err := w.Write(b.text[b.at:])
		b.at += int64(n)
		return true, int64(n), err
	}
	return true, 0, nil
}

// ReadAt implements [io.ReaderAt] for a whole body, less what was cut.
func (b *Body) ReadAt(p []byte, off int64) (int, error) {
	b.acquire()
	defer b.release()
	if b.over {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.readAt(p, off)
}

func (b *Body) readAt(p []byte, off int64) (int, error) {
	if b.inFile {
		return b.readFile(p, off)
	}
	n := copy(p, b.text[min(off, b.size):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// CopyTo writes a whole body, less what was cut, in one or more pieces. The error is the
// writer's, or that of reading.
func (b *Body) CopyTo(w io.Writer) error {
	if !b.inFile {
		if len(b.text) == 0 {
			return nil
		}
		_, err := w.Write(b.text)
		return err
	}
	_, err := copyTo(w, io.NewSectionReader(b, 0, b.size))
	return err
}

// Close implements [io.Closer]. If something was read, it releases memory or file at once,
// since the answer may take long, as a stream of events does.
func (b *Body) Close() error {
	b.acquire()
	defer b.release()
	if b.closed = true; b.spent() {
		b.finish()
	}
	return nil
}

// spent reports whether the body can no longer be read. After Close it can still be read if
// nothing was read before: by another attempt at an upstream, or in an error route.
// Otherwise the next upstream would take the rest for the whole.
func (b *Body) spent() bool { return b.over || b.closed && b.at > 0 }

// End releases the body's memory or file once the request is over. A transport may still be
// reading then (see [http.RoundTripper]): it finishes its current Read, and later ones get
// an error, never another client's body. Only a body in memory that is not read to its end
// is left to its reader and to the garbage collector.
//
// A handler must not call End if error routes may want the body. A body in a file then ends
// with the context given to [Body.Spool].
func (b *Body) End() {
	b.ended.Store(true)
	if b.mu.TryLock() {
		b.finish()
		b.mu.Unlock()
	}
}

// acquire and release guard the use of memory or file. If the request ended meanwhile,
// release frees them.
func (b *Body) acquire() { b.mu.Lock() }

func (b *Body) release() {
	b.mu.Unlock()
	if b.ended.Load() && b.mu.TryLock() {
		b.finish()
		b.mu.Unlock()
	}
}

func (b *Body) finish() {
	if b.over || !b.inFile && !b.closed && b.at < b.size {
		return
	}
	b.over = true
	b.text = nil
	if b.block != nil {
		b.block.free()
		b.block = nil
	}
	if b.file != nil {
		b.file.close()
		b.file = nil
	}
	if b.stop != nil {
		b.stop()
	}
}
