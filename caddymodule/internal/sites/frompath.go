package sites

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
)

// captured is the prefix of placeholders of a regular expression's captures.
const captured = "http.regexp."

// setFromPath notes the placeholders that matchers set to captures of the path.
func (s *Site) setFromPath(sets caddyhttp.MatcherSets) {
	anyMatcher(sets, func(name, text string) bool {
		switch name {
		case "path_regexp":
			var matcher struct{ Name string }
			_ = json.Unmarshal([]byte(text), &matcher) // Caddy encoded it
			s.fromPath = append(s.fromPath, captured+matcher.Name)
		case "vars_regexp":
			var matcher map[string]struct{ Name string }
			_ = json.Unmarshal([]byte(text), &matcher)
			for source, m := range matcher {
				if s.ReadsPath(source) || s.isFromPath("http.vars."+source) {
					s.fromPath = append(s.fromPath, captured+m.Name)
				}
			}
		case "expression":
			if strings.Contains(text, "path_regexp(") {
				s.fromPath = append(s.fromPath, captured) // whose names are in the expression
			}
		}
		return false
	})
}

// ReadsPath reports whether one of a text's placeholders depends on the path.
func (s *Site) ReadsPath(text string) bool {
	for _, piece := range strings.Split(text, "{")[1:] {
		if placeholder, _, _ := strings.Cut(piece, "}"); naming.UsesPath(placeholder) || s.isFromPath(placeholder) {
			return true
		}
	}
	return false
}

// isFromPath reports whether the placeholder was noted. A capture can also be named without
// its expression.
func (s *Site) isFromPath(placeholder string) bool {
	return slices.ContainsFunc(s.fromPath, func(name string) bool {
		of, isCapture := strings.CutPrefix(name, captured)
		if !isCapture {
			return placeholder == name
		}
		capture, ok := strings.CutPrefix(placeholder, captured)
		expression, _, named := strings.Cut(capture, ".")
		return ok && (of == "" || !named || expression == of)
	})
}
