// Package sites reads the routes of Caddy's http app: which chat_identity handlers a site
// has, what runs before them, and where a client could bypass them.
package sites

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// Handler is a chat_identity handler, as far as it matters here.
type Handler struct {
	Guard    bool         // it never decides
	Required bool         // it forwards nothing that is not verified
	Renamed  []hop.Header // the names that it renames our headers to
	Sessions []hop.Header // in which it looks for a session
	Line     string       // in a Caddyfile, if it is from one
	Raises   bool         // it refuses by errors
	CORS     bool         // scripts of some other origin may read its answers
	OwnPaths []OwnPath

	// Found.
	Caught   bool        // a subroute around it handles errors
	Adjacent *[]*Handler // those that follow one another in its list of routes, itself among them
	sets     caddyhttp.MatcherSets
}

// Site is the routes of a server with the same hosts. A way is an operator's description
// of how a request gets to a route.
type Site struct {
	Handlers []*Handler // guards included

	name, hosts string // as the Caddyfile has it; without listeners
	known       func(caddyhttp.MiddlewareHandler) *Handler
	named       map[string]*caddyhttp.Route

	// Findings. "Before" means before a handler has run.
	unguarded []string // ways to proxies before
	before    []string // those of them in the list of routes that has a handler, in front of it
	asked     []string // ways to subrequests before
	early     []early  // matchers before
	method    string   // the method that a handler behind ours sets
	fromPath  []string // placeholders that depend on the path
	own       bool     // a handler is matched by its own outcome
	changes   []headerChange
	// crossOrigin says that pages of other origins are expected, catches that error routes
	// handle what is raised.
	crossOrigin, catches bool
	overlaps             []pair // of which either may decide
	never                []pair // of which the later never decides
	owned                []ownPath
	sessionless          []*Handler // whose sessions are removed before
	othersGive           bool       // a handler that is not read may set headers
	reachability

	// The position while the routes are read.
	invoked   []string         // named routes around it
	catching  bool             // a subroute around it handles errors
	outer     []decider        // those that decide before the routes around it
	passed    []passage        // those before it
	answered  []answerer       // what comes before it
	removed   []removal        // the headers removed before it
	enclosing *caddyhttp.Route // the innermost one around it with a matcher
	began     int              // the length of unguarded when the list around it began
	adjacent  *[]*Handler      // those just before it; nil if there is none
}

// decider is a route and its handler that decides.
type decider struct {
	sets caddyhttp.MatcherSets
	line string
}

const (
	handlesErrors = "handle_errors"
	allRequests   = "all requests"
)

// Of reads the sites of an http app. Known returns our handlers, nil for all others.
func Of(app *caddyhttp.App, known func(caddyhttp.MiddlewareHandler) *Handler) (all []*Site) {
	for _, server := range app.Servers {
		all = append(all, sitesOf(server, known)...)
	}
	return all
}

// sitesOf reads the routes of a server. Terminal routes with the same hosts are a site, and
// so are all others together.
func sitesOf(server *caddyhttp.Server, known func(caddyhttp.MiddlewareHandler) *Handler) []*Site {
	var sites []*Site
	find := func(route *caddyhttp.Route) *Site {
		hosts := siteName(nil, server)
		var matched []string
		for _, set := range route.MatcherSets {
			matched = append(matched, listed[caddyhttp.MatchHost](set)...)
		}
		if len(matched) > 0 && route.Terminal { // as the Caddyfile adapter emits sites
			hosts = strings.Join(matched, ", ")
		} else {
			matched = nil
		}
		i := slices.IndexFunc(sites, func(s *Site) bool { return s.hosts == hosts })
		if i < 0 {
			i, sites = len(sites), append(sites, &Site{name: siteName(matched, server), hosts: hosts, known: known, named: server.NamedRoutes})
		}
		return sites[i]
	}
	perSite := func(routes caddyhttp.RouteList, way string) {
		grouped := make(map[*Site]caddyhttp.RouteList)
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
		perSite(server.Errors.Routes, handlesErrors)
		for i := range server.Errors.Routes {
			find(&server.Errors.Routes[i]).catches = true
		}
		everywhere := slices.ContainsFunc(sites, func(s *Site) bool { return s.catches && s.hosts == siteName(nil, server) })
		for _, s := range sites {
			s.catches = s.catches || everywhere
		}
	}
	return sites
}

// list reads routes in order. It reports whether every request that has passed them has
// passed a handler; guarded says that all have already.
func (s *Site) list(routes caddyhttp.RouteList, way string, guarded bool) bool {
	var deciding []decider
	groups := make(map[string]bool)
	others := make(map[string][]answerer) // the routes of a group before
	outer, enclosing, began, passed, answered, removed := s.outer, s.enclosing, s.began, s.passed, s.answered, s.removed
	s.began, s.adjacent = len(s.unguarded), nil
	rewritten, unmatched, around := s.last, s.unmatched, s.around
	defer func() {
		s.endAdjacent(around)
		s.outer, s.enclosing, s.began, s.passed = outer, enclosing, min(began, len(s.unguarded)), passed
		s.last, s.unmatched, s.around, s.answered, s.removed = rewritten, unmatched, around, answered, removed
	}()
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
		for _, set := range route.MatcherSets {
			s.crossOrigin = s.crossOrigin || slices.Contains(listed[caddyhttp.MatchMethod](set), http.MethodOptions)
		}
		if s.enclosing = enclosing; len(route.MatcherSets) > 0 {
			s.enclosing = route
		}
		if len(route.Handlers) > 0 && s.known(route.Handlers[0]) == nil {
			s.endAdjacent(around)
		}
		before, at := s.answered, surrounding{route.MatcherSets, s.rewrites}
		s.answered = slices.Concat(before, others[route.Group])
		s.unmatched = cmp.Or(unmatched, s.unmatchable(around, route.MatcherSets))
		s.around = append(slices.Clip(around), at)
		passed := guarded
		for _, handler := range route.Handlers {
			s.outer = slices.Concat(outer, deciding)
			passed = s.handle(handler, here, passed)
			s.answers(handler, route.MatcherSets)
			h := s.known(handler)
			if h != nil {
				s.passed = append(slices.Clip(s.passed), passage{at, s.rewrites, h, h.Adjacent})
			}
			if h == nil || h.Guard {
				continue
			}
			s.decides(h, route.MatcherSets)
			s.withoutSessions(h, route.MatcherSets)
			s.own = s.own || anyMatcher(route.MatcherSets, readsOutcome)
			d := decider{route.MatcherSets, h.Line}
			if s.unmatched != "" {
				s.dead = append(s.dead, dead{cmp.Or(here, allRequests), h.Line, s.unmatched})
			} else {
				s.compare(d, deciding, outer, enclosing, here)
				s.deciders = append(s.deciders, d)
			}
			deciding = append(deciding, d)
		}
		if n := len(before); route.Group != "" {
			s.answered = slices.Concat(before, s.answered[n+len(others[route.Group]):])
			why := "another block, for " + cmp.Or(s.describe(route.MatcherSets), allRequests) + ", takes those requests first"
			others[route.Group] = append(others[route.Group], answerer{surrounding: at, why: why, all: true})
		}
		// Only one route of a group runs, so all of them have to guard.
		inGroup, known := groups[route.Group]
		groups[route.Group] = passed && (inGroup || !known)
		if len(route.MatcherSets) == 0 && (route.Group == "" || groups[route.Group]) {
			guarded = passed
		}
	}
	return guarded
}

// compare compares a route that decides with earlier ones that do, in its own list and in
// outer ones.
func (s *Site) compare(d decider, before, outer []decider, enclosing *caddyhttp.Route, way string) {
	with := func(earlier decider) pair {
		name := "an earlier one"
		if earlier.line != "" {
			name = "the one at " + earlier.line
		}
		return pair{name + " (" + cmp.Or(s.describe(earlier.sets), allRequests) + ")", cmp.Or(way, allRequests), d.line}
	}
	within := d.sets
	if enclosing != nil { // it may have rewritten the path
		within = enclosing.MatcherSets
	}
	for i, earlier := range slices.Concat(outer, before) {
		if i == len(outer) {
			within = d.sets
		}
		if covers(earlier.sets, within) {
			s.never = append(s.never, with(earlier))
			return
		}
	}
	for _, earlier := range before {
		if unclear(earlier.sets, d.sets) {
			s.overlaps = append(s.overlaps, with(earlier))
		}
	}
}

// handle reads a handler of a route.
func (s *Site) handle(handler caddyhttp.MiddlewareHandler, way string, guarded bool) bool {
	if ours := s.known(handler); ours != nil {
		s.Handlers = append(s.Handlers, ours)
		if s.adjacent == nil {
			s.adjacent = new([]*Handler)
		}
		*s.adjacent = append(*s.adjacent, ours)
		ours.Adjacent, ours.sets = s.adjacent, s.here().sets
		s.before = append(s.before, s.unguarded[s.began:]...)
		s.unguarded = s.unguarded[:s.began]
		ours.Caught = ours.Caught || s.catching
		return true
	}
	s.endAdjacent(s.around[:len(s.around)-1])
	switch h := handler.(type) {
	case *rewrite.Rewrite:
		s.changesMethod(h, guarded)
		s.changesPath(h)
	case *maphandler.Handler:
		if s.ReadsPath(h.Source) {
			s.fromPath = append(s.fromPath, h.Destinations...)
		}
	case *caddyhttp.VarsMiddleware:
		for name, value := range *h {
			if text, ok := value.(string); ok && s.ReadsPath(text) {
				s.fromPath = append(s.fromPath, "http.vars."+name)
			}
		}
	case *headers.Handler:
		s.changesHeaders(h, "request_header %s", cmp.Or(way, allRequests), guarded)
		s.removes(h.Request)
	case *caddyhttp.Subroute:
		if h.Errors != nil {
			// The error may have been raised before a handler ran, or the path was rewritten.
			s.rewrites++
			s.list(h.Errors.Routes, strings.TrimPrefix(way+" > "+handlesErrors, " > "), false)
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
		s.changesHeaders(h.Headers, "header_up %s in reverse_proxy", cmp.Or(way, allRequests), guarded)
		switch here := cmp.Or(way, "the rest of the site"); {
		case guarded:
		case asksOnly(h):
			s.asked = append(s.asked, here)
		default:
			s.unguarded = append(s.unguarded, here)
		}
		s.responses(h.HandleResponse, way, guarded)
		s.proxied()
	case *intercept.Intercept:
		s.responses(h.HandleResponse, way, guarded)
	default:
		s.passesBy(handler)
	}
	return guarded
}

// Answers reports whether the handler answers the paths of one that is adjacent: not if that
// is for other hosts.
func (h *Handler) Answers(beside *Handler) bool {
	meets := func(a caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(beside.sets, func(b caddyhttp.MatcherSet) bool { return !hostsApart(a, b) })
	}
	return len(beside.OwnPaths) > 0 && (len(h.sets) == 0 || len(beside.sets) == 0 || slices.ContainsFunc(h.sets, meets))
}

func (s *Site) responses(handlers []caddyhttp.ResponseHandler, way string, guarded bool) {
	for _, h := range handlers {
		s.list(h.Routes, way, guarded)
	}
}

// Renamed returns the names that the site's handlers rename our headers to.
func (s *Site) Renamed() []hop.Header {
	return s.headers(func(h *Handler) []hop.Header { return h.Renamed })
}

// Sessions returns the headers in which the site's handlers look for a session.
func (s *Site) Sessions() []hop.Header {
	return s.headers(func(h *Handler) []hop.Header { return h.Sessions })
}

func (s *Site) headers(of func(*Handler) []hop.Header) (names []hop.Header) {
	for _, h := range s.Handlers {
		names = append(names, of(h)...)
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// changesMethod notes that the method is set, behind a handler of ours, to CONNECT or to
// what the client chooses.
func (s *Site) changesMethod(r *rewrite.Rewrite, guarded bool) {
	if guarded && r != nil && (strings.Contains(r.Method, "{") || strings.EqualFold(r.Method, http.MethodConnect)) {
		s.method = r.Method
	}
}

// asksOnly reports whether a proxy only asks a server about the request, as forward_auth
// does, and later handlers answer it.
func asksOnly(h *reverseproxy.Handler) bool {
	return len(h.HandleResponse) > 0 && h.Rewrite != nil && h.Rewrite.Method == http.MethodGet
}
