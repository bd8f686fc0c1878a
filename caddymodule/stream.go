package caddymodule

import (
	"io"
	"net/http"
	"sync/atomic"
)

// streamedBody is a body that passes unread. It notes whether the client
// stopped in the middle: a proxy takes that for a fault of its upstream.
type streamedBody struct {
	io.ReadCloser
	stopped, closed atomic.Bool // a proxy reads and closes when it likes
}

// stream has the request's body watched where it was not read.
func (x *exchange) stream() {
	r := x.r
	if x.body.whole || r.Method == http.MethodConnect || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return
	}
	if x.plan.readsBody && len(r.Header["Content-Type"]) == 0 {
		// RFC 9110 section 8.3 lets a recipient guess, and Rack and CGI
		// libraries guess a form.
		r.Header["Content-Type"] = []string{"application/octet-stream"}
	}
	x.s.streamed = &streamedBody{ReadCloser: r.Body}
	r.Body = x.s.streamed
}

// Read implements [io.Reader].
func (b *streamedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.closed.Load() && bodyError(err) == errBodyBroken {
		b.stopped.Store(true)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *streamedBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// refuseStopped answers a request of which the next handler could not make
// anything because its client stopped.
func (h *Handler) refuseStopped(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, r, s)
	defer x.release()
	x.mode = s.mode
	if p := h.plans[s.dialect]; p != nil {
		x.plan = p
	}
	h.unpublish(r, s)
	x.settle(errBodyBroken, nil)
	return h.refuse(w, x, errBodyBroken)
}
