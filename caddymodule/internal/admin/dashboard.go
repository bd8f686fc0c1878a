package admin

import (
	"cmp"
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// servePage answers with a file of the dashboard. The page loads without a
// configuration, too, and says that there is none.
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
	widget := cmp.Or(query.Get("widget"), "your-widget")
	if !widgets.ValidID(widget) {
		return badID()
	}
	found, err := dashboard.For(cmp.Or(query.Get("dialect"), verifier.DefaultDialect), widget)
	if err != nil {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	return c.answer(http.StatusOK, found)
}
