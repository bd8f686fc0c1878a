package admin

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
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
	e := evidence{Readiness: r}
	if view != nil {
		if r.Mode = view.EffectiveMode; r.Mode == "" {
			e.unused = view.ModeWhy
		}
	}
	verdict, text := e.judge()
	return c.answer(http.StatusOK, adminapi.Readiness{Widget: c.id, Readiness: r, Verdict: verdict, Text: text, Evidence: needed})
}
