package caddymodule

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// readiness answers whether a widget can do with required mode.
func (c *adminCall) readiness() error {
	if _, err := c.query(); err != nil {
		return err
	}
	view, err := c.view(c.r.Context(), c.id)
	if view == nil && err == nil {
		return c.unknown()
	}
	// Where the store cannot say whether there is such a widget, what was counted
	// still says something.
	r := observed.Readiness(c.id, err == nil)
	switch {
	case view != nil && view.Source == "handler":
		r.Mode = c.owners[c.id].laxest.String() // requests have one of its handlers' modes, and no other
	case view != nil:
		var own, seen Mode
		if own.UnmarshalText([]byte(view.Mode)) == nil && seen.UnmarshalText([]byte(r.Mode)) == nil {
			r.Mode = max(own, seen).String() // it is a floor, which no request may have met yet
		}
	}
	for i := range r.Refusals {
		if refusal := &r.Refusals[i]; len(refusal.Examples) == 0 {
			refusal.Always = answers[refusal.Reason].always
		}
	}
	return c.answer(http.StatusOK, adminapi.Readiness{Widget: c.id, Readiness: r, Verdict: judge(r)})
}

// judge says whether a widget can be switched to required mode.
func judge(r *traffic.Readiness) adminapi.Verdict {
	unsigned := uint64(0)
	for _, refusal := range r.Refusals {
		if refusal.Reason == verifier.Missing {
			unsigned = refusal.Count
		}
	}
	switch {
	case r.Mode == modeRequired.String():
		return adminapi.Required
	case r.Requests == r.Disabled:
		return adminapi.Unknown
	case r.Refused == 0:
		return adminapi.Ready
	case r.Refused == unsigned:
		return adminapi.Unsigned
	}
	return adminapi.NotReady
}
