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

// snippets answers with code that signs for a widget and sends what was signed, for one of
// the sites that verify its requests. Without any, it is for a dialect.
func (c *call) snippets() error {
	c.id = cmp.Or(c.query.Get("widget"), "your-widget")
	if !widgets.ValidID(c.id) {
		return badID()
	}
	answer := struct {
		*dashboard.Snippets
		Sites []string `json:"sites"` // where the widget's requests are verified
		Site  int      `json:"site"`  // which of these the code is for, from 1; 0 for none
	}{Sites: []string{}}
	var serving []Site
	if c.query.Has("widget") && !c.query.Has("dialect") {
		view, err := c.known()
		if err != nil {
			return err
		}
		serving = c.Sites(view)
	}
	if len(serving) == 0 {
		d, err := verifier.LookupDialect(cmp.Or(c.query.Get("dialect"), verifier.DefaultDialect))
		if err != nil {
			return adminError(http.StatusBadRequest, "%w", err)
		}
		answer.Snippets = dashboard.For(&Site{Dialect: d}, c.id)
		return c.answer(http.StatusOK, answer)
	}
	var err error
	if answer.Site, err = c.number("site", 1, len(serving)); err != nil {
		return err
	}
	for _, site := range serving {
		answer.Sites = append(answer.Sites, site.Where)
	}
	answer.Snippets = dashboard.For(&serving[answer.Site-1], c.id)
	return c.answer(http.StatusOK, answer)
}
