package verifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// Field is one piece of what a chat request says about who is chatting.
type Field uint8

const (
	// UserID is the customer's own id of the user: the one field that every dialect signs.
	UserID Field = iota
	// Signature is the encoded HMAC of the signed message.
	Signature
	// Timestamp is the Unix time of signing, in seconds (10 digits) or milliseconds (13 digits).
	Timestamp
	// Nonce is a random text that makes a signature unique.
	Nonce
	// Email is the user's e-mail address.
	Email
	// Name is the user's display name.
	Name
	// Phone is the user's telephone number.
	Phone
	// Company is the user's company.
	Company
	// Attributes is a JSON object of anything else.
	Attributes
	// Widget names the widget whose secret signed. Neither it nor what follows
	// is part of a claim.
	Widget
	// Conversation names the conversation that the request belongs to.
	Conversation
	// Visitor names the anonymous visitor that the user was before.
	Visitor

	numFields
)

var fieldNames = []string{
	"user_id", "signature", "timestamp", "nonce", "email", "name", "phone", "company", "attributes", "widget", "conversation", "visitor",
}

// String returns the field's name as it is written in a configuration.
func (f Field) String() string { return fieldNames[f] }

// Proves reports whether the field carries a claim's proof, so that nothing of
// it may reach an upstream unverified.
func (f Field) Proves() bool { return f <= Nonce }

// names reports whether the field names a thing of the gateway's: an id, which is
// compared as [appendCanonicalID] has it.
func (f Field) names() bool { return f == Conversation || f == Visitor }

// parseField returns the claim field of that name.
func parseField(name string) (Field, bool) {
	i := slices.Index(fieldNames[:Widget], name)
	return Field(max(i, 0)), i >= 0
}

// UnmarshalText implements [encoding.TextUnmarshaler] for the fields of a claim.
func (f *Field) UnmarshalText(name []byte) (err error) {
	var ok bool
	if *f, ok = parseField(string(name)); !ok {
		err = fmt.Errorf("unknown field '%s': one of %s", name, strings.Join(fieldNames[:Widget], ", "))
	}
	return err
}

// claim holds the fields that were found, decoded; an absent one is empty. The
// values may share memory with the request they were read from.
type claim [numFields][]byte

// The parts of a request.
const (
	atBody   = "body"
	atQuery  = "query"
	atHeader = "header"
	atCookie = "cookie"
)

// Place is where a field travels.
type Place struct {
	Field Field
	// Location is "body", which is the default, "query", "header" or "cookie".
	// Headers and cookies are for the caller to read: see [Reading.Text].
	Location string
	// Name is the name there. In a body it is a JSON Pointer (RFC 6901), whose last
	// token is the name in form bodies.
	Name string
	// Rank is 0 for the places that count first. One of a higher rank, at most 3,
	// counts only where nothing is in those of lower ranks.
	Rank int
	// Root has Name start at the document's root, whatever [Dialect.At] is.
	Root bool
}

func (p *Place) inBody() bool { return p.Location == "" || p.Location == atBody }

// Check refuses an unknown location and a Name in a body that is no pointer to a
// member.
func (p *Place) Check() error {
	switch {
	case p.inBody():
		_, err := claimjson.Tokens(p.Name)
		return err
	case p.Location == atQuery || p.Location == atHeader || p.Location == atCookie:
		return nil
	}
	return fmt.Errorf("unknown location '%s': one of %s, %s, %s, %s", p.Location, atBody, atQuery, atHeader, atCookie)
}

// Key returns the name of the field in a form or a query: a pointer's last token.
func (p *Place) Key() string {
	if !p.inBody() {
		return p.Name
	}
	return lastToken(p.Name)
}
