package verifier

import "strings"

// Dialect is one product's way of claiming an identity.
type Dialect struct {
	// Name identifies the dialect in configurations, headers and metrics.
	Name string
	// Places are where the fields travel. A place in the body is one in the
	// query, too, where Query says so.
	Places []Place
	// Query says whether each field is read from the query by the same name.
	// Upgrades and event streams have no body to put it into.
	Query bool
	// Message is what is signed.
	Message string
	// Limits bound the fields.
	Limits Limits
}

// Limits bound a claim's fields. Lengths are in characters, not bytes.
type Limits struct {
	UserID, Email, Name, Company, Phone int
	// Attributes is how many there may be, AttributeBytes how large their
	// object may be as it was sent.
	Attributes, AttributeBytes int
	// Scalars restricts attributes to strings, numbers and booleans.
	Scalars bool
}

// defaultLimits are ReplyBubble's where it documents them (512, 200, 200, 50),
// 254 for an e-mail address (RFC 5321 section 4.5.3.1.3 less its brackets), and
// for the attributes what fits into a header of 4 KiB twice over.
var defaultLimits = Limits{
	UserID: 512, Email: 254, Name: 200, Company: 200, Phone: 50,
	Attributes: 64, AttributeBytes: 8 << 10,
}

// DefaultDialect is the dialect where none is named.
const DefaultDialect = "bookbag"

// Dialects are the products that are spoken, each after its documentation.
var Dialects = []Dialect{
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
		Query: true, Message: "{user_id}", Limits: defaultLimits,
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
		Query: true, Message: "{user_id}", Limits: defaultLimits,
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
		Query: true, Message: "{user_id}", Limits: defaultLimits,
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
		Query: true, Message: "{user_id}{nonce}{timestamp}", Limits: defaultLimits,
	},
}

// LookupDialect returns the dialect of that name.
func LookupDialect(name string) (Dialect, bool) {
	for _, d := range Dialects {
		if d.Name == name {
			return d, true
		}
	}
	return Dialect{}, false
}

// DialectList is the names of all dialects, for error messages.
func DialectList() string {
	names := make([]string, len(Dialects))
	for i, d := range Dialects {
		names[i] = d.Name
	}
	return strings.Join(names, ", ")
}

// NamesWidget reports whether a claim of the dialect names its widget.
func (d *Dialect) NamesWidget() bool {
	for _, p := range d.Places {
		if p.Field == Widget {
			return true
		}
	}
	return false
}

// Policy returns what a claim of the dialect must hold to, with the default
// times and encoding. message replaces what the dialect signs unless it is "".
// What the attributes own depends on the places, and is left to the caller.
func (d *Dialect) Policy(message string, nonceLength int) (Policy, error) {
	if message == "" {
		message = d.Message
	}
	parsed, err := ParseMessage(message, nonceLength)
	return Policy{Message: parsed, Limits: d.Limits, MaxAge: DefaultMaxAge, Skew: DefaultSkew}, err
}

// AllPlaces returns the places of all fields, those in the query included.
func (d *Dialect) AllPlaces() []Place {
	places := append([]Place(nil), d.Places...)
	if d.Query {
		for _, p := range d.Places {
			places = append(places, Place{Field: p.Field, Location: Query, Name: LastToken(p.Name), Rank: p.Rank})
		}
	}
	return places
}
