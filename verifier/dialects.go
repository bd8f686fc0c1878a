package verifier

import (
	"cmp"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// defaultLimits are ReplyBubble's where it documents them (512, 200, 200, 50),
// 254 for an e-mail address (RFC 5321 section 4.5.3.1.3 less its brackets), and
// for the attributes what fits into a header of 4 KiB twice over.
var defaultLimits = Limits{
	UserID: 512, Email: 254, Name: 200, Company: 200, Phone: 50,
	Attributes: 64, AttributeBytes: 8 << 10,
}

// What the dialects below have where their products document nothing else.
const (
	defaultMaxAge      = 5 * time.Minute
	defaultSkew        = 30 * time.Second
	defaultNonceLength = 32 // in characters
)

// DefaultDialect is the dialect where none is named.
const DefaultDialect = "bookbag"

// Dialects are the products that are spoken, each after its documentation or source. Of
// those that send a token, the pointers of Token are into its payload.
var Dialects = withDefaults([]Dialect{
	{
		// Bookbag signs the user id alone; user_metadata holds name, email,
		// phone and any further key, which becomes a contact's attribute.
		Name: "bookbag",
		Places: []Place{
			{Field: UserID, Name: "/user_id"},
			{Field: Signature, Name: "/user_hash"},
			{Field: Attributes, Name: "/user_metadata"},
			{Field: Name, Name: "/user_metadata/name"},
			{Field: Email, Name: "/user_metadata/email"},
			{Field: Phone, Name: "/user_metadata/phone"},
		},
		Query: true, Message: "{user_id}",
	},
	{
		// NextCap: window.NextCap('identify', {userId, userHash, email, name, customAttributes}).
		Name: "nextcap",
		Places: []Place{
			{Field: UserID, Name: "/userId"},
			{Field: Signature, Name: "/userHash"},
			{Field: Email, Name: "/email"},
			{Field: Name, Name: "/name"},
			{Field: Attributes, Name: "/customAttributes"},
		},
		Query: true, Message: "{user_id}",
	},
	{
		// Inviaro documents both spellings, and "key" for the widget connection.
		Name: "inviaro",
		Places: []Place{
			{Field: UserID, Name: "/user_id"},
			{Field: UserID, Name: "/userId"},
			{Field: Signature, Name: "/user_hash"},
			{Field: Signature, Name: "/userHash"},
			{Field: Email, Name: "/email"},
			{Field: Email, Name: "/userEmail"},
			{Field: Name, Name: "/name"},
			{Field: Name, Name: "/userName"},
			{Field: Widget, Name: "/key"},
		},
		Query: true, Message: "{user_id}",
	},
	{
		// ReplyBubble: identify({id, signature, email, name, company, phone, traits}).
		// A query's "id" is everyone's, so its query is not read unasked.
		Name: "replybubble",
		Places: []Place{
			{Field: UserID, Name: "/id"},
			{Field: Signature, Name: "/signature"},
			{Field: Email, Name: "/email"},
			{Field: Name, Name: "/name"},
			{Field: Company, Name: "/company"},
			{Field: Phone, Name: "/phone"},
			{Field: Attributes, Name: "/traits"},
		},
		Message: "{user_id}",
		Limits: Limits{
			UserID: 512, Email: 254, Name: 200, Company: 200, Phone: 50,
			Attributes: 20, AttributeBytes: 8 << 10, Scalars: true,
		},
	},
	{
		// SnapEngage signs what is to be verified + nonce + timestamp, concatenated.
		Name: "snapengage",
		Places: []Place{
			{Field: UserID, Name: "/user_id"},
			{Field: Signature, Name: "/hmacSignature"},
			{Field: Timestamp, Name: "/hmacTimestamp"},
			{Field: Nonce, Name: "/hmacNonce"},
			{Field: Email, Name: "/email"},
			{Field: Name, Name: "/name"},
		},
		Query: true, Message: "{user_id}{nonce}{timestamp}",
	},
	{
		// No product's: a token as RFC 7519 has it, wherever a page can put one.
		Name: "jwt",
		Places: []Place{
			{Field: TokenField, Location: atHeader, Name: "Authorization", Scheme: "Bearer"},
			{Field: TokenField, Name: "/user_token"},
		},
		Query: true,
		Token: Token{Email: "/email", Name: "/name", Attributes: restOfToken},
	},
	{
		// Zendesk messaging sends the token of loginUser with every call, and refuses an
		// external_id that is a number.
		Name:   "zendesk",
		Places: []Place{{Field: TokenField, Location: atHeader, Name: "Authorization", Scheme: "Bearer"}},
		Token: Token{
			UserID: []string{"/external_id"}, TextUserID: true, Email: "/email", Name: "/name",
			Require: map[string][]string{"/scope": {"user"}}, NoExpiry: true,
		},
	},
	{
		// Drift documents the page's call alone: drift.identify(id, {...}, {userJwt}).
		Name:   "drift",
		Places: []Place{{Field: TokenField, Name: "/userJwt"}},
		Query:  true,
		Token:  Token{Email: "/email", NoExpiry: true},
	},
	{
		Name: "tiledesk",
		Places: []Place{
			{Field: TokenField, Location: atHeader, Name: "Authorization", Scheme: "JWT"},
			{Field: TokenField, Location: atQuery, Name: "secret_token"},
		},
		Token: Token{UserID: []string{"/_id"}, Email: "/email", Name: "/firstname", NoExpiry: true},
	},
	{
		// Stream signs what its servers may do with the same secret: {"server": true}.
		Name: "stream",
		Places: []Place{
			{Field: TokenField, Location: atHeader, Name: "Authorization"},
			{Field: TokenField, Location: atQuery, Name: "authorization"},
			{Field: Widget, Location: atQuery, Name: "api_key"},
		},
		Token: Token{UserID: []string{"/user_id"}, Forbid: []string{"/server"}, NoExpiry: true},
	},
	{
		// Freshchat documents the page's call alone: window.fcWidget.authenticate(jwt).
		Name:   "freshchat",
		Places: []Place{{Field: TokenField, Name: "/jwt"}},
		Query:  true,
		Token:  Token{UserID: []string{"/reference_id"}, Email: "/email", Name: "/first_name"},
	},
	{
		// Knock verifies with a public key, and has its own bearer token in Authorization.
		Name: "knock",
		Places: []Place{
			{Field: TokenField, Location: atHeader, Name: "X-Knock-User-Token"},
			{Field: TokenField, Location: atQuery, Name: "user_token"},
			{Field: Widget, Location: atQuery, Name: "api_key"},
		},
		Token: Token{Algorithms: []string{"RS256"}, NoExpiry: true},
	},
	{
		Name: "botpress",
		Places: []Place{
			{Field: TokenField, Location: atHeader, Name: "x-user-key"},
			{Field: TokenField, Location: atQuery, Name: "x-user-key"},
		},
		Token: Token{UserID: []string{"/id"}, NoExpiry: true},
	},
})

// withDefaults fills in what the products do not document.
func withDefaults(dialects []Dialect) []Dialect {
	for i := range dialects {
		d := &dialects[i]
		d.Limits, d.MaxAge, d.Skew = cmp.Or(d.Limits, defaultLimits), defaultMaxAge, defaultSkew
	}
	return dialects
}

// LookupDialect returns the dialect of that name, which is the caller's to change.
func LookupDialect(name string) (Dialect, error) {
	var names []string
	for _, d := range Dialects {
		if d.Name == name {
			return d.clone(), nil
		}
		names = append(names, d.Name)
	}
	return Dialect{}, choice.Unknown("dialect", name, names)
}
