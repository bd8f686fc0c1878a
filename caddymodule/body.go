package caddymodule

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bodies that cannot be read.
var (
	errContentType error = &verifier.BodyError{Detail: "has a Content-Type that stands twice, or is not one plain media type"}
	errBodyStart   error = &verifier.BodyError{Detail: "begins with a byte-order mark, a NUL or a comment"}
	errBodyBroken  error = &verifier.BodyError{Detail: "ended before it was complete"}
)

// The memory for a body whose length is not known, and the most that a client
// gets by its word alone: the rest comes when that much has arrived.
const (
	firstRead    = 1 << 10
	maxFirstRead = 16 << 10
)

// body is a request's body as far as it was read.
type body struct {
	media  mediaType
	memory *bodyBlock
	text   []byte // in memory: what was read, less what was cut out of it
	whole  bool   // text is all of it, and JSON or a form
	tried  bool
	err    error

	asked, present bool // whether there is a body at all
}

// resumedBody is a body of which the beginning was read.
type resumedBody struct {
	io.Reader
	io.Closer
}

// hasBody reports whether the request has a body. One without a declared
// length, as every request of HTTP/3 that does not name it, is asked.
func (x *exchange) hasBody() bool {
	if b := &x.body; !b.asked {
		b.asked, b.present = true, askForBody(x.r)
	}
	return x.body.present
}

func askForBody(r *http.Request) bool {
	if r.Method == http.MethodConnect || r.Body == nil || r.ContentLength == 0 {
		return false
	}
	if r.ContentLength > 0 {
		return true
	}
	var first [1]byte
	n, err := io.ReadFull(r.Body, first[:])
	if n == 0 && errors.Is(err, io.EOF) {
		if r.ProtoMajor > 1 {
			r.Body, r.ContentLength = http.NoBody, 0 // spares the upstream an empty chunked body
		}
		return false
	}
	r.Body = resumedBody{io.MultiReader(bytes.NewReader(first[:n]), &failingReader{err}, r.Body), r.Body}
	return true
}

// declaresBody reports whether it is clear without reading that the client
// sends a body: over HTTP/1 and HTTP/2 one of unknown length is announced.
func (x *exchange) declaresBody() bool {
	r := x.r
	return r.Method != http.MethodConnect && r.Body != nil &&
		(r.ContentLength > 0 || r.ContentLength < 0 && r.ProtoMajor < 3)
}

// failingReader returns an error once it is reached, if there was one.
type failingReader struct{ err error }

func (f *failingReader) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// readBody reads the body as far as it must be. It leaves the request with a
// body that reads as before.
func (x *exchange) readBody() {
	b := &x.body
	if b.tried {
		return
	}
	b.tried = true
	media, err := mediaTypeOf(x.r.Header)
	if refused := err != nil && x.declaresBody(); !refused && !x.hasBody() {
		return
	}
	b.media, b.err = media, err
	declared := b.media.kind != bodyOther
	if declared && x.r.ContentLength > x.h.MaxBody {
		b.err = verifier.ErrTooLarge
	}
	if b.err != nil {
		return
	}
	rest := x.r.Body
	if declared {
		b.whole, b.err = true, x.fill(rest, func([]byte) bool { return true })
	} else {
		b.whole, b.err = x.sniff(rest)
	}
	if b.err == nil && forbiddenStart(b.text) {
		b.err = errBodyStart
	}
	if b.whole && b.err == nil {
		x.s.body.hold(b.text, b.memory)
		x.r.Body = &x.s.body
		return
	}
	b.whole = false
	x.r.Body = resumedBody{io.MultiReader(bytes.NewReader(b.text), rest), rest}
}

// sniff reads until it is clear whether a body of no type that is known is a
// JSON object, and if it is, the rest.
func (x *exchange) sniff(from io.Reader) (whole bool, err error) {
	var start bodyStart
	json, clear := false, false
	err = x.fill(from, func(text []byte) bool {
		json, clear = start.object(text)
		return !clear
	})
	if err != nil || !json {
		return false, err
	}
	if max(x.r.ContentLength, int64(len(x.body.text))) > x.h.MaxBody {
		return false, verifier.ErrTooLarge
	}
	return true, x.fill(from, func([]byte) bool { return true })
}

// fill reads into the body's text for as long as more wants it, up to the end
// or the largest body that is read.
func (x *exchange) fill(from io.Reader, more func(text []byte) bool) error {
	b := &x.body
	size := 0
	if length := x.r.ContentLength; length >= 0 && length <= x.h.MaxBody {
		size = int(length) + 1 // one to spare, so that the read that finds the end has room
	}
	if b.memory == nil {
		b.memory = newBodyBlock(min(cmp.Or(size, firstRead), maxFirstRead))
		b.text = b.memory.room
	}
	for more(b.text) {
		if len(b.text) == cap(b.text) {
			b.grow(growth(len(b.text), size))
		}
		n, err := from.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		switch {
		case int64(len(b.text)) > x.h.MaxBody && more(b.text): // one read can bring more than is wanted
			return verifier.ErrTooLarge
		case err == io.EOF && int64(len(b.text)) < x.r.ContentLength:
			return errBodyBroken
		case err == io.EOF:
			more(b.text)
			return nil
		case err != nil:
			return bodyError(err)
		}
	}
	return nil
}

// grow makes room for that many bytes more.
func (b *body) grow(more int) {
	larger := newBodyBlock(len(b.text) + more)
	b.text = append(larger.room, b.text...)
	b.memory.free()
	b.memory = larger
}

// growth returns how much more memory a body of that declared size gets when so
// much of it has arrived: all that it needs, but no more than seven times what
// the client has taken the trouble to send.
func growth(arrived, size int) int {
	if left := size - arrived; left > 0 {
		return min(left, 7*arrived)
	}
	return arrived
}

// bodyError maps an error of reading: a limit set before this handler is a
// limit, anything else is a client that stopped.
func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return verifier.ErrTooLarge
	}
	if e, ok := errors.AsType[caddyhttp.HandlerError](err); ok && e.StatusCode == http.StatusRequestEntityTooLarge {
		return verifier.ErrTooLarge
	}
	return errBodyBroken
}
