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

// ownPath is such a path of a handler that requests pass, and how many rewrites come before it.
type ownPath struct {
	OwnPath
	line     string
	rewrites int
}

// addOwnPaths notes the paths of a handler, those that an earlier one answers differently, and
// those whose requests do not all get here.
func (s *Site) addOwnPaths(h *Handler) {
	for _, p := range h.OwnPaths {
		what := p.Option + " " + p.Path
		if i := slices.IndexFunc(s.owned, func(o ownPath) bool { return o.Path == p.Path && o.rewrites == s.rewrites }); i >= 0 {
			if first := s.owned[i]; first.Option != p.Option || first.As != p.As {
				earlier := "an earlier directive"
				if first.line != "" {
					earlier = "the one at " + first.line
				}
				s.taken = append(s.taken, pair{"is never answered by it, since that is " + first.Option + " of " + earlier, what, h.Line})
			}
			continue
		}
		s.owned = append(slices.Clip(s.owned), ownPath{p, h.Line, s.rewrites})
		requests := caddyhttp.MatcherSets{{&caddyhttp.MatchPath{strings.ToLower(p.Path)}}}
		i := slices.IndexFunc(s.answered, func(a answerer) bool {
			// A page whose site wants a login has one, and sends it to identify; who reads keys has none.
			return a.takes(requests, s.rewrites) && a.beside != h.Adjacent && !(a.login && p.Option == "identify")
		})
		if i >= 0 {
			s.taken = append(s.taken, pair{s.answered[i].why, what, h.Line})
		}
	}
}
