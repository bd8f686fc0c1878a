package verifier

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/jws"
)

// Token says what a token must look like: a JSON Web Token (RFC 7519) that the
// customer's server signed, one proof in place of user id and signature. It travels in
// the dialect's places of the field [TokenField].
type Token struct {
	// Algorithms are those that may have signed it, all of one kind of key (RFC 7518
	// section 3.1): HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512,
	// ES256, ES384, ES512 or EdDSA. Default: HS256. What a token says of its algorithm
	// is only compared.
	Algorithms []string `json:"algorithms"`
	// UserID points to the user's id in the payload, the first that is there. Default: /sub.
	UserID []string `json:"user_id"`
	// TextUserID refuses an id that is a number.
	TextUserID bool `json:"text_user_id"`
	// Email, Name, Phone and Company point to what is signed with the user, "" for nothing.
	Email   string `json:"email"`
	Name    string `json:"name"`
	Phone   string `json:"phone"`
	Company string `json:"company"`
	// Attributes points to an object, or is "rest": all members of the payload that have
	// no other meaning, neither registered (RFC 7519 section 4.1) nor one of these fields.
	// Default: nothing.
	Attributes string `json:"attributes"`
	// Require are members of the payload, by pointer, that must be one of these values, or
	// a list that holds one. A text is compared as it is, an integer or boolean by its
	// JSON text. Forbid are members that must not be there.
	Require map[string][]string `json:"require"`
	Forbid  []string            `json:"forbid"`
	// MaxLifetime is how far from now a token may expire. Default: a day.
	MaxLifetime time.Duration `json:"max_lifetime"`
	// NoExpiry accepts a token without exp.
	NoExpiry bool `json:"no_expiry"`
	// ID demands a jti of at most 255 characters, by which a token can be accepted once.
	ID bool `json:"-"`
}

const restOfToken = "rest"

// defaultLifetime is the default of [Token.MaxLifetime].
const defaultLifetime = 24 * time.Hour

// longestLifetime leaves room for a skew in a [time.Duration].
const longestLifetime = 200 * 365 * 24 * time.Hour

// maxTokenID is how many characters a jti may have.
const maxTokenID = 255

// The members that are read of every token (RFC 7519 section 4.1).
const (
	expMember = iota
	nbfMember
	iatMember
	jtiMember
	ownMembers
)

// tokenReader is a Token, compiled.
type tokenReader struct {
	rules      Token
	algorithms []jws.Algorithm
	paths      *claimjson.Paths
	// The targets of paths are the members read of every token, then the pointers of
	// UserID, of signedFields, of Require and of Forbid.
	fields   []Field  // of which the token has a pointer
	known    []string // names that are not attributes
	required []string // the pointers of Require, in order
}

// signedFields are the fields that a token may sign beside the user's id.
var signedFields = [...]Field{Email, Name, Phone, Company, Attributes}

func (t *Token) pointer(f Field) string {
	switch f {
	case Email:
		return t.Email
	case Name:
		return t.Name
	case Phone:
		return t.Phone
	case Company:
		return t.Company
	}
	if t.Attributes == restOfToken {
		return ""
	}
	return t.Attributes
}

func (t Token) clone() Token {
	t.Algorithms, t.UserID, t.Require, t.Forbid = slices.Clone(t.Algorithms), slices.Clone(t.UserID), maps.Clone(t.Require), slices.Clone(t.Forbid)
	return t
}

// Check returns why the rules cannot hold, nil if they can.
func (t *Token) Check() error {
	_, err := t.compile()
	return err
}

// compile makes the rules ready to read tokens.
func (t Token) compile() (*tokenReader, error) {
	if len(t.Algorithms) == 0 {
		t.Algorithms = []string{"HS256"}
	}
	if len(t.UserID) == 0 {
		t.UserID = []string{"/sub"}
	}
	if t.MaxLifetime == 0 {
		t.MaxLifetime = defaultLifetime
	}
	r := &tokenReader{rules: t}
	switch {
	case t.MaxLifetime < 0 || t.MaxLifetime > longestLifetime:
		return nil, errors.New("token: max_lifetime must be positive, and at most " + period.Text(longestLifetime))
	case t.ID && t.NoExpiry:
		return nil, errors.New("token: one that is accepted once must expire")
	}
	for _, name := range t.Algorithms {
		a, err := jws.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		if len(r.algorithms) > 0 && !a.SameKey(r.algorithms[0]) {
			return nil, fmt.Errorf("token: %s and %s are verified with different kinds of keys: a widget has one", t.Algorithms[0], name)
		}
		r.algorithms = append(r.algorithms, a)
	}
	var targets []claimjson.Target
	add := func(pointer string) { targets = append(targets, claimjson.Target{Pointer: pointer}) }
	for _, name := range []string{"/exp", "/nbf", "/iat", "/jti"} {
		add(name)
	}
	object := t.pointer(Attributes)
	if t.Attributes == restOfToken {
		r.known = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
	}
	own := func(pointer string) {
		add(pointer)
		if member, ok := strings.CutPrefix(pointer, object+"/"); ok && t.Attributes != "" && !strings.Contains(member, "/") {
			r.known = append(r.known, lastToken(pointer))
		}
	}
	for _, pointer := range t.UserID {
		own(pointer)
	}
	for _, f := range signedFields {
		if pointer := t.pointer(f); pointer != "" {
			own(pointer)
			r.fields = append(r.fields, f)
		}
	}
	r.required = slices.Sorted(maps.Keys(t.Require))
	for _, pointer := range r.required {
		if len(t.Require[pointer]) == 0 {
			return nil, fmt.Errorf("token: require %s needs at least one value", pointer)
		}
		if slices.Contains(t.Forbid, pointer) {
			return nil, fmt.Errorf("token: %s is required and forbidden, so that no token verifies", pointer)
		}
		add(pointer)
	}
	for _, pointer := range t.Forbid {
		add(pointer)
	}
	var err error
	if r.paths, err = claimjson.Compile(targets, never); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return r, nil
}

// tokenReading is what a token says. Nothing of it is true before a key has verified it.
type tokenReading struct {
	jws   jws.Token
	found claimjson.Found
	text  []byte // decoded strings

	user, id      []byte
	fields        claim             // what is signed with the user
	leftOut       [numFields]*Error // of these, what cannot be taken as it is
	exp, nbf, iat int64             // Unix times, in seconds
	has           [jtiMember]bool
	allowed       bool // what is required is there, and nothing forbidden
}

// times returns the token's three times, by the index of their member.
func (t *tokenReading) times() [3]*int64 { return [...]*int64{&t.exp, &t.nbf, &t.iat} }

func malformedToken(err error) *Error { return malformed(TokenField, err.Error()) }

// read reads a token, and returns what is wrong with its form.
func (p *tokenReader) read(v *Verifier, text []byte, t *tokenReading) *Error {
	if err := t.jws.Read(text); err != nil {
		return malformedToken(err)
	}
	if err := t.jws.Claims(p.paths, &t.found); err != nil {
		return malformedToken(err)
	}
	t.text, t.user, t.id, t.fields = t.text[:0], nil, nil, claim{}
	clear(t.leftOut[:])
	values := t.found.Values
	for i, into := range t.times() {
		if t.has[i] = values[i].Kind != claimjson.None; !t.has[i] {
			continue
		}
		seconds, ok := unixTime(t.raw(&values[i]), values[i].Kind)
		if !ok {
			return malformed(TokenField, "has an "+[...]string{"exp", "nbf", "iat"}[i]+" that is not a number of seconds within ±2^53")
		}
		*into = seconds
	}
	if !t.has[expMember] && !p.rules.NoExpiry {
		return malformed(TokenField, "has no exp: it would be good forever")
	}
	if p.rules.ID {
		if err := t.readID(&values[jtiMember]); err != nil {
			return err
		}
	}
	if err := p.readUser(v, t, values[ownMembers:ownMembers+len(p.rules.UserID)]); err != nil {
		return err
	}
	values = values[ownMembers+len(p.rules.UserID):]
	for i, f := range p.fields {
		p.readField(v, t, f, &values[i])
	}
	p.judge(t, values[len(p.fields):])
	return nil
}

// raw returns a member's value as it is in the payload.
func (t *tokenReading) raw(value *claimjson.Value) []byte {
	return t.jws.Payload[value.Start:value.End]
}

// decoded returns what a string says. The token was checked for half surrogates.
func (t *tokenReading) decoded(value *claimjson.Value) []byte {
	token := t.raw(value)
	if !value.Escaped {
		return token[1 : len(token)-1]
	}
	from := len(t.text)
	t.text, _ = claimjson.Unquote(t.text, token)
	return t.text[from:len(t.text):len(t.text)]
}

// readID takes the jti.
func (t *tokenReading) readID(value *claimjson.Value) *Error {
	if value.Kind == claimjson.String {
		t.id = t.decoded(value)
	}
	if n := utf8.RuneCount(t.id); n < 1 || n > maxTokenID {
		return malformed(TokenField, fmt.Sprintf("has no jti of 1 to %d characters, by which it is accepted once", maxTokenID))
	}
	return nil
}

// readUser takes the first of the user ids that is there.
func (p *tokenReader) readUser(v *Verifier, t *tokenReading, ids []claimjson.Value) *Error {
	for i := range ids {
		switch value := &ids[i]; {
		case value.Kind == claimjson.None || value.Kind == claimjson.Null:
			continue
		case value.Kind == claimjson.String:
			t.user = t.decoded(value)
		case value.Kind == claimjson.Number && !p.rules.TextUserID && plainInteger(t.raw(value)):
			t.user = t.raw(value)
		default:
			want := "neither a string nor an integer from -(2^53-1) to 2^53-1"
			if p.rules.TextUserID {
				want = "not a string"
			}
			return malformed(TokenField, "has a user id at "+p.rules.UserID[i]+" that is "+want)
		}
		if len(t.user) == 0 {
			continue
		}
		if err := v.value(UserID, t.user); err != nil {
			return malformed(TokenField, "has a user id that "+err.Detail)
		}
		return nil
	}
	return malformed(TokenField, "has no user id at "+p.rules.UserID[0])
}

// readField takes a field that is signed with the user. One that cannot be taken as it is
// is left out: the user is who he is.
func (p *tokenReader) readField(v *Verifier, t *tokenReading, f Field, value *claimjson.Value) {
	var text []byte
	var err *Error
	switch {
	case value.Kind == claimjson.None || value.Kind == claimjson.Null:
	case f == Attributes && value.Kind == claimjson.Object:
		text = t.raw(value)
	case f == Attributes && string(t.raw(value)) == "[]": // PHP's json_encode writes an empty object so
	case f == Attributes:
		err = malformed(f, "is not an object")
	case value.Kind == claimjson.String:
		text = t.decoded(value)
	default:
		err = malformed(f, "is not a string")
	}
	if err == nil && len(text) > 0 {
		err = v.value(f, text)
	}
	if err != nil {
		err.Detail = "in the token " + err.Detail
		t.leftOut[f] = err
		return
	}
	t.fields[f] = text
}

// judge takes note of whether the token has what is required and nothing that is
// forbidden. A forbidden name in another letter case is one that some backend may read.
func (p *tokenReader) judge(t *tokenReading, values []claimjson.Value) {
	t.allowed = true
	for i, pointer := range p.required {
		t.allowed = t.allowed && t.meets(p.rules.Require[pointer], &values[i])
	}
	for _, value := range values[len(p.required):] {
		t.allowed = t.allowed && value.Kind == claimjson.None && !value.Variant
	}
}

func (t *tokenReading) meets(wanted []string, value *claimjson.Value) bool {
	one := func(value *claimjson.Value) bool {
		text, ok := t.scalar(value)
		return ok && slices.Contains(wanted, text)
	}
	if value.Kind != claimjson.Array {
		return one(value)
	}
	met := false
	claimjson.Elements(t.raw(value), func(element claimjson.Value) {
		element.Start, element.End = element.Start+value.Start, element.End+value.Start
		met = met || one(&element)
	})
	return met
}

// scalar returns the text by which a string, boolean or plain integer is compared.
func (t *tokenReading) scalar(value *claimjson.Value) (text string, ok bool) {
	switch value.Kind {
	case claimjson.String:
		return string(t.decoded(value)), true
	case claimjson.True, claimjson.False:
		return string(t.raw(value)), true
	case claimjson.Number:
		return string(t.raw(value)), plainInteger(t.raw(value))
	}
	return "", false
}

// maxUnixTime bounds the times of a token: what a float of 64 bits counts one by one, and
// what time.Unix takes (an nbf of 2^63-1 wraps in some libraries).
const maxUnixTime = 1 << 53

// unixTime reads a NumericDate (RFC 7519 section 2), whose fraction is dropped.
func unixTime(token []byte, kind claimjson.Kind) (seconds int64, ok bool) {
	if kind != claimjson.Number {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(string(token), 10, 64); err == nil {
		return seconds, -maxUnixTime <= seconds && seconds <= maxUnixTime
	}
	number, err := strconv.ParseFloat(string(token), 64)
	return int64(number), err == nil && -maxUnixTime <= number && number <= maxUnixTime
}

// fresh reports whether the token is good now.
func (p *tokenReader) fresh(v *Verifier, t *tokenReading) bool {
	now, skew := v.dialect.Time(), v.dialect.Skew
	for _, member := range [...]int{nbfMember, iatMember} {
		if t.has[member] && time.Unix(*t.times()[member], 0).After(now.Add(skew)) {
			return false
		}
	}
	if !t.has[expMember] {
		return true
	}
	exp := time.Unix(t.exp, 0)
	return now.Before(exp) && !exp.After(now.Add(p.rules.MaxLifetime+skew))
}

// maxUnnamed is how many keys a token without a kid is tried with.
const maxUnnamed = 4

// signer returns the key that signed the token by an algorithm of the rules, nil for none.
func (p *tokenReader) signer(t *tokenReading, keys []*Key) *Key {
	i := slices.IndexFunc(p.algorithms, func(a jws.Algorithm) bool { return a.Name == string(t.jws.Algorithm) })
	if i < 0 {
		return nil
	}
	algorithm, named, fitting := p.algorithms[i], false, 0
	for _, k := range keys {
		named = named || k.usable() && (k.set || k.ID != "" && k.ID == string(t.jws.KeyID))
		if k.fits(algorithm) {
			fitting++
		}
	}
	if len(t.jws.KeyID) == 0 { // an empty one names none
		if named = false; fitting > maxUnnamed && slices.ContainsFunc(keys, (*Key).inSet) {
			return nil
		}
	}
	tried := false
	for _, k := range keys {
		if !k.fits(algorithm) || named && k.ID != string(t.jws.KeyID) {
			continue
		}
		if tried = true; k.verifies(algorithm, t) {
			return k
		}
	}
	if !tried && algorithm.Symmetric() {
		decoy.verifies(algorithm, t)
	}
	return nil
}
