package caddymodule

import (
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// servingSites returns where requests of a widget are verified, and how they are read
// there, for code that sends them.
func (a *App) servingSites(view *adminapi.Widget) (all []admin.Site) {
	kind, dialect := widgets.Secrets, view.Dialect
	switch {
	case view.JWKS != "":
		kind = widgets.KeySet
	case len(view.PublicKeys) > 0:
		kind = widgets.PublicKeys
	}
	w := &widget{id: view.ID, dialect: dialect, inline: &inlineKeys{kind: kind}}
	for _, d := range a.deciders {
		if _, accepts := d.serves(w); !accepts {
			continue
		}
		site := admin.Site{Where: d.site, Origin: d.address.Origin, Paths: d.address.Paths, Identify: d.Identify, Sessions: d.Session > 0, Dialect: d.planIn(dialect).policy}
		if d.named != nil {
			site.Widget, site.WidgetText = d.named.Whole, d.named.String()
		}
		all = append(all, site)
	}
	return all
}
