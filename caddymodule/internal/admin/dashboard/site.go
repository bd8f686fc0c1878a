package dashboard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Site is where requests of a widget are verified, and how they are read there.
type Site struct {
	Where    string           // for people: hosts, paths and listeners
	Origin   string           // such as https://chat.example.com, "" if it is not known
	Paths    []string         // of the matcher, with their *; none for any path
	Identify string           // the path that answers who the caller is, or ""
	Sessions bool             // whether it gives sessions
	Dialect  verifier.Dialect // with all places
	// Widget is where a request names its widget, besides the dialect's places. Without a
	// name it is nowhere, or something else in the text with placeholders WidgetText.
	Widget     verifier.Place
	WidgetText string
}

// url returns a URL that the matcher takes, as far as that can be told from its paths.
func (s *Site) url() string {
	path := "/messages"
	if len(s.Paths) > 0 {
		path = s.Paths[0]
		if !strings.HasPrefix(path, "/") { // it begins with a *
			path = "/" + path
		}
		path = strings.ReplaceAll(strings.TrimSuffix(path, "*"), "*", "messages")
	}
	return s.origin() + path
}

func (s *Site) origin() string { return cmp.Or(s.Origin, "https://chat.example.com") }

// locations are where a field is sent if it has several places, in that order.
var locations = []string{"body", "header", "query", "cookie"}

// place returns where the field is sent, one without a name for nowhere.
func (s *Site) place(field verifier.Field) (found verifier.Place) {
	if field == verifier.Widget && s.Widget.Name != "" {
		return s.Widget
	}
	rank := func(p verifier.Place) int { return slices.Index(locations, cmp.Or(p.Location, locations[0])) }
	for _, p := range s.Dialect.Places {
		if p.Field == field && p.Rank == 0 && (found.Name == "" || rank(p) < rank(found)) {
			found = p
		}
	}
	found.Location = cmp.Or(found.Location, locations[0])
	return found
}

// path returns the names on the way to a place in the body.
func (s *Site) path(p verifier.Place) []string {
	pointer := p.Name
	if !p.Root {
		pointer = s.Dialect.At + pointer
	}
	return tokens(pointer + p.Within)
}

// names are those of the field in what the server returns, one within the other.
func (s *Site) names(field verifier.Field) []string {
	switch p := s.place(field); {
	case p.Location == "body":
		return s.path(p)
	case field == verifier.TokenField:
		return []string{"token"}
	case p.Within != "":
		return append([]string{p.Name}, tokens(p.Within)...)
	default:
		return []string{p.Name}
	}
}

// tokens returns the tokens of a JSON Pointer (RFC 6901).
func tokens(pointer string) []string {
	return slices.Collect(jsontext.Pointer(pointer).Tokens())
}
