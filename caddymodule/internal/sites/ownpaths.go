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

// addOwnPaths notes the paths of a handler, and those that an earlier one answers differently.
func (s *Site) addOwnPaths(h *Handler) {
	for _, p := range h.OwnPaths {
		i := slices.IndexFunc(s.owned, func(o ownPath) bool { return o.Path == p.Path && o.rewrites == s.rewrites })
		if i < 0 {
			s.owned = append(slices.Clip(s.owned), ownPath{p, h.Line, s.rewrites})
			continue
		}
		if first := s.owned[i]; first.Option != p.Option || first.As != p.As {
			earlier := "an earlier directive"
			if first.line != "" {
				earlier = "the one at " + first.line
			}
			s.taken = append(s.taken, pair{"is never answered by it, since that is " + first.Option + " of " + earlier, p.Option + " " + p.Path, h.Line})
		}
	}
}

// checkOwnPaths notes the paths of a handler that something of Caddy answers before it. A
// page whose site wants a login has one, and sends it to identify; who reads keys has none.
func (s *Site) checkOwnPaths(h *Handler) {
	for _, p := range h.OwnPaths {
		requests := caddyhttp.MatcherSets{{&caddyhttp.MatchPath{strings.ToLower(p.Path)}}}
		switch what := p.Option + " " + p.Path; {
		case s.answeredFirst(requests, false):
			s.taken = append(s.taken, pair{"is never answered by it, since " + answeredBefore, what, h.Line})
		case p.Option == "jwks_path" && s.answeredFirst(requests, true):
			s.taken = append(s.taken, pair{"is answered only after a login, since basic_auth comes before it", what, h.Line})
		}
	}
}
