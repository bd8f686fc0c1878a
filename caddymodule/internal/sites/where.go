package sites

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Where returns by which hosts, paths and listeners an operator finds the handler that
// is being provisioned: errors of provisioning have no line of the Caddyfile.
func Where(ctx caddy.Context) (words []string) {
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
	return words
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
