package command

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// A claim is printed and read as one JSON object, wherever its fields travel: one in a
// body is at its pointer there, and one in a header or a query is a member of that
// name.

// locations are those of places, in the order in which sign prefers them.
var locations = []string{"body", "header", "query"}

func locationOf(p *verifier.Place) string { return cmp.Or(p.Location, "body") }

func (c *checker) has(f verifier.Field) bool { return len(c.places(f)) > 0 }

// places returns the places of a field.
func (c *checker) places(f verifier.Field) (places []verifier.Place) {
	for _, p := range c.dialect.Places {
		if p.Field == f {
			places = append(places, p)
		}
	}
	return places
}

// first returns the place at which sign puts a field: of those that count first, the one in
// the location asked for, else in the body, a header or the query.
func (c *checker) first(f verifier.Field) verifier.Place {
	order := func(p *verifier.Place) int {
		return slices.Index(append([]string{c.prefers}, locations...), locationOf(p))
	}
	return slices.MinFunc(c.places(f), func(p, q verifier.Place) int {
		return cmp.Or(cmp.Compare(p.Rank, q.Rank), cmp.Compare(order(&p), order(&q)))
	})
}

// pointer returns where in the object a place is.
func (c *checker) pointer(p *verifier.Place) string { return c.member(p) + p.Within }

// member returns the pointer to what is at a place: the field, or what it is within.
func (c *checker) member(p *verifier.Place) string {
	switch {
	case locationOf(p) == "body":
		return c.dialect.At + p.Name
	case p.Field == verifier.TokenField && p.Location == "header" && !slices.ContainsFunc(c.places(p.Field), func(p verifier.Place) bool { return locationOf(&p) == "body" }):
		return "/token" // alone, without the scheme
	}
	return string(jsontext.Pointer("").AppendToken(p.Name))
}

// each says something of the places of a field, of each once.
func (c *checker) each(f verifier.Field, say func(*verifier.Place) string) (texts []string) {
	for _, p := range c.places(f) {
		if text := say(&p); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// pointers returns where in the object a field may be.
func (c *checker) pointers(f verifier.Field) []string { return c.each(f, c.pointer) }

// where says where a field may be, in words.
func (c *checker) where(f verifier.Field) string {
	return strings.Join(c.each(f, func(p *verifier.Place) string {
		switch {
		case locationOf(p) == "body":
			return "at " + c.pointer(p)
		case p.Within != "":
			return "in the " + p.Location + " " + p.Name + " at " + p.Within
		}
		return "in the " + p.Location + " " + p.Name
	}), " or ")
}
