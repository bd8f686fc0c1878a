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

// journey is how far a request got on its way to any upstream. A proxy may try
// several, and what it returns is the error of the last one: that an earlier try
// was more than a failed dial, only the connections tell. Both fields are set from
// whichever goroutine dials.
type journey struct {
	begun   atomic.Bool // the transport reports its connections at all
	reached atomic.Bool // one was there, new or kept from an earlier request
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

// ended reports whether it is certain that the request reached no upstream: the
// error is a failed dial, and every try was one.
func (j *journey) ended(err error) bool {
	var dial reverseproxy.DialError
	return errors.As(err, &dial) && j.begun.Load() && !j.reached.Load()
}

// givingBack has the request's one-time signature released if the next handler
// reaches no upstream: the client then sends the same request again, and that is no
// replay. It is released before the client is answered.
func (h *Handler) givingBack(s *state, next caddyhttp.Handler) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		way := new(journey)
		err := next.ServeHTTP(w, r.WithContext(httptrace.WithClientTrace(r.Context(), way.trace())))
		if err != nil && way.ended(err) && h.place != nil && !h.place.Caught && !sites.ErrorRoutesProxy(r) {
			h.giveBack(r, s.spent)
		}
		return err
	})
}

func (h *Handler) giveBack(r *http.Request, spent *holding) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), ledgerTimeout)
	defer cancel()
	if err := h.ledger.Release(ctx, spent.key, spent.holder, spent.until); err != nil {
		h.log.zap.Debug("no upstream was reached, but the one-time signature could not be released and stays used", zap.Error(err))
	}
}
