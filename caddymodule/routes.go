package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
)

// checkRoutes warns of sites that load and do not protect: some of what proxies
// has no handler in front of it, or nobody can tell which of two handlers decides.
func (a *App) checkRoutes() error {
	loaded, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil // there are no sites
	}
	for name, server := range loaded.(*caddyhttp.App).Servers {
		for _, s := range sitesOf(server) {
			if s.own {
				return errOwnOutcome
			}
			if s.handlers > 0 && len(s.unguarded) > 0 {
				a.log.Warn("this site has chat_identity only in front of some of what it proxies: on the other requests a client can send "+
					"X-Verified-User itself, or open a tunnel to the upstream. Put chat_identity at the level of the site, or 'chat_identity off' into the other blocks",
					zap.String("server", name), zap.String("site", s.hosts), zap.Strings("without", s.unguarded))
			}
			for _, pair := range s.overlaps {
				a.log.Warn("two chat_identity directives can match the same request, and neither is the more specific: the first decides. "+
					"Narrow one of the matchers if that is not meant",
					zap.String("server", name), zap.String("site", s.hosts), zap.String("first", pair[0]), zap.String("second", pair[1]))
			}
		}
	}
	return nil
}

// site is what is known of a site: the routes of a server that have the same hosts.
type site struct {
	hosts     string
	named     map[string]*caddyhttp.Route
	invoked   []string // named routes on the way
	handlers  int      // chat_identity, guards included
	unguarded []string // the ways to what proxies without one
	overlaps  [][2]string
	own       bool // a handler is matched by the outcome that it would find
}

// sitesOf goes through the routes of a server. Those of one host that nothing
// follows are a site, and so is the rest.
func sitesOf(server *caddyhttp.Server) []*site {
	var sites []*site
	find := func(route *caddyhttp.Route) *site {
		hosts := "any host"
		if matched := hostsOf(route.MatcherSets); len(matched) > 0 && route.Terminal { // as the Caddyfile's sites are
			hosts = strings.Join(matched, ", ")
		}
		i := slices.IndexFunc(sites, func(s *site) bool { return s.hosts == hosts })
		if i < 0 {
			i, sites = len(sites), append(sites, &site{hosts: hosts, named: server.NamedRoutes})
		}
		return sites[i]
	}
	perSite := func(routes caddyhttp.RouteList, way string) {
		grouped := make(map[*site]caddyhttp.RouteList)
		for i := range routes {
			s := find(&routes[i])
			grouped[s] = append(grouped[s], routes[i])
		}
		for s, routes := range grouped {
			s.list(routes, way, false)
		}
	}
	perSite(server.Routes, "")
	if server.Errors != nil {
		perSite(server.Errors.Routes, "handle_errors")
	}
	return sites
}

// list goes through routes in their order. It reports whether every request that
// has passed them has met a handler, as all have before if guarded is set.
func (s *site) list(routes caddyhttp.RouteList, way string, guarded bool) bool {
	var deciding []*caddyhttp.Route
	for i := range routes {
		route := &routes[i]
		here := way
		if conditions := s.describe(route.MatcherSets); conditions != "" {
			here = strings.TrimPrefix(way+" > "+conditions, " > ")
		}
		passed := s.handle(route.Handlers, here, guarded)
		if len(route.MatcherSets) == 0 {
			guarded = passed
		}
		for _, handler := range route.Handlers {
			if h, ok := handler.(*Handler); !ok || h.Guard {
				continue
			}
			s.own = s.own || asksOutcome(route.MatcherSets)
			for _, before := range deciding {
				if unclear(before.MatcherSets, route.MatcherSets) {
					s.overlaps = append(s.overlaps, [2]string{cmp.Or(s.describe(before.MatcherSets), "all requests"), cmp.Or(s.describe(route.MatcherSets), "all requests")})
				}
			}
			deciding = append(deciding, route)
		}
	}
	return guarded
}

// handle goes through the handlers of one route.
func (s *site) handle(handlers []caddyhttp.MiddlewareHandler, way string, guarded bool) bool {
	for _, handler := range handlers {
		switch h := handler.(type) {
		case *Handler:
			s.handlers++
			guarded = true
		case *caddyhttp.Subroute:
			if h.Errors != nil {
				// An error may have been raised before a handler was met.
				s.list(h.Errors.Routes, strings.TrimPrefix(way+" > handle_errors", " > "), false)
			}
			guarded = s.list(h.Routes, way, guarded)
		case *caddyhttp.Invoke:
			if route := s.named[h.Name]; route != nil && !slices.Contains(s.invoked, h.Name) {
				s.invoked = append(s.invoked, h.Name)
				guarded = s.list(caddyhttp.RouteList{*route}, way, guarded)
				s.invoked = s.invoked[:len(s.invoked)-1]
			}
		case *reverseproxy.Handler:
			if !guarded && !asksOnly(h) {
				s.unguarded = append(s.unguarded, cmp.Or(way, "the rest of the site"))
			}
			guarded = s.responses(h.HandleResponse, way, guarded)
		case *intercept.Intercept:
			guarded = s.responses(h.HandleResponse, way, guarded)
		}
	}
	return guarded
}

func (s *site) responses(handlers []caddyhttp.ResponseHandler, way string, guarded bool) bool {
	for _, h := range handlers {
		s.list(h.Routes, way, guarded)
	}
	return guarded
}

// asksOnly reports whether a proxy asks a server about the request, and has what
// follows answer it, as forward_auth does.
func asksOnly(h *reverseproxy.Handler) bool {
	return len(h.HandleResponse) > 0 && h.Rewrite != nil && h.Rewrite.Method == http.MethodGet
}

// unclear reports whether two routes in that order can match one request without
// the first being the more specific.
func unclear(first, second caddyhttp.MatcherSets) bool {
	switch {
	case len(second) == 0:
		return len(first) == 0
	case len(first) == 0:
		return true
	case len(first) == 1 && len(second) == 1:
		// By these alone Caddy sorts.
		a, b := listed[caddyhttp.MatchPath](first[0]), listed[caddyhttp.MatchPath](second[0])
		if len(a) == 1 && len(b) == 1 && a[0] != b[0] && contains(b[0], a[0]) {
			return false
		}
	}
	for _, a := range first {
		for _, b := range second {
			if !disjoint(a, b) {
				return true
			}
		}
	}
	return false
}

// disjoint reports whether it is certain that no request matches both.
func disjoint(a, b caddyhttp.MatcherSet) bool {
	return allApart(listed[caddyhttp.MatchPath](a), listed[caddyhttp.MatchPath](b), meet) ||
		allApart(listed[caddyhttp.MatchMethod](a), listed[caddyhttp.MatchMethod](b), func(p, q string) bool { return p == q })
}

// allApart reports whether both lists name something, and none of the one meets any
// of the other.
func allApart(a, b []string, meet func(p, q string) bool) bool {
	for _, p := range a {
		if slices.ContainsFunc(b, func(q string) bool { return meet(p, q) }) {
			return false
		}
	}
	return len(a) > 0 && len(b) > 0
}

// lead returns what every path begins with that the pattern matches, and whether
// that is the whole path.
func lead(pattern string) (string, bool) {
	end := strings.IndexAny(pattern, "*%")
	if end < 0 {
		return pattern, true
	}
	return pattern[:end], false
}

// contains reports whether it is certain that p matches every path that q does.
func contains(p, q string) bool {
	prefix, _ := lead(p)
	other, _ := lead(q)
	return p == prefix+"*" && strings.HasPrefix(other, prefix)
}

// meet reports whether two patterns may match one path.
func meet(p, q string) bool {
	a, aWhole := lead(p)
	b, bWhole := lead(q)
	return a == b || !aWhole && strings.HasPrefix(b, a) || !bWhole && strings.HasPrefix(a, b)
}

// listed returns what a matcher of that type lists, nothing where there is none.
func listed[M ~[]string](set caddyhttp.MatcherSet) []string {
	for _, m := range set {
		switch list := m.(type) {
		case M:
			return list
		case *M:
			return *list
		}
	}
	return nil
}

func hostsOf(sets caddyhttp.MatcherSets) (hosts []string) {
	for _, set := range sets {
		hosts = append(hosts, listed[caddyhttp.MatchHost](set)...)
	}
	return hosts
}

// describe names matchers for an operator, but for the site's hosts; "" where
// there are none.
func (s *site) describe(sets caddyhttp.MatcherSets) string {
	var either []string
	for _, set := range sets {
		var all []string
		for _, m := range set {
			text := "a matcher"
			if module, ok := m.(caddy.Module); ok {
				text = strings.TrimPrefix(string(module.CaddyModule().ID), "http.matchers.")
			}
			one := caddyhttp.MatcherSet{m}
			if strings.Join(listed[caddyhttp.MatchHost](one), ", ") == s.hosts {
				continue
			}
			if list := slices.Concat(listed[caddyhttp.MatchPath](one), listed[caddyhttp.MatchMethod](one), listed[caddyhttp.MatchHost](one)); len(list) > 0 {
				text = fmt.Sprintf("%s %s", text, strings.Join(list, " "))
			}
			all = append(all, text)
		}
		if len(all) > 0 {
			either = append(either, strings.Join(all, ", "))
		}
	}
	return strings.Join(either, " or ")
}
