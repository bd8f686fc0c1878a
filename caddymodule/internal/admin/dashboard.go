package admin

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// servePage answers with a file of the dashboard. That needs no configuration: if
// there is none, the page says so.
func servePage(w http.ResponseWriter, r *http.Request, name string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return adminError(http.StatusMethodNotAllowed, "the method here is GET")
	}
	dashboard.Serve(w, r, name)
	return nil
}

// snippets answers with code that signs for a widget.
func (c *call) snippets() error {
	query, err := c.query("dialect", "widget")
	if err != nil {
		return err
	}
	dialect, widget := query.Get("dialect"), query.Get("widget")
	if dialect == "" {
		dialect = verifier.DefaultDialect
	}
	if widget == "" {
		widget = "your-widget"
	}
	if !widgets.ValidID(widget) {
		return badID()
	}
	found, err := dashboard.For(dialect, widget)
	if err != nil {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	return c.answer(http.StatusOK, found)
}
