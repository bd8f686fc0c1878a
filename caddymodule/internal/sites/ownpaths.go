package sites

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// OwnPath is a path whose requests a handler answers itself, whatever its matcher.
type OwnPath struct {
	Option, Path string
	As           string // the same for handlers that answer alike
}

// passage is where requests get to a handler of ours, and how many rewrites come before that.
type passage struct {
	surrounding
	after  int
	h      *Handler
	beside *[]*Handler // whose paths it answers, after its own
}

// ownPath is such a path, and why its handler does not answer it for everybody, "" if it may.
// Taken says that another handler answers it differently.
type ownPath struct {
	OwnPath
	line, why string
	taken     bool
}

// requestsOf are the requests of a path.
func requestsOf(path string) caddyhttp.MatcherSets {
	return caddyhttp.MatcherSets{{&caddyhttp.MatchPath{strings.ToLower(caddyhttp.CleanPath(path, true))}}}
}

// endAdjacent notes the paths of the handlers that follow one another up to here.
func (s *Site) endAdjacent(around []surrounding) {
	if s.adjacent == nil {
		return
	}
	beside := s.adjacent
	s.adjacent = nil
	for _, p := range s.passed {
		if p.beside != beside {
			continue
		}
		for _, own := range p.h.OwnPaths {
			why, taken := s.notAnswered(p, own, around)
			s.owned = append(s.owned, ownPath{own, p.h.Line, why, taken})
		}
	}
}

// notAnswered returns why a path of a handler is not answered by it, or not to everybody.
func (s *Site) notAnswered(at passage, own OwnPath, around []surrounding) (why string, taken bool) {
	const never = "is never answered by it, since "
	requests := requestsOf(own.Path)
	for _, p := range s.passed {
		if p.beside != at.beside {
			continue
		}
		// One that a request may get to is enough, as the guard beside a matcher.
		if why = s.unmatchable(append(slices.Clip(around), p.surrounding), requests); why == "" {
			break
		}
	}
	if why != "" {
		return never + why, false
	}
	for _, p := range s.passed {
		if p.after != at.after || p.rewrites == p.after && !mayMeet(p.sets, requests) {
			continue
		}
		first, isOwned := p.answers(own.Path)
		// Keys are read by GET and users identified by POST, so identify leaves the others.
		if isOwned && (first.OwnPath == own || own.Option == "jwks_path") {
			break
		} else if isOwned && p.takes(requests, at.after) {
			earlier := "an earlier directive"
			if first.line != "" {
				earlier = "the one at " + first.line
			}
			return never + "that is " + first.Option + " of " + earlier, true
		}
	}
	i := slices.IndexFunc(s.answered, func(a answerer) bool {
		// A page whose site wants a login has one, and sends it to identify; who reads keys has none.
		return !a.all && a.takes(requests, at.after) && a.beside != at.beside && !(a.login && own.Option == "identify")
	})
	if i >= 0 {
		return s.answered[i].why, false
	}
	return "", false
}

// unanswered returns the paths that nobody answers, or another handler differently.
func (s *Site) unanswered() []ownPath {
	return slices.DeleteFunc(slices.Clone(s.owned), func(own ownPath) bool {
		return own.why == "" || slices.ContainsFunc(s.owned, func(other ownPath) bool {
			return other.why == "" && other.Option == own.Option && other.Path == own.Path && (other.As == own.As || !own.taken)
		})
	})
}

// answers returns the handler's path by which a request that gets there is answered, and whether
// there is one.
func (p passage) answers(path string) (ownPath, bool) {
	for _, h := range append([]*Handler{p.h}, *p.beside...) {
		if h != p.h && !p.h.Answers(h) {
			continue
		}
		for _, own := range h.OwnPaths {
			if own.Path == path {
				return ownPath{OwnPath: own, line: h.Line}, true
			}
		}
	}
	return ownPath{}, false
}
