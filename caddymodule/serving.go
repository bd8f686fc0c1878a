package caddymodule

import "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"

// servingSites returns where requests of a widget are verified, and how they are read
// there, for code that sends them.
func (a *App) servingSites(id, dialect string) (all []admin.Site) {
	w := &widget{id: id, dialect: dialect}
	for _, d := range a.deciders {
		if _, accepts := d.serves(w); !accepts {
			continue
		}
		p := d.plan
		if dialect != "" && dialect != d.Dialect {
			p = d.plans[dialect]
		}
		site := admin.Site{Where: d.site, Origin: d.address.Origin, Paths: d.address.Paths, Identify: d.Identify, Dialect: p.policy}
		if d.named != nil {
			site.Widget, site.WidgetText = d.named.Whole, d.named.String()
		}
		all = append(all, site)
	}
	return all
}
