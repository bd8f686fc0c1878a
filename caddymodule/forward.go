package caddymodule

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
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
	cancel   context.CancelFunc           // ends the request to the upstream; nil if the request is not verified
	stream   *streams.Stream[streamProof] // nil if the answer is none
	opened   time.Time                    // the stream
	conn     net.Conn                     // to the client, of a stream over HTTP/1.1
	began    bool
	hijacked bool
}

// forward has the next handler answer a request that was decided: in error routes, too, which
// may proxy it.
func forward(w http.ResponseWriter, r *http.Request, s *state, next caddyhttp.Handler) error {
	if s.forwarding || s.pending == (pending{}) && s.proved == (proof{}) {
		return next.ServeHTTP(w, r) // nothing depends on the answer, or an earlier handler sees to that
	}
	f := &forwarding{confirming: confirming{h: s.decider, r: r, pending: s.pending}, s: s}
	f.ResponseWriter = w
	s.confirming, s.pending, s.forwarding = &f.confirming, pending{}, true
	defer func() { s.forwarding = false }()
	return f.serve(next)
}

// serve has the next handler answer. After a panic, provisional entries expire.
func (f *forwarding) serve(next caddyhttp.Handler) error {
	if f.s.proved != (proof{}) {
		// The request itself gets the context, and has its own again for error routes: a
		// stream would keep a copy for as long as it is open.
		before := f.r.Context()
		ctx, cancel := context.WithCancel(before)
		f.cancel = cancel
		*f.r = *f.r.WithContext(ctx)
		defer func() { *f.r = *f.r.WithContext(before) }()
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

// WriteHeader implements [http.ResponseWriter].
func (f *forwarding) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		f.begin(status)
	}
	f.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (f *forwarding) Write(p []byte) (int, error) {
	f.begin(http.StatusOK)
	return f.ResponseWriterWrapper.Write(p)
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
		f.hijacked = true
		f.open(conn)
	}
	return conn, buffered, err
}

// begin notes that the answer begins with that status. Only the first call counts.
func (f *forwarding) begin(status int) {
	if f.began {
		return
	}
	f.began = true
	f.resolve(status)
	// An extended CONNECT is answered 200 (RFC 8441 section 5).
	if f.isEventStream() || f.r.Method == http.MethodConnect && status < 300 {
		conn, _ := f.r.Context().Value(connKey).(net.Conn)
		if f.r.ProtoMajor > 1 {
			conn = nil // it has other streams, too
		}
		f.open(conn)
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
func (f *forwarding) open(conn net.Conn) {
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
	f.conn = conn
	f.stream = openStreams.Open(streamProof{f.h.app, proved.widget, proved.version, f.h.single != nil}, limit, f)
}

// Cut implements [streams.Cutter]: it ends the stream on both sides. The upstream may be silent, and the client may read
// nothing.
func (f *forwarding) Cut() {
	if f.conn != nil {
		streams.CloseConn(f.conn)
	} else {
		streams.Interrupt(f.ResponseWriter)
	}
	f.cancel()
}

// end is called when the answer is over. It reports whether it was a stream that was cut, and
// logs that.
func (f *forwarding) end() (cut bool) {
	if f.cancel != nil {
		f.cancel()
	}
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
