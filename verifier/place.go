package verifier

import (
	"fmt"

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
	// Headers and cookies are for the caller to read: see [Reading.Text].
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
		return fmt.Errorf("'%s' is in base64, and there is no JSON pointer to what is read there, as in 'base64 /%s'", p.Name, p.Field)
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
