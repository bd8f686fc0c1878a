package verifier

import (
	"slices"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
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
	// TokenField is a signed token, a proof in place of user id and signature: see [Token].
	TokenField
	// SessionField is a session, a proof that a gateway gave in exchange for a claim: see
	// [Sessions]. It is never part of a claim.
	SessionField
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
	"user_id", "signature", "timestamp", "nonce", "token", "session", "email", "name", "phone", "company", "attributes", "widget", "conversation", "visitor",
}

// String returns the field's name as it is written in a configuration.
func (f Field) String() string { return fieldNames[f] }

// Proves reports whether the field carries a claim's proof, so that nothing of
// it may reach an upstream unverified.
func (f Field) Proves() bool { return f <= SessionField }

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
		err = choice.Unknown("field", string(name), fieldNames[:Widget])
	}
	return err
}

// claim holds the fields that were found, decoded; an absent one is empty. The
// values may share memory with the request they were read from.
type claim [numFields][]byte
