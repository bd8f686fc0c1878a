package caddymodule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// handlerWidget is a widget that handlers bring along, and how they treat it.
type handlerWidget struct {
	w       *widget
	site    string       // of the first handler that brought it
	laxest  widgets.Mode // of the handlers' modes
	mode    widgets.Mode // of the handlers, widgets.ModeUnset where they differ
	dialect string       // of the handlers, "" where they differ
}

// own registers the widget of a handler on that site. The pair of widget and
// user is who someone is, so one id, `default` as any other, must not stand for
// two secrets: either customer could sign for the other's users. It returns the
// widget as it was declared, if it was, since its mode and dialect hold everywhere.
func (a *App) own(w *widget, h *Handler, site string) (*widget, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	declared := a.inline[w.id]
	if declared != nil && declared.inline.digest != w.inline.digest {
		return nil, otherSecrets(w.id, site, "the global chat_identity block")
	}
	mode := h.modeFor(nil)
	switch known := a.owners[w.id]; {
	case known == nil:
		a.owners[w.id] = &handlerWidget{w, site, mode, mode, h.Dialect}
	case known.w.inline.digest != w.inline.digest:
		return nil, otherSecrets(w.id, site, known.site)
	default:
		known.addHandler(mode, h.Dialect)
	}
	return cmp.Or(declared, w), nil
}

// addHandler adds how one more handler treats the widget.
func (o *handlerWidget) addHandler(mode widgets.Mode, dialect string) {
	o.laxest = min(o.laxest, mode)
	if o.mode != mode {
		o.mode = widgets.ModeUnset
	}
	if o.dialect != dialect {
		o.dialect = ""
	}
}

func otherSecrets(id, site, other string) error {
	if id == defaultWidget {
		return fmt.Errorf("two handlers without a widget name have different secrets (their order counts), so either customer could sign for the other's users: "+
			"give each a name, as in 'widget shop' and 'widget support'. They are: %s; and %s", site, other)
	}
	return fmt.Errorf("widget %s has different secrets elsewhere in this configuration: give one of the two another id, "+
		"or declare it once in the global chat_identity block. They are: %s; and %s", id, site, other)
}

// handlerSite says by which hosts, paths and listeners an operator finds the
// handler that is being provisioned, and where its secrets come from. Errors of
// provisioning have no line of the Caddyfile.
func handlerSite(ctx caddy.Context, h *Handler) string {
	var words []string
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server != nil {
		words = routeWords(server.Routes)
	}
	for _, module := range ctx.Modules() {
		if parent, ok := module.(*caddyhttp.Subroute); ok {
			words = append(words, routeWords(parent.Routes)...)
		}
	}
	if server != nil {
		words = append(words, "on "+strings.Join(server.Listen, " "))
	}
	words = append(words, "with the secret")
	for _, written := range h.Secrets {
		if _, kind := placeholder(written); kind == "" {
			written = "(written in the configuration)"
		}
		words = append(words, written)
	}
	return strings.Join(words, " ")
}

// routeWords returns the hosts and paths of the route that is being provisioned:
// the first one whose handlers are still JSON. Caddy provisions routes in their
// order, and the matchers of all of them first.
func routeWords(routes caddyhttp.RouteList) (words []string) {
	i := slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return r.HandlersRaw != nil && r.Handlers == nil })
	if i < 0 {
		return nil
	}
	for _, set := range routes[i].MatcherSets {
		words = append(words, slices.Concat(listed[caddyhttp.MatchHost](set), listed[caddyhttp.MatchPath](set))...)
	}
	return words
}
