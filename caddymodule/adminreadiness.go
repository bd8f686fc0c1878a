package caddymodule

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// readinessView is what required mode would have refused of a widget's requests.
type readinessView struct {
	Widget string `json:"widget"`
	*traffic.Readiness
}

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
	return c.answer(http.StatusOK, readinessView{c.id, r})
}
