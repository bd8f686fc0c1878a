package admin

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// health answers a readiness probe from what is known, without asking anybody.
func (c *call) health() error {
	h, status := c.Health(), http.StatusOK
	if h.Status == adminapi.Down {
		status = http.StatusServiceUnavailable
	}
	return c.answer(status, h)
}
