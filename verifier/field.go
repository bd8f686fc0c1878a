package verifier

import "strings"

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

	// NumFields is how many fields there are.
	NumFields
)

var fieldNames = [NumFields]string{
	"user_id", "signature", "timestamp", "nonce", "email", "name", "phone", "company", "attributes", "widget", "conversation", "visitor",
}

// String returns the field's name as it is written in a configuration.
func (f Field) String() string { return fieldNames[f] }

// Proves reports whether the field carries a claim's proof, so that nothing of
// it may reach an upstream unverified.
func (f Field) Proves() bool { return f <= Nonce }

// names reports whether the field names a thing of the gateway's: an id, which is
// compared as [AppendCanonicalID] has it.
func (f Field) names() bool { return f == Conversation || f == Visitor }

// ParseField returns the claim field of that name.
func ParseField(name string) (Field, bool) {
	for f := UserID; f < Widget; f++ {
		if fieldNames[f] == name {
			return f, true
		}
	}
	return 0, false
}

// FieldList is the names that [ParseField] knows, for error messages.
func FieldList() string { return strings.Join(fieldNames[:Widget], ", ") }

// Claim holds the fields that were found, decoded; an absent one is empty. The
// values may share memory with the request they were read from.
type Claim [NumFields][]byte

// Location is a part of a request.
type Location uint8

const (
	// Body is a member of a JSON body, named by a JSON Pointer (RFC 6901); the
	// pointer's last token is the name in form bodies.
	Body Location = iota
	// Query is a parameter of the URL's query.
	Query
	// Header is a header field.
	Header
	// Cookie is a cookie.
	Cookie

	numLocations
)

var locationNames = [numLocations]string{"body", "query", "header", "cookie"}

// String returns the location's name as it is written in a configuration.
func (l Location) String() string { return locationNames[l] }

// ParseLocation returns the location of that name.
func ParseLocation(name string) (Location, bool) {
	for l, n := range locationNames {
		if n == name {
			return Location(l), true
		}
	}
	return 0, false
}

// LocationList is the names that [ParseLocation] knows, for error messages.
func LocationList() string { return strings.Join(locationNames[:], ", ") }

// Place is where a field travels.
type Place struct {
	Field    Field
	Location Location
	// Name is the name there; in a body, a JSON Pointer.
	Name string
	// Rank is 0 for the places that count first. One of a higher rank, at most 3,
	// counts only where nothing is in those of lower ranks.
	Rank int
}
