package sites

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
)

// ErrOwnOutcome refuses a handler whose matcher depends on its own outcome.
var ErrOwnOutcome = errors.New("chat_identity cannot be given a matcher that depends on what chat_identity finds: " +
	"there is no outcome until it has run, and the first directive to match a request decides it")

// Check returns an error for a site whose protection a client could bypass, and finds what
// is only partly protected, or unlikely to be meant.
func (s *Site) Check(report func(findings.Finding)) error {
	switch {
	case len(s.Handlers) == 0:
		return nil
	case s.own:
		return ErrOwnOutcome
	case s.method != "":
		return fmt.Errorf("%s: '%s' sets the method after chat_identity has run, so a client could turn its request into CONNECT, a tunnel past this gateway: "+
			"run the 'method' directive before chat_identity, or use a fixed method", s.hosts, s.method)
	}
	line := s.Handlers[0].Line
	find := func(kind findings.Kind, text string) { report(findings.New(kind, text).At(line, s.name)) }
	elsewhere := func(kind findings.Kind, text string) {
		if line != "" {
			text += " (the line given is chat_identity's)"
		}
		find(kind, text)
	}
	const forged = ": on those requests a client can send its own X-Verified-User or open a tunnel to the upstream"
	if len(s.before) > 0 {
		elsewhere(findings.ProxyBefore, "chat_identity runs behind proxies that answer first, for "+strings.Join(s.before, "; ")+forged)
	}
	var blocks, errorRoutes []string
	for _, way := range s.unguarded {
		if slices.Contains(strings.Split(way, " > "), handlesErrors) {
			errorRoutes = append(errorRoutes, way)
		} else {
			blocks = append(blocks, way)
		}
	}
	if len(blocks) > 0 {
		elsewhere(findings.ProxyUnprotected, "chat_identity runs before only some of this site's proxies, not for "+strings.Join(blocks, "; ")+forged)
	}
	if len(errorRoutes) > 0 {
		elsewhere(findings.ErrorsUnprotected, "chat_identity does not run before a proxy in error routes, "+strings.Join(errorRoutes, "; ")+forged)
	}
	if len(s.asked) > 0 {
		elsewhere(findings.SubrequestBefore, "forward_auth, or another subrequest, runs before chat_identity, for "+strings.Join(s.asked, "; ")+
			": its server receives the client's own X-Verified-User, and a client can open a WebSocket to it")
	}
	if reads := s.readingOurs(); len(reads) > 0 {
		elsewhere(findings.EarlyMatcher, "a matcher reads one of chat_identity's headers before the client's has been removed, so the client controls what matches: "+
			strings.Join(reads, "; "))
	}
	for _, p := range s.never {
		line = p.line
		find(findings.NeverDecides, fmt.Sprintf("this chat_identity directive (%s) never decides: %s decides all of its requests, as the first of two does, "+
			"and one at site level before every handle and route block", p.way, p.earlier))
	}
	for _, d := range s.dead {
		if slices.ContainsFunc(s.deciders, func(other decider) bool { return other.line == d.line && d.line != "" }) {
			continue // a snippet or named route that is of use elsewhere
		}
		line = d.line
		find(findings.NeverMatches, fmt.Sprintf("no request gets to this chat_identity directive (%s): %s", d.way, d.why))
	}
	for _, d := range s.deciders {
		if proxied := s.missesProxies(d); proxied != "" {
			line = d.line
			find(findings.NeverMatches, fmt.Sprintf("this chat_identity directive (%s) matches nothing that a proxy gets: that is %s", s.describe(d.sets), proxied))
		}
	}
	for _, p := range s.overlaps {
		line = p.line
		find(findings.Overlap, fmt.Sprintf("two chat_identity directives can match the same request and neither is more specific, so the first one decides: %s, not this one (%s)",
			p.earlier, p.way))
	}
	for _, own := range s.unanswered() {
		line = own.line
		find(findings.PathTaken, fmt.Sprintf("%s %s of this chat_identity directive %s", own.Option, own.Path, own.why))
	}
	for _, h := range s.sessionless {
		line = h.Line
		find(findings.SessionRemoved, "no session in a header gets to this chat_identity directive: request_header removes "+textproto.CanonicalMIMEHeaderKey(string(h.Sessions[0]))+" before")
	}
	line = s.Handlers[0].Line
	s.checkHeaders(elsewhere)
	for _, h := range s.Handlers {
		line = h.Line
		switch {
		case h.Guard:
		case h.Raises && !h.Caught && !s.catches:
			find(findings.ErrorUnhandled, "'refuse error' is not answered by any handle_errors of this site, so refusals have no body")
		case s.crossOrigin && !h.CORS:
			s.crossOrigin = false // one line is enough
			find(findings.NoCORS, "this site answers other origins, but has no 'cors' in chat_identity, so their scripts cannot read refusals and the answers of identify")
		}
	}
	return nil
}

// pair is two directives that decide, the earlier as a message names it and the later with
// how requests get there and its line in a Caddyfile.
type pair struct{ earlier, way, line string }

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
	return describe(sets, s.hosts)
}

// describe names matchers, without a matcher of those hosts.
func describe(sets caddyhttp.MatcherSets, hosts string) string {
	var either []string
	for _, set := range sets {
		var all []string
		for _, m := range set {
			one := caddyhttp.MatcherSet{m}
			if hosts != "" && strings.Join(listed[caddyhttp.MatchHost](one), ", ") == hosts {
				continue
			}
			name, text := written(m)
			if not, ok := m.(*caddyhttp.MatchNot); ok {
				text = describe(not.MatcherSets, hosts)
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

// siteName names a site as its Caddyfile does: by its hosts, or by what it listens on.
func siteName(hosts []string, server *caddyhttp.Server) string {
	name := strings.Join(hosts, ", ")
	switch {
	case server == nil || name != "" && slices.Equal(server.Listen, []string{":443"}):
		return name
	case name == "":
		return strings.Join(server.Listen, ", ")
	}
	return name + " on " + strings.Join(server.Listen, ", ")
}
