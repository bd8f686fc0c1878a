package sites

import "slices"

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
			taken := pair{first.Option + " of " + earlier, p.Option + " " + p.Path, h.Line}
			if !slices.Contains(s.taken, taken) { // its guard, too
				s.taken = append(s.taken, taken)
			}
		}
	}
}
