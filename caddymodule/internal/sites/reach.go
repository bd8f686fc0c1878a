package sites

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// reachability is what decides whether requests get to a directive.
type reachability struct {
	dead     []dead
	deciders []decider               // to which requests may get
	proxies  []caddyhttp.MatcherSets // the innermost matchers around proxies
	others   bool                    // something else may answer

	around    []surrounding // the routes around, outermost first
	rewrites  int           // how often the path may have been changed so far
	last      *pathChange   // in the list of routes or around it
	unmatched string        // why no request gets to the route, "" if some may
}

// dead is a directive to which no request gets.
type dead struct{ way, line, why string }

// surrounding is a route's matchers, evaluated when so many rewrites had been read.
type surrounding struct {
	sets     caddyhttp.MatcherSets
	rewrites int
}

// here is the innermost route around the position, with the rewrites so far.
func (s *Site) here() surrounding { return surrounding{s.around[len(s.around)-1].sets, s.rewrites} }

// pathChange is a rewrite in such a route, and its own number.
type pathChange struct {
	by    *rewrite.Rewrite
	alone bool // no other one comes before it, which may keep it from running
	surrounding
}

// changesPath notes a rewrite of the path.
func (s *Site) changesPath(r *rewrite.Rewrite) {
	if r.URI != "" || r.StripPathPrefix != "" || r.StripPathSuffix != "" || len(r.URISubstring) > 0 || len(r.PathRegexp) > 0 {
		s.rewrites++
		s.last = &pathChange{by: r, alone: s.last == nil, surrounding: s.here()}
	}
}

// proxied notes a proxy.
func (s *Site) proxied() {
	var sets caddyhttp.MatcherSets
	if s.enclosing != nil {
		sets = s.enclosing.MatcherSets
	}
	s.proxies = append(s.proxies, sets)
}

// passesBy notes a handler that is not read. Only known ones leave the path as it is.
func (s *Site) passesBy(handler caddyhttp.MiddlewareHandler) {
	if !passesOn(handler) {
		s.rewrites++
		s.others = true
		_, login := handler.(*caddyauth.Authentication)
		s.othersGive = s.othersGive || !login
	}
	_, answers := handler.(*caddyhttp.StaticResponse)
	s.others = s.others || answers
}

const answeredBefore = "'respond', or another directive that answers, comes before it"

// answerer is a route whose handler leaves nothing, or not everything, to those behind it.
type answerer struct {
	surrounding
	why    string      // requests do not get behind it, as a message goes on
	all    bool        // nothing is left
	login  bool        // what is left has logged in
	beside *[]*Handler // whose paths it answers itself
}

// answers notes a handler of Caddy's that is one.
func (s *Site) answers(handler caddyhttp.MiddlewareHandler, sets caddyhttp.MatcherSets) {
	a := answerer{surrounding: surrounding{sets, s.rewrites}, why: answeredBefore, all: true}
	switch h := handler.(type) {
	case *caddyauth.Authentication:
		a.why, a.all, a.login = "is answered only after a login, since basic_auth comes before it", false, true
	case *caddyhttp.StaticError:
	case *caddyhttp.StaticResponse:
		if h.StatusCode == "103" {
			return // which goes on
		}
	default:
		return
	}
	s.answered = append(slices.Clip(s.answered), a)
	if a.all {
		s.unmatched = cmp.Or(s.unmatched, answeredBefore)
	}
}

// decides notes a handler of ours that is one.
func (s *Site) decides(h *Handler, sets caddyhttp.MatcherSets) {
	if h.Required {
		why := "is answered only to verified requests, since " + cmp.Or(h.Line, "another directive") + ", in mode required, comes before it"
		s.answered = append(slices.Clip(s.answered), answerer{surrounding: surrounding{sets, s.rewrites}, why: why, beside: h.Adjacent})
	}
}

// takes reports whether certainly all requests with these matchers that get here get to it.
func (a surrounding) takes(sets caddyhttp.MatcherSets, rewrites int) bool {
	return len(a.sets) == 0 || a.rewrites == rewrites && covers(a.sets, sets)
}

// unmatchable returns why certainly no request gets to a route with these matchers within
// those around, "" if one may.
func (s *Site) unmatchable(around []surrounding, sets caddyhttp.MatcherSets) string {
	if i := slices.IndexFunc(s.answered, func(a answerer) bool { return a.all && a.takes(sets, s.rewrites) }); i >= 0 {
		return s.answered[i].why
	}
	for _, outer := range around {
		apart := len(outer.sets) > 0 && len(sets) > 0
		for _, a := range outer.sets {
			apart = apart && !slices.ContainsFunc(sets, func(b caddyhttp.MatcherSet) bool {
				return !hostsApart(a, b) && (outer.rewrites != s.rewrites || !disjoint(a, b))
			})
		}
		if apart {
			return "what is around it is only for " + describe(outer.sets, "")
		}
	}
	if s.last == nil || !s.last.alone || s.last.rewrites != s.rewrites || !covers(s.last.sets, sets) {
		return ""
	}
	r := s.last.by
	var paths []string
	for _, set := range sets {
		listed := listed[caddyhttp.MatchPath](set)
		if len(listed) == 0 {
			return ""
		}
		paths = append(paths, listed...)
	}
	to, _ := lead(strings.ToLower(r.URI))
	prefix := "/" + strings.ToLower(strings.Trim(r.StripPathPrefix, "/"))
	switch {
	case len(paths) == 0 || r.StripPathSuffix != "" || len(r.URISubstring) > 0 || len(r.PathRegexp) > 0:
	case r.URI == "" && !strings.Contains(prefix, "{") && !slices.ContainsFunc(paths, func(p string) bool { return !within(p, prefix) }):
		return "strip_prefix or handle_path has removed " + r.StripPathPrefix + " from the path before, so it would have to be there twice"
	case r.StripPathPrefix == "" && strings.HasPrefix(to, "/") && !slices.ContainsFunc(paths, func(p string) bool { return meet(p, to+"*") }):
		return "the path has been rewritten to " + r.URI + " before"
	}
	return ""
}

// within reports whether a pattern matches only paths in that folder.
func within(pattern, folder string) bool {
	begin, _ := lead(pattern)
	return begin == folder || strings.HasPrefix(begin, folder+"/")
}

// missesProxies returns the matcher of a proxy for a folder whose name alone the
// directive matches, "" if it may be right.
func (s *Site) missesProxies(d decider) string {
	if len(d.sets) != 1 || len(d.sets[0]) != 1 || s.others || s.rewrites > 0 {
		return ""
	}
	for _, p := range listed[caddyhttp.MatchPath](d.sets[0]) {
		_, whole := lead(p)
		folder := caddyhttp.MatcherSets{{&caddyhttp.MatchPath{p + "/*"}}}
		below := func(sets caddyhttp.MatcherSets) bool { return whole && covers(sets, folder) && covers(folder, sets) }
		i := slices.IndexFunc(s.proxies, below)
		if i < 0 || slices.ContainsFunc(s.proxies, func(sets caddyhttp.MatcherSets) bool { return mayMeet(sets, d.sets) }) ||
			slices.ContainsFunc(s.deciders, func(other decider) bool { return mayMeet(other.sets, folder) }) {
			continue
		}
		return s.describe(s.proxies[i])
	}
	return ""
}

func mayMeet(a, b caddyhttp.MatcherSets) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(one caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(b, func(other caddyhttp.MatcherSet) bool { return !disjoint(one, other) })
	})
}
