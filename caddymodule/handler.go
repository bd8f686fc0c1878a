package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// ServeHTTP implements [caddyhttp.MiddlewareHandler]. What keeps a client from talking
// past the gateway comes first, whatever the mode and matcher.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	s := ensureState(r)
	if h.strip(r, s); hop.IsTunnel(r) {
		return h.refuseTunnel(w, r, s)
	}
	for _, o := range h.answering {
		keys := o.answersKeys(r)
		if !keys && !o.identifies(r) {
			continue
		}
		if s.confirming != nil {
			// An earlier handler waits for an upstream, which never sees this request.
			s.confirming.resolve(http.StatusInternalServerError)
		}
		if keys {
			return s.endBody(o.answerKeys(w, r, s))
		}
		return s.endBody(o.identify(w, r, s))
	}
	if !h.takes(s) {
		return forward(w, r, s, next)
	}
	if refused, err := h.decide(w, r, s); refused || err != nil {
		return s.endBody(err)
	}
	if s.spent != nil {
		next = h.givingBack(s, next)
	}
	err := forward(w, r, s, next)
	if err != nil && s.streamed != nil && s.streamed.Stopped() {
		return h.refuseStopped(w, r, s)
	}
	return s.endBody(err)
}

// decide checks the request's claim. It either refuses the request or leaves it ready to
// be forwarded.
func (h *Handler) decide(w http.ResponseWriter, r *http.Request, s *state) (refused bool, err error) {
	x := newExchange(h, w, r, s)
	defer x.release()

	x.read() // the widget, with it the mode, and the claim
	preflight, off := x.isPreflight(), x.mode == widgets.ModeOff
	if !preflight && !off {
		x.evaluate()
	}
	x.withoutSession()
	switch {
	case preflight:
		x.passPreflight()
		return false, nil
	case off:
		x.recordOutcome()
		h.publish(r, s)
		x.returnBody()
		return false, nil
	}
	x.recordOutcome()
	h.log.leftOut(x)
	switch {
	case x.refused():
		return true, h.refuse(w, x)
	case x.claim != nil:
		h.log.anonymous(x, "identity claim not verified, forwarded as anonymous")
		x.withoutClaim()
	}
	x.withoutUnjudged()
	h.publish(r, s)
	x.passBody()
	return false, nil
}

// takes reports whether this handler decides the request: it is not a guard, and no
// earlier handler has decided.
func (h *Handler) takes(s *state) bool {
	if h.Guard {
		return false
	}
	if s.decider != nil {
		if s.decider != h && s.mode != widgets.ModeUnset && h.Mode > s.mode {
			h.log.overruled(s)
		}
		return false
	}
	s.decider = h
	return true
}

// widgetless reports whether the handler has neither a widget nor a way to find one,
// which only mode off allows.
func (h *Handler) widgetless() bool {
	return h.single == nil && h.literal == nil && h.named == nil && !h.widgetInClaim
}

// Interface guards
var (
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
)
