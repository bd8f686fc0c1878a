package caddymodule

import (
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

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
		site := admin.Site{Where: d.where, Origin: d.address.Origin, Paths: d.address.Paths, Identify: d.Identify, Dialect: p.policy}
		if d.named != nil {
			site.Widget, site.WidgetText = placeOfText(d.named.String()), d.named.String()
		}
		all = append(all, site)
	}
	return all
}

// placeOfText returns the place whose placeholder is the whole text; one without a name if
// there is none.
func placeOfText(text string) (p verifier.Place) {
	for prefix, location := range map[string]string{
		"{http.request.header.": intake.AtHeader, "{http.request.uri.query.": intake.AtQuery, "{http.request.cookie.": intake.AtCookie,
	} {
		if name, ok := strings.CutPrefix(text, prefix); ok && strings.IndexByte(name, '}') == len(name)-1 {
			return verifier.Place{Field: verifier.Widget, Location: location, Name: strings.TrimSuffix(name, "}")}
		}
	}
	return p
}
