package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// checkRoutes rejects sites that a client could bypass and warns about sites that
// are only partly protected.
func (a *App) checkRoutes() error {
	for _, s := range a.sites() {
		log := a.log.With(zap.String("server", s.server), zap.String("site", s.hosts))
		switch {
		case len(s.handlers) == 0:
			continue
		case s.own:
			return errOwnOutcome
		case s.method != "":
			return fmt.Errorf("%s: '%s' sets the method after chat_identity has run, so a client could turn its request into CONNECT, a tunnel past this gateway: "+
				"run the 'method' directive before chat_identity, or use a fixed method", s.hosts, s.method)
		}
		if len(s.unguarded) > 0 {
			log.Warn("chat_identity runs before only some of this site's proxies: on all other requests a client can send its own "+
				"X-Verified-User or open a tunnel to the upstream. Move chat_identity to site level, or add 'chat_identity off' to the other blocks",
				zap.Strings("unprotected", s.unguarded))
		}
		if len(s.asked) > 0 {
			log.Warn("forward_auth, or another subrequest, runs before chat_identity: its server receives the client's own X-Verified-User, "+
				"and a client can open a WebSocket to it. Put both in a route block, chat_identity first", zap.Strings("subrequests", s.asked))
		}
		if reads := s.readingOurs(); len(reads) > 0 {
			log.Warn("a matcher reads one of chat_identity's headers before the client's has been removed, so the client controls what matches. "+
				"Use the matcher after chat_identity", zap.Strings("matchers", reads))
		}
		for _, pair := range s.never {
			log.Warn("this chat_identity directive never decides: an earlier one decides all of its requests, as one at site level does before every "+
				"handle and route block. Remove it, write it first, or narrow the matcher of the earlier one",
				zap.String("directive", pair[1]), zap.String("earlier", pair[0]))
		}
		for _, pair := range s.overlaps {
			log.Warn("two chat_identity directives can match the same request and neither is more specific, so the first one decides. "+
				"Narrow one matcher if that is not intended", zap.String("first", pair[0]), zap.String("second", pair[1]))
		}
	}
	return nil
}

// site is what is known of a site: the routes of a server that have the same hosts.
type site struct {
	server, hosts string
	named         map[string]*caddyhttp.Route
	invoked       []string // named routes on the way

	handlers  []*Handler   // guards included
	unguarded []string     // the ways to what proxies without one
	asked     []string     // the ways to what asks a server before one
	early     []early      // matchers before one
	method    string       // what a method is changed to behind one
	renamed   []hop.Header // what ours are renamed to, folded
	catching  bool         // a route on the way handles errors
	fromPath  []string     // placeholders that are filled from the path
	own       bool         // a handler is matched by the outcome that it would find
	overlaps  [][2]string
	never     [][2]string // directives that an earlier one leaves nothing to decide

	outer     []*caddyhttp.Route // that decide before the routes on the way
	enclosing *caddyhttp.Route   // the nearest one on the way with a matcher
}

// readSites goes through the sites of the configuration. What ours are renamed to
// by one handler of a site is then removed by every other, too, and a text knows
// whether what it is made of comes from the path.
func (a *App) readSites() []*site {
	loaded, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	var all []*site
	for name, server := range loaded.(*caddyhttp.App).Servers {
		all = append(all, sitesOf(name, server)...)
	}
	for _, s := range all {
		for _, h := range s.handlers {
			s.renamed = append(s.renamed, h.renamed...)
		}
		for _, h := range s.handlers {
			h.renamed = slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.renamed, s.renamed))))
			for _, text := range slices.Concat(h.texts, []*namedText{h.named}) {
				if text != nil {
					text.path = text.path || s.readsPath(text.text)
				}
			}
		}
	}
	return all
}

// sitesOf goes through the routes of a server. Those of one host that nothing
// follows are a site, and so is the rest.
func sitesOf(name string, server *caddyhttp.Server) []*site {
	var sites []*site
	find := func(route *caddyhttp.Route) *site {
		hosts := "any host"
		if matched := hostsOf(route.MatcherSets); len(matched) > 0 && route.Terminal { // as the Caddyfile's sites are
			hosts = strings.Join(matched, ", ")
		}
		i := slices.IndexFunc(sites, func(s *site) bool { return s.hosts == hosts })
		if i < 0 {
			i, sites = len(sites), append(sites, &site{server: name, hosts: hosts, named: server.NamedRoutes})
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
	groups := make(map[string]bool)
	outer, enclosing := s.outer, s.enclosing
	defer func() { s.outer, s.enclosing = outer, enclosing }()
	for i := range routes {
		route := &routes[i]
		here := way
		if conditions := s.describe(route.MatcherSets); conditions != "" {
			here = strings.TrimPrefix(way+" > "+conditions, " > ")
		}
		if !guarded && len(route.MatcherSets) > 0 {
			s.early = append(s.early, early{here, route.MatcherSets})
		}
		s.setFromPath(route.MatcherSets)
		s.outer = slices.Concat(outer, deciding)
		if s.enclosing = enclosing; len(route.MatcherSets) > 0 {
			s.enclosing = route
		}
		passed := s.handle(route.Handlers, here, guarded)
		// Of a group only one route runs, so all of its routes have to guard.
		inGroup, known := groups[route.Group]
		groups[route.Group] = passed && (inGroup || !known)
		if len(route.MatcherSets) == 0 && (route.Group == "" || groups[route.Group]) {
			guarded = passed
		}
		for _, handler := range route.Handlers {
			if h, ok := handler.(*Handler); !ok || h.Guard {
				continue
			}
			s.own = s.own || anyMatcher(route.MatcherSets, readsOutcome)
			s.compare(route, deciding, outer, enclosing, here)
			deciding = append(deciding, route)
		}
	}
	return guarded
}

// compare compares a route that decides with those that decide before it, in its
// own list and in outer ones.
func (s *site) compare(route *caddyhttp.Route, before, outer []*caddyhttp.Route, enclosing *caddyhttp.Route, way string) {
	pair := func(earlier *caddyhttp.Route) [2]string {
		return [2]string{cmp.Or(s.describe(earlier.MatcherSets), "all requests"), cmp.Or(way, "all requests")}
	}
	within := route.MatcherSets
	if enclosing != nil { // which may have rewritten the path
		within = enclosing.MatcherSets
	}
	for _, earlier := range outer {
		if covers(earlier.MatcherSets, within) {
			s.never = append(s.never, pair(earlier))
			return
		}
	}
	for _, earlier := range before {
		if covers(earlier.MatcherSets, route.MatcherSets) {
			s.never = append(s.never, pair(earlier))
			return
		}
	}
	for _, earlier := range before {
		if unclear(earlier.MatcherSets, route.MatcherSets) {
			s.overlaps = append(s.overlaps, pair(earlier))
		}
	}
}

// handle goes through the handlers of one route.
func (s *site) handle(handlers []caddyhttp.MiddlewareHandler, way string, guarded bool) bool {
	for _, handler := range handlers {
		switch h := handler.(type) {
		case *Handler:
			s.handlers = append(s.handlers, h)
			h.placed, h.caught = true, h.caught || s.catching
			guarded = true
		case *rewrite.Rewrite:
			s.changesMethod(h, guarded)
		case *maphandler.Handler:
			s.mapsFromPath(h)
		case *caddyhttp.VarsMiddleware:
			s.varsFromPath(*h)
		case *caddyhttp.Subroute:
			if h.Errors != nil {
				// An error may have been raised before a handler was met.
				s.list(h.Errors.Routes, strings.TrimPrefix(way+" > handle_errors", " > "), false)
			}
			outer := s.catching
			s.catching = outer || h.Errors != nil
			guarded = s.list(h.Routes, way, guarded)
			s.catching = outer
		case *caddyhttp.Invoke:
			if route := s.named[h.Name]; route != nil && !slices.Contains(s.invoked, h.Name) {
				s.invoked = append(s.invoked, h.Name)
				guarded = s.list(caddyhttp.RouteList{*route}, way, guarded)
				s.invoked = s.invoked[:len(s.invoked)-1]
			}
		case *reverseproxy.Handler:
			s.changesMethod(h.Rewrite, guarded)
			switch here := cmp.Or(way, "the rest of the site"); {
			case guarded:
			case asksOnly(h):
				s.asked = append(s.asked, here)
			default:
				s.unguarded = append(s.unguarded, here)
			}
			s.responses(h.HandleResponse, way, guarded)
		case *intercept.Intercept:
			s.responses(h.HandleResponse, way, guarded)
		}
	}
	return guarded
}

func (s *site) responses(handlers []caddyhttp.ResponseHandler, way string, guarded bool) {
	for _, h := range handlers {
		s.list(h.Routes, way, guarded)
	}
}

// changesMethod notes a method that is changed behind a handler to what a request
// chooses, or to CONNECT.
func (s *site) changesMethod(r *rewrite.Rewrite, guarded bool) {
	if guarded && r != nil && (strings.Contains(r.Method, "{") || strings.EqualFold(r.Method, http.MethodConnect)) {
		s.method = r.Method
	}
}

// early are matchers that are evaluated before a handler has run.
type early struct {
	way  string
	sets caddyhttp.MatcherSets
}

// readingOurs returns the early matchers that read a header of ours.
func (s *site) readingOurs() (ways []string) {
	for _, e := range s.early {
		if anyMatcher(e.sets, func(name, text string) bool { return readsHeader(name, text, s.renamed) != "" }) {
			ways = append(ways, e.way)
		}
	}
	return ways
}

// asksOnly reports whether a proxy asks a server about the request, and has what
// follows answer it, as forward_auth does.
func asksOnly(h *reverseproxy.Handler) bool {
	return len(h.HandleResponse) > 0 && h.Rewrite != nil && h.Rewrite.Method == http.MethodGet
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
			one := caddyhttp.MatcherSet{m}
			if strings.Join(listed[caddyhttp.MatchHost](one), ", ") == s.hosts {
				continue
			}
			name, text := written(m)
			if not, ok := m.(*caddyhttp.MatchNot); ok {
				text = s.describe(not.MatcherSets)
			}
			if list := slices.Concat(listed[caddyhttp.MatchPath](one), listed[caddyhttp.MatchMethod](one), listed[caddyhttp.MatchHost](one)); len(list) > 0 {
				text = strings.Join(list, " ")
			}
			all = append(all, strings.TrimSpace(name+" "+text))
		}
		if len(all) > 0 {
			either = append(either, strings.Join(all, ", "))
		}
	}
	return strings.Join(either, " or ")
}
