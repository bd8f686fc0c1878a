package verifier

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
)

// Dialect is one product's way of claiming an identity, and what is demanded of
// such a claim.
type Dialect struct {
	// Name identifies the dialect, Product is who speaks it, as its makers write it.
	Name    string `json:"-"`
	Product string `json:"product"`
	// Places are where the fields travel. A place in the body is one in the
	// query, too, where Query says so.
	Places []Place `json:"-"`
	// Query reports whether each field is read from the query by the same name.
	// Upgrades and event streams have no body to put it into.
	Query bool `json:"query"`
	// At points to the object in a JSON body from which the pointers of Places
	// start. Forms and queries have no such object, and are read as without it.
	// Default: the document's root.
	At string `json:"-"`

	// Message is a template of what is signed, such as "{user_id}" or
	// "{user_id}.{timestamp}", of the fields user_id, email, timestamp and nonce.
	// One of which a signed message could be split into fields in two ways is
	// refused: with "{user_id}{email}" the signature of user "ab" with e-mail "c"
	// would be one of user "a" with e-mail "bc" too. A newline between two fields
	// always keeps them apart: "{user_id}\n{email}".
	Message string `json:"message"`
	// Encoding is how the signature is written: "hex", which is the default,
	// "base64" or "base64url".
	Encoding string `json:"encoding"`
	// KeyEncoding is how the text of a secret writes the bytes of the key, see
	// [Secret.Decoded]: "text", which is the default, "hex", "base64" or "base64url".
	// Whoever makes a [Key] for this dialect decodes the secret first.
	KeyEncoding string `json:"key_encoding"`
	// NonceLength is how many characters a signed nonce has, at least 8. Default: 32.
	NonceLength int `json:"nonce_length"`

	// MaxAge is how old a signed timestamp may be, Skew how far ahead. Both count
	// only where Message signs a timestamp, and MaxAge must be set there. Neither has
	// a default; [Dialects] have 5 minutes and 30 seconds.
	MaxAge time.Duration `json:"max_age"`
	Skew   time.Duration `json:"-"`
	// Unit is what a signed timestamp counts: [time.Second] or [time.Millisecond].
	// Where it is 0 either is taken, which leaves a message without separators open
	// to a second reading, in the other unit, that becomes fresh months later.
	Unit time.Duration `json:"-"`
	// Limits bound the fields. Default, where none is set: those of bookbag, which are
	// 512 characters for the user id, 254 for the e-mail address, 200 for name and
	// company, 50 for the phone number, and 64 attributes in 8 KiB.
	Limits Limits `json:"limits"`
	// Strip are fields to cut with an unverified claim beside those that prove it.
	Strip []Field `json:"-"`

	// Token says what a token must look like, where TokenField has a place.
	Token Token `json:"token"`
	// Proof is which proofs count: "any", which is the default, "signature" or "token".
	// Where both count, a token is judged and a signature beside it is not.
	Proof string `json:"-"`

	// Answers is the status with which the product refuses whoever is not verified, for
	// whatever reason; 0 where the reasons have their own.
	Answers int `json:"answers"`

	// Time returns the current time. Default: [time.Now].
	Time func() time.Time `json:"-"`
}

// Limits bound a claim's fields. Lengths are in characters, not bytes. Whoever sets one
// sets all: a limit of 0 leaves no room.
type Limits struct {
	UserID  int `json:"user_id"`
	Email   int `json:"email"`
	Name    int `json:"name"`
	Company int `json:"company"`
	Phone   int `json:"phone"`
	// Attributes is how many there may be, AttributeBytes how large their
	// object may be as it was sent.
	Attributes     int `json:"attributes"`
	AttributeBytes int `json:"attribute_bytes"`
	// Scalars restricts attributes to strings, numbers and booleans.
	Scalars bool `json:"scalars"`
}

const (
	anyProof       = "any"
	signatureProof = "signature"
	tokenProof     = "token"
)

// clone returns a dialect that can be changed without changing this one.
func (d *Dialect) clone() Dialect {
	copied := *d
	copied.Places, copied.Strip, copied.Token = slices.Clone(d.Places), slices.Clone(d.Strip), d.Token.clone()
	return copied
}

// NamesWidget reports whether a claim of the dialect names its widget.
func (d *Dialect) NamesWidget() bool { return d.has(Widget) }

// TakesToken reports whether a claim of the dialect may be proved by a token.
func (d *Dialect) TakesToken() bool { return d.has(TokenField) }

// has reports whether the field has a place.
func (d *Dialect) has(f Field) bool {
	return slices.ContainsFunc(d.Places, func(p Place) bool { return p.Field == f })
}

// AllPlaces returns the places of all fields, those in the query included.
func (d *Dialect) AllPlaces() []Place {
	places := slices.Clone(d.Places)
	for i := range places {
		places[i].Location = cmp.Or(places[i].Location, atBody)
	}
	if d.Query {
		for _, p := range d.Places {
			if p.inBody() {
				places = append(places, Place{Field: p.Field, Location: atQuery, Name: p.Key(), Within: p.Within, Base64: p.Base64, Rank: p.Rank})
			}
		}
	}
	return places
}

// minNonceLength is the shortest nonce of a dialect of one's own: of shorter ones, two
// requests of one second soon have the same.
const minNonceLength = 8

// Verifier compiles the dialect. It refuses one that leaves something open: a signed
// timestamp without a MaxAge, a timestamp that is read but not signed, a field that is
// signed but has no place. List the places in headers and cookies, too.
func (d Dialect) Verifier() (*Verifier, error) {
	v, err := d.Reader()
	if err != nil {
		return nil, err
	}
	if v.Signs(Nonce) && v.dialect.NonceLength < minNonceLength {
		return nil, fmt.Errorf("dialect: NonceLength must be at least %d, not %d", minNonceLength, v.dialect.NonceLength)
	}
	for f := UserID; f <= Email; f++ {
		placed := d.has(f)
		switch signed := v.Signs(f); {
		case f == TokenField || f == UserID && d.has(TokenField):
		case f == Signature && !placed && d.Message != "":
			return nil, errors.New("there is no place for the signature")
		case signed && !placed:
			return nil, fmt.Errorf("message %q: there is no place for the %s", d.Message, f)
		case placed && !signed && f.Proves() && f != Signature:
			return nil, fmt.Errorf("a %s is read but not signed: add {%s} to Message, or remove the place", f, f)
		}
	}
	return v, nil
}

// Reader is [Dialect.Verifier] for a proxy, which also reads and cuts fields that prove
// nothing: the places need not be those of a whole claim.
func (d Dialect) Reader() (*Verifier, error) {
	d.NonceLength, d.Encoding = cmp.Or(d.NonceLength, defaultNonceLength), cmp.Or(d.Encoding, inHex.String())
	d.Limits, d.KeyEncoding = cmp.Or(d.Limits, defaultLimits), cmp.Or(d.KeyEncoding, KeyEncodings[0])
	if d.Time == nil {
		d.Time = time.Now
	}
	v := &Verifier{dialect: d.clone()}
	var err error
	if d.Message != "" || d.Proof == signatureProof || !d.has(TokenField) {
		if v.message, err = parseMessage(d.Message, d.NonceLength); err != nil {
			return nil, err
		}
	}
	if d.has(TokenField) {
		if v.token, err = d.Token.compile(); err != nil {
			return nil, err
		}
		v.dialect.Token = v.token.rules.clone()
	}
	if v.encoding, err = parseEncoding(d.Encoding); err != nil {
		return nil, err
	}
	if err := checkKeyEncoding(d.KeyEncoding); err != nil {
		return nil, err
	}
	switch {
	case d.Unit != 0 && d.Unit != time.Second && d.Unit != time.Millisecond:
		return nil, fmt.Errorf("dialect: Unit must be a second or a millisecond, not %v", d.Unit)
	case !slices.Contains([]string{"", anyProof, signatureProof, tokenProof}, d.Proof):
		return nil, choice.Unknown("proof", d.Proof, []string{anyProof, signatureProof, tokenProof})
	case d.Proof == tokenProof && v.token == nil:
		return nil, errors.New("dialect: Proof is token, and there is no place for one")
	case d.Limits.UserID <= 0:
		return nil, errors.New("dialect: Limits must have one for user ids")
	case v.Signs(Timestamp) && d.MaxAge <= 0:
		return nil, fmt.Errorf("dialect: MaxAge must be positive, not %s", period.Text(d.MaxAge))
	case (v.Signs(Timestamp) || v.token != nil) && d.Skew < 0:
		return nil, fmt.Errorf("dialect: Skew must not be negative, as %s is", period.Text(d.Skew))
	}
	places := d.AllPlaces()
	v.ownMembers = membersOwned(places)
	if err := v.compile(places, d.At, &v.message, d.Strip); err != nil {
		return nil, err
	}
	return v, nil
}
