package sites

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Address is what a client calls to reach a handler.
type Address struct {
	Origin string   // such as https://chat.example.com, "" if any host will do
	Paths  []string // of the innermost path matcher around it, with their *; none for any path
}

// Where returns the site of the handler that is being provisioned with its paths within it,
// as messages name it, and its address. A command has no sites.
func Where(ctx caddy.Context) (name string, a Address) {
	server, routes := around(ctx)
	var hosts, paths []string
	for _, route := range routes {
		for _, set := range route.MatcherSets {
			if these := listed[caddyhttp.MatchHost](set); len(these) > 0 {
				hosts, a.Origin = append(hosts, these...), origin(server, these[0])
			}
			if these := listed[caddyhttp.MatchPath](set); len(these) > 0 {
				paths, a.Paths = append(paths, these...), these
			}
		}
	}
	name = strings.TrimSpace(siteName(hosts, server) + " " + strings.Join(paths, ", "))
	return name, a
}

// around returns the server and the routes of the handler that is being provisioned,
// outermost first.
func around(ctx caddy.Context) (server *caddyhttp.Server, routes []*caddyhttp.Route) {
	add := func(list caddyhttp.RouteList) {
		// Caddy provisions the matchers of all routes first, and then routes in order: this is
		// the first whose handlers are still JSON.
		i := slices.IndexFunc(list, func(r caddyhttp.Route) bool { return r.HandlersRaw != nil && r.Handlers == nil })
		if i >= 0 {
			routes = append(routes, &list[i])
		}
	}
	if server, _ = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); server != nil {
		add(server.Routes)
	}
	for _, module := range ctx.Modules() {
		if parent, ok := module.(*caddyhttp.Subroute); ok {
			add(parent.Routes)
		}
	}
	return server, routes
}

// origin returns the origin of a server's host. Automatic HTTPS has chosen by now which
// servers have TLS.
func origin(server *caddyhttp.Server, host string) string {
	scheme, usual := "https", "443"
	if len(server.TLSConnPolicies) == 0 {
		scheme, usual = "http", "80"
	}
	host = strings.ReplaceAll(host, "*", "www")
	if len(server.Listen) > 0 {
		address, err := caddy.ParseNetworkAddress(server.Listen[0])
		if port := strconv.Itoa(int(address.StartPort)); err == nil && port != "0" && port != usual {
			host = net.JoinHostPort(host, port)
		}
	}
	return scheme + "://" + host
}
