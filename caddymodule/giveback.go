package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
)

// journey records whether a request reached an upstream. A proxy may try several and
// returns the error of the last one, so only the connections tell whether an earlier
// attempt went further than a failed dial. Any goroutine may dial.
type journey struct {
	begun   atomic.Bool // the transport reports its connections at all
	reached atomic.Bool // there was a connection, new or kept alive
}

func (j *journey) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { j.begun.Store(true) },
		DNSStart:     func(httptrace.DNSStartInfo) { j.begun.Store(true) },
		ConnectStart: func(_, _ string) { j.begun.Store(true) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				j.reached.Store(true)
			}
		},
		GotConn: func(httptrace.GotConnInfo) { j.reached.Store(true) },
	}
}

// ended reports whether the request has certainly reached no upstream: every attempt
// ended with a failed dial.
func (j *journey) ended(err error) bool {
	var dial reverseproxy.DialError
	return errors.As(err, &dial) && j.begun.Load() && !j.reached.Load()
}

// givingBack releases the request's one-time signature, before the client is answered, if
// the next handler reaches no upstream. The client then sends the same request again,
// which is no replay.
func (h *Handler) givingBack(s *state, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		way := new(journey)
		err := next.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(r.Context(), way.trace())))
		if err != nil && way.ended(err) && h.place != nil && !h.place.Caught && !sites.ErrorRoutesProxy(r) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), ledgerTimeout)
			defer cancel()
			if err := h.ledger.Release(ctx, s.spent.key, s.spent.holder, s.spent.until); err != nil {
				h.log.zap.Debug("no upstream was reached, but the one-time signature could not be released and stays used", zap.Error(err))
			}
		}
		return err
	})
}
