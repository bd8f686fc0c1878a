package caddymodule

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/streams"
)

// forwarding passes the answer to a forwarded request on. When it begins, what is pending is
// resolved, before the client sees any of it: what a client was told must survive kill -9. A
// verified answer that goes on for as long as its client likes is registered, and cut when
// what proved the user no longer does.
type forwarding struct {
	caddyhttp.ResponseWriterWrapper
	confirming
	s        *state
	cancel   context.CancelCauseFunc      // ends the request to the upstream; nil if the request is not verified
	stream   *streams.Stream[streamProof] // nil if the answer is none
	opened   time.Time                    // the stream
	conn     net.Conn                     // to the client, over HTTP/1.1
	cut      atomic.Bool
	unsaid   int // writes after the cut that have failed, and the next handler was not told
	began    bool
	hijacked bool
}

// forward has the next handler answer a request that was decided: in error routes, too, which
// may proxy it.
func forward(w http.ResponseWriter, r *http.Request, s *state, next caddyhttp.Handler) error {
	if s.forwarding || s.pending == (pending{}) && s.proved == (proof{}) {
		return next.ServeHTTP(w, r) // nothing depends on the answer, or an earlier handler sees to that
	}
	f := &s.first
	if f.s != nil { // an error route's
		f = new(forwarding)
	}
	f.ResponseWriter, f.s, f.confirming = w, s, confirming{h: s.decider, r: r, pending: s.pending}
	s.confirming, s.pending, s.forwarding = &f.confirming, pending{}, true
	defer func() { s.forwarding = false }()
	return f.serve(next)
}

// serve has the next handler answer. After a panic, provisional entries expire.
func (f *forwarding) serve(next caddyhttp.Handler) error {
	if f.s.proved != (proof{}) {
		f.cancelable()
	}
	returned := false
	defer func() {
		if f.end() && returned && !f.hijacked {
			panic(http.ErrAbortHandler) // so that the client can tell it from a complete answer
		}
	}()
	err := next.ServeHTTP(f, f.r)
	returned = true
	if err != nil {
		f.resolve(http.StatusInternalServerError)
	}
	f.resolve(http.StatusOK) // as net/http answers then
	return err
}

// cancelable prepares for a cut, before it is known whether the answer is a stream.
func (f *forwarding) cancelable() {
	if c, ok := f.r.Context().Value(connKey).(*clientConn); ok && f.r.ProtoMajor == 1 {
		f.conn, f.cancel = c.Conn, c.cancel
		return
	}
	// The request itself gets the context: a stream would keep a copy for as long as it is
	// open. It is not given back, since the transport may still read the request, and is
	// good for error routes, since only a cut cancels it. It ends with the request's own.
	ctx, cancel := context.WithCancelCause(f.r.Context())
	f.cancel = cancel
	*f.r = *f.r.WithContext(ctx)
}

// WriteHeader implements [http.ResponseWriter].
func (f *forwarding) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		f.begin(status)
	} else {
		f.ResponseWriterWrapper.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (f *forwarding) Write(p []byte) (int, error) {
	f.begin(http.StatusOK)
	n, err := f.ResponseWriterWrapper.Write(p)
	if err != nil && f.cut.Load() && f.unsaid < maxUnsaid {
		f.unsaid++
		time.Sleep(unsaidPause)
		return len(p), nil // the next read finds the end: see Cut
	}
	return n, err
}

// ReadFrom implements [io.ReaderFrom].
func (f *forwarding) ReadFrom(r io.Reader) (int64, error) {
	f.begin(http.StatusOK)
	return f.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is [http.Flusher] for [http.ResponseController].
func (f *forwarding) FlushError() error {
	f.begin(http.StatusOK)
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (f *forwarding) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(f.ResponseWriter).Hijack()
	if err == nil {
		// What the server's log wraps around a connection would hide TLS from CloseConn.
		f.conn, f.hijacked = cmp.Or(f.conn, conn), true
		f.open()
	}
	return conn, buffered, err
}

// begin begins the answer with that status. Only the first call counts.
func (f *forwarding) begin(status int) {
	if f.began {
		return
	}
	f.began = true
	f.resolve(status)
	f.recognize(status)
	f.ResponseWriterWrapper.WriteHeader(status)
	f.recognize(status) // a 'header' directive may have set the type
}

// recognize registers the answer if it is a stream. An extended CONNECT is answered 200
// (RFC 8441 section 5).
func (f *forwarding) recognize(status int) {
	if f.isEventStream() || f.r.Method == http.MethodConnect && status < 300 {
		f.open()
	}
}

func (f *forwarding) isEventStream() bool {
	for _, value := range f.Header()["Content-Type"] {
		media, _, _ := strings.Cut(value, ";")
		if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
			return true
		}
	}
	return false
}

// expiryGrace is how long a stream outlives the token or session that proved it, for the page
// to come back with another.
const expiryGrace = 30 * time.Second

// open registers the answer as a stream, if it is a verified user's.
func (f *forwarding) open() {
	if f.cancel == nil || f.stream != nil {
		return
	}
	proved, lifetime := f.s.proved, time.Duration(f.h.StreamLifetime)
	var limit streams.Limit
	f.opened = time.Now()
	if lifetime > 0 {
		limit = streams.Limit{At: f.opened.Add(lifetime), Reason: streams.Lifetime}
	}
	if !proved.expires.IsZero() {
		limit = limit.Earlier(streams.Limit{At: proved.expires.Add(expiryGrace), Reason: streams.Expired})
	}
	f.stream = openStreams.Open(streamProof{f.h.app, proved.widget, proved.version, proved.inline}, limit, f)
}

// Cut implements [streams.Cutter]: it ends the stream on both sides. The upstream may be
// silent, and the client may read nothing. To reverse_proxy, what it reads is at its end then:
// it logs an error as a warning, with the request's URL and headers, claim and assertion among
// them. A handler that ignores the context learns of the end when its writes fail.
func (f *forwarding) Cut() {
	f.cut.Store(true)
	f.cancel(io.EOF)
	if f.conn != nil {
		streams.CloseConn(f.conn)
	} else {
		streams.Interrupt(f.ResponseWriter)
	}
}

// After that many failed writes, with that pause after each, the transport has noticed that
// the request is over, even where the upstream sends without a pause.
const (
	maxUnsaid   = 16
	unsaidPause = 10 * time.Millisecond
)

// end is called when the answer is over. It reports whether it was a stream that was cut, and
// logs that.
func (f *forwarding) end() (cut bool) {
	if f.stream == nil {
		return false
	}
	reason := f.stream.Close()
	if reason == 0 {
		return false
	}
	f.h.log.zap.Info("stream ended", zap.Stringer("reason", reason), zap.String("widget", f.s.widget), zap.String("user", f.s.user),
		about(f.r), zap.Duration("open", time.Since(f.opened)))
	return true
}

// Interface guards
var (
	_ io.ReaderFrom = (*forwarding)(nil)
	_ http.Hijacker = (*forwarding)(nil)
)
