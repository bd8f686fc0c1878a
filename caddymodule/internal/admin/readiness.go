package admin

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// readiness answers whether a widget can be switched to required mode.
func (c *call) readiness() error {
	if _, err := c.query(); err != nil {
		return err
	}
	view, err := c.view(c.r.Context(), c.id)
	if view == nil && err == nil {
		return c.unknown()
	}
	// If the store cannot say whether the widget exists, its counts are still of use.
	r := c.Traffic.Readiness(c.id, err == nil)
	if view != nil {
		r.Mode = view.EffectiveMode
	}
	for i := range r.Refusals {
		if refusal := &r.Refusals[i]; len(refusal.Examples) == 0 {
			refusal.Always = c.AlwaysRefused(refusal.Reason)
		}
	}
	return c.answer(http.StatusOK, adminapi.Readiness{Widget: c.id, Readiness: r, Verdict: judge(r), Text: "ready: " + string(judge(r)), Evidence: adminapi.Evidence{Verified: 20, Minutes: 60}})
}

// judge says whether a widget can be switched to required mode.
func judge(r *traffic.Readiness) adminapi.Verdict {
	unsigned := uint64(0)
	for _, refusal := range r.Refusals {
		if refusal.Reason == judgment.Missing {
			unsigned = refusal.Count
		}
	}
	switch {
	case r.Mode == "required":
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
