package sites

import (
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Address is what a client calls to reach a handler.
type Address struct {
	Origin string   // such as https://chat.example.com, "" if any host will do
	Paths  []string // of the innermost path matcher around it, with their *; none for any path
}

// AddressOf returns the address of the handler that is being provisioned.
func AddressOf(ctx caddy.Context) (a Address) {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return a
	}
	routes := []caddyhttp.RouteList{server.Routes}
	for _, module := range ctx.Modules() {
		if parent, ok := module.(*caddyhttp.Subroute); ok {
			routes = append(routes, parent.Routes)
		}
	}
	host := ""
	for _, list := range routes {
		route := provisioning(list)
		if route == nil {
			continue
		}
		for _, set := range route.MatcherSets {
			if hosts := listed[caddyhttp.MatchHost](set); len(hosts) > 0 {
				host = hosts[0]
			}
			if paths := listed[caddyhttp.MatchPath](set); len(paths) > 0 {
				a.Paths = paths
			}
		}
	}
	if host != "" {
		a.Origin = origin(server, host)
	}
	return a
}

// origin returns the origin of a server's host. Automatic HTTPS has chosen by now which
// servers have TLS.
func origin(server *caddyhttp.Server, host string) string {
	scheme, usual := "https", "443"
	if len(server.TLSConnPolicies) == 0 {
		scheme, usual = "http", "80"
	}
	host = strings.ReplaceAll(host, "*", "www")
	if len(server.Listen) == 0 {
		return scheme + "://" + host
	}
	address, err := caddy.ParseNetworkAddress(server.Listen[0])
	if port := address.PortRangeSize(); err == nil && port > 0 && address.JoinHostPort(0) != net.JoinHostPort(address.Host, usual) {
		_, number, _ := net.SplitHostPort(address.JoinHostPort(0))
		return scheme + "://" + net.JoinHostPort(host, number)
	}
	return scheme + "://" + host
}

// provisioning returns the route that is being provisioned: see routeWords.
func provisioning(routes caddyhttp.RouteList) *caddyhttp.Route {
	i := slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return r.HandlersRaw != nil && r.Handlers == nil })
	if i < 0 {
		return nil
	}
	return &routes[i]
}
