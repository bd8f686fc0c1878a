package sites

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// ErrOwnOutcome refuses a handler whose matcher depends on its own outcome.
var ErrOwnOutcome = errors.New("chat_identity cannot be given a matcher that depends on what chat_identity finds: " +
	"there is no outcome until it has run, and the first directive to match a request decides it")

// Check returns an error for a site whose protection a client could bypass, and warns
// about one that is only partly protected.
func (s *Site) Check(log *zap.Logger) error {
	log = log.With(zap.String("server", s.server), zap.String("site", s.hosts))
	switch {
	case len(s.Handlers) == 0:
		return nil
	case s.own:
		return ErrOwnOutcome
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
	return nil
}

// early is a route's matchers that are evaluated before a handler has run.
type early struct {
	way  string
	sets caddyhttp.MatcherSets
}

// readingOurs returns the early matchers that read one of our headers.
func (s *Site) readingOurs() (ways []string) {
	renamed := s.Renamed()
	for _, e := range s.early {
		if anyMatcher(e.sets, func(name, text string) bool { return readsHeader(name, text, renamed) != "" }) {
			ways = append(ways, e.way)
		}
	}
	return ways
}

// describe names matchers for an operator, without the site's hosts.
func (s *Site) describe(sets caddyhttp.MatcherSets) string {
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

// Where returns the hosts, paths and listeners of the handler that is being provisioned.
func Where(ctx caddy.Context) string {
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
	return strings.Join(words, " ")
}

// routeWords returns the hosts and paths of the route that is being provisioned: the first
// whose handlers are still JSON. Caddy provisions the matchers of all routes first, and
// then routes in order.
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
