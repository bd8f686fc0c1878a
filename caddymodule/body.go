package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bodies that cannot be read.
var (
	errContentType error = &verifier.BodyError{Detail: "has a Content-Type that stands twice, or is not one plain media type"}
	errBodyStart   error = &verifier.BodyError{Detail: "begins with a byte-order mark, a NUL or a comment"}
	errBodyBroken  error = &verifier.BodyError{Detail: "ended before it was complete"}
)

// body is a request's body as far as it was read.
type body struct {
	media mediaType
	text  []byte // what was read
	whole bool   // text is all of it, and JSON or a form
	tried bool
	err   error
}

// bufferedBody is a body that was read, to be read again.
type bufferedBody struct{ bytes.Reader }

func (*bufferedBody) Close() error { return nil }

// resumedBody is a body of which the beginning was read.
type resumedBody struct {
	io.Reader
	io.Closer
}

// hasBody reports whether the request has a body. One without a declared
// length, as every request of HTTP/3 that does not name it, is asked.
func (x *exchange) hasBody() bool {
	r := x.r
	if r.Method == http.MethodConnect || r.Body == nil || r.ContentLength == 0 {
		return false
	}
	if r.ContentLength > 0 || x.body.tried {
		return true
	}
	var first [1]byte
	n, err := io.ReadFull(r.Body, first[:])
	if n == 0 && errors.Is(err, io.EOF) {
		if r.ProtoMajor > 1 {
			r.Body = http.NoBody // spares the upstream an empty chunked body
		}
		return false
	}
	r.Body = resumedBody{io.MultiReader(bytes.NewReader(first[:n]), &failingReader{err}, r.Body), r.Body}
	return true
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
	if b.tried || !x.hasBody() {
		b.tried = true
		return
	}
	b.tried = true
	b.media, b.err = mediaTypeOf(x.r.Header)
	declared := b.err == nil && b.media.kind != bodyOther
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
		buffered := new(bufferedBody)
		buffered.Reset(b.text)
		x.r.Body = buffered
		return
	}
	b.whole = false
	x.r.Body = resumedBody{io.MultiReader(bytes.NewReader(b.text), rest), rest}
}

// sniff reads until it is clear whether a body of no type that is known is a
// JSON object, and if it is, the rest.
func (x *exchange) sniff(from io.Reader) (whole bool, err error) {
	json, clear := false, false
	err = x.fill(from, func(text []byte) bool {
		json, clear = looksLikeObject(text)
		return !clear
	})
	if err != nil || !json {
		return false, err
	}
	if x.r.ContentLength > x.h.MaxBody {
		return false, verifier.ErrTooLarge
	}
	return true, x.fill(from, func([]byte) bool { return true })
}

// fill reads into the body's text for as long as more wants it, up to the end
// or the largest body that is read.
func (x *exchange) fill(from io.Reader, more func(text []byte) bool) error {
	b := &x.body
	if b.text == nil {
		size := int64(1024)
		if length := x.r.ContentLength; length >= 0 && length <= x.h.MaxBody {
			size = length + 1 // one to spare, so that the read that finds the end has room
		}
		b.text = make([]byte, 0, size)
	}
	for more(b.text) {
		if len(b.text) == cap(b.text) {
			b.text = slices.Grow(b.text, len(b.text))
		}
		n, err := from.Read(b.text[len(b.text):cap(b.text)])
		b.text = b.text[:len(b.text)+n]
		switch {
		case int64(len(b.text)) > x.h.MaxBody:
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

func skipBlanks(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// looksLikeObject reports whether the text begins a JSON object: a brace
// followed, after blanks, by a quote or another brace. Some parsers pass over
// comments, too, and some take NULs for UTF-16; these are no valid JSON and are
// refused as such. The answer may not be clear yet.
func looksLikeObject(text []byte) (yes, clear bool) {
	text = skipBlanks(text)
	if len(text) == 0 {
		return false, false
	}
	if text[0] != '{' {
		return false, !prefixOfForbidden(text)
	}
	if text = skipBlanks(text[1:]); len(text) == 0 {
		return false, false
	}
	switch text[0] {
	case '"', '}', '/', 0:
		return true, true
	}
	return false, true
}

// forbiddenStarts are what a lenient parser passes over before it reads on,
// and a strict one does not: byte-order marks of UTF-8, UTF-16 and UTF-32,
// NULs, which UTF-16 and UTF-32 begin with as well, and comments.
var forbiddenStarts = [...]string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe", "\x00", "/*", "//"}

func forbiddenStart(text []byte) bool {
	text = skipBlanks(text)
	for _, start := range forbiddenStarts {
		if bytes.HasPrefix(text, []byte(start)) {
			return true
		}
	}
	return false
}

// prefixOfForbidden reports whether the text, as far as it is read, could
// still become a forbidden start.
func prefixOfForbidden(text []byte) bool {
	for _, start := range forbiddenStarts {
		if len(text) < len(start) && string(text) == start[:len(text)] {
			return true
		}
	}
	return false
}
