package verifier

import (
	"fmt"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// The parts of a request.
const (
	atBody   = "body"
	atQuery  = "query"
	atHeader = "header"
	atCookie = "cookie"
)

// Place is where a field travels. A field may have several places of one rank, and
// values in more than one of them if they are equal, as inviaro's user_id and userId.
type Place struct {
	Field Field
	// Location is "body", which is the default, "query", "header" or "cookie".
	// Headers and cookies are for the caller to read: see [Reading.Text] and, for a place
	// within a JSON text, [Verifier.Text].
	Location string
	// Name is the name there. In a body it is a JSON Pointer (RFC 6901), whose last
	// token is the name in form bodies and, with [Dialect.Query], in queries: bookbag's
	// /user_metadata/email is the form field email. A form field user_metadata[email] is
	// left unread, since an e-mail address that is not signed proves nothing.
	Name string
	// Within is a JSON Pointer (RFC 6901) to the field in the JSON text that is at Name, ""
	// where Name is the field itself. In a JSON body it is an object there.
	Within string
	// Base64 says that the JSON text is written in base64 (RFC 4648), in the standard or
	// the URL alphabet, with padding or without.
	Base64 bool
	// Rank is 0 for the places that count first. One of a higher rank, at most 3,
	// counts only where nothing is in those of lower ranks.
	Rank int
	// Scheme is what stands before a token in the header Authorization, with one space
	// between (RFC 9110 section 11.4); "" for nothing.
	Scheme string
	// Root has Name start at the document's root, whatever [Dialect.At] is.
	Root bool
}

func (p *Place) inBody() bool { return p.Location == "" || p.Location == atBody }

// TakesScheme reports whether Scheme counts: for a token in Authorization.
func (p *Place) TakesScheme() bool {
	return p.Field == TokenField && p.Location == atHeader && strings.EqualFold(p.Name, "Authorization")
}

// Check refuses an unknown location and a Name in a body that is no pointer to a
// member, and the same of Within.
func (p *Place) Check() error {
	if p.Within != "" {
		if _, err := claimjson.Tokens(p.Within); err != nil {
			return err
		}
	}
	switch {
	case p.Base64 && p.Within == "" && p.Field != Attributes:
		return fmt.Errorf("base64 needs a JSON pointer to the field in the JSON text, as in 'base64 /%s'", p.Field)
	case p.inBody():
		_, err := claimjson.Tokens(p.Name)
		return err
	case p.Location == atQuery || p.Location == atHeader || p.Location == atCookie:
		return nil
	}
	return choice.Unknown("location", p.Location, []string{atBody, atQuery, atHeader, atCookie})
}

// Key returns the name of the field in a form or a query, or of the one that holds the
// JSON text: a pointer's last token.
func (p *Place) Key() string {
	if !p.inBody() {
		return p.Name
	}
	return lastToken(p.Name)
}

// pointer returns where a place in a body points to in JSON.
func (p *Place) pointer() string { return p.Name + p.Within }

// at returns the place's name for a message.
func (p *Place) at() string {
	if p.inBody() || p.Within == "" {
		return p.pointer()
	}
	return p.Name + " " + p.Within
}

// sameName reports whether two places have one location and name.
func (p *Place) sameName(q *Place) bool {
	return p.Name == q.Name && (p.Location == q.Location || p.inBody() && q.inBody())
}

// below returns the pointer from q to a place within it, and whether it is.
func (p *Place) below(q *Place) (pointer string, ok bool) {
	switch {
	case p.inBody() && q.inBody():
		pointer, ok = strings.CutPrefix(p.pointer(), q.pointer()+"/")
	case p.sameName(q):
		pointer, ok = strings.CutPrefix(p.Within, q.Within+"/")
	}
	return "/" + pointer, ok
}

// inForm returns the names that lead to a place in forms and queries whose parsers build
// objects from names.
func (p *Place) inForm() []string {
	if p.Within == "" {
		return []string{p.Key()}
	}
	tokens, _ := claimjson.Tokens(p.Within) // which is checked
	return append([]string{p.Key()}, tokens...)
}

// watched returns the names by which a field in a body or a query gives itself away: within
// base64 no name can be seen.
func (p *Place) watched() []string {
	switch {
	case p.Base64:
		return []string{p.Key(), lastToken(p.Within)}
	case p.Within != "":
		return []string{lastToken(p.Within)}
	}
	return []string{p.Key()}
}
