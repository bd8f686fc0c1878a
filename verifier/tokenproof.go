package verifier

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// signedToken is what a token signs beside the user's id and e-mail address.
type signedToken struct {
	name, attributes string
}

// tokenShape is shape for a claim whose proof is a token. A user id beside it must be the
// token's: some backends would read the one and some the other. What stands in for an id
// is none beside a token, but the e-mail address of its user. A signature beside it is not
// judged.
func (v *Verifier) tokenShape(r *Reading) error {
	t := &r.token
	if err := v.token.read(v, r.claim[TokenField], t); err != nil {
		return err
	}
	if r.OtherUser(string(t.user)) {
		return &Error{Err: ErrAmbiguous, Field: UserID, Detail: "differs from the user id in the token, or is in another spelling"}
	}
	r.byToken = true
	for _, f := range signedFields {
		if err := t.leftOut[f]; err != nil {
			r.leftOut[f] = err
		}
	}
	return nil
}

// proveToken checks the token's signature under each key, what is required of it, and
// then its times.
func (v *Verifier) proveToken(t *tokenReading, keys []*Key) (Identity, error) {
	signer := v.token.signer(t, keys)
	switch {
	case signer == nil || !t.allowed:
		return Identity{}, ErrInvalid
	case !v.token.fresh(v, t):
		return Identity{}, ErrExpired
	}
	i := Identity{user: string(t.user), key: signer, email: string(t.fields[Email]), token: &signedToken{
		name: string(t.fields[Name]), attributes: string(v.appendSigned(nil, t)),
	}}
	if t.has[iatMember] {
		i.signedAt = time.Unix(t.iat, 0)
	}
	if t.has[expMember] {
		i.expires = time.Unix(t.exp, 0)
	}
	if t.id != nil {
		i.digest = sha256.Sum256(append([]byte("jti\x00"), t.id...))
	}
	return i, nil
}

// appendSigned appends what the token signs beside id, e-mail and name, as
// [Verifier.AppendAttributes] does for what nothing signs.
func (v *Verifier) appendSigned(dst []byte, t *tokenReading) []byte {
	object := t.fields[Attributes]
	if v.token.rules.Attributes == restOfToken {
		object = t.jws.Payload
	}
	return appendMembers(dst, &t.fields, object, v.token.known)
}

// KeyID returns the kid of the token that is the claim's proof (RFC 7515 section 4.1.4), nil
// without one. Nothing of it is verified: it is for the function that
// [Verifier.VerifyFunc] calls, which may have to ask for keys by their ids.
func (r *Reading) KeyID() []byte {
	if !r.byToken {
		return nil
	}
	return r.token.jws.KeyID
}

// PublicKeys reports whether tokens are verified with public keys rather than the widget's
// secret.
func (v *Verifier) PublicKeys() bool {
	return v.token != nil && v.dialect.Proof != signatureProof && !v.token.algorithms[0].Symmetric()
}

// Takes reports whether one of the tokens' algorithms verifies with the key.
func (v *Verifier) Takes(k *Key) bool {
	return v.token != nil && slices.ContainsFunc(v.token.algorithms, k.fits)
}

// ByToken reports whether the proof is a token.
func (i Identity) ByToken() bool { return i.token != nil }

// Name returns the display name where a token signs one, else "".
func (i Identity) Name() string {
	if i.token == nil {
		return ""
	}
	return i.token.name
}

// Attributes returns what a token signs beside id, e-mail and name, phone and company
// among them, as one JSON object in ASCII; "" for nothing.
func (i Identity) Attributes() string {
	if i.token == nil {
		return ""
	}
	return i.token.attributes
}

// OtherUser reports whether there is a user id, beside a token or a session, that is not
// this one, or could be read as another. An e-mail address that stands in for an id does not
// count. It is for use after [Verifier.Verify].
func (r *Reading) OtherUser(user string) bool {
	beside := &r.found[0][UserID]
	return !r.standsIn && (beside.variant || len(beside.value) > 0 && string(beside.value) != user)
}

// appendMembers appends phone, company and the members of an object, but for those of
// which it is known that they are something else, as one JSON object in ASCII, or nothing.
func appendMembers(dst []byte, c *claim, object []byte, known []string) []byte {
	start := len(dst)
	member := func(name []byte, value []byte) {
		separator := byte(',')
		if len(dst) == start {
			separator = '{'
		}
		dst = append(dst, separator)
		dst = claimjson.AppendASCII(dst, name)
		dst = append(dst, ':')
		dst = claimjson.AppendASCII(dst, value)
	}
	own := [...]Field{Phone, Company}
	for _, f := range own {
		if len(c[f]) > 0 {
			member(claimjson.Quote(f.String()), claimjson.Quote(string(c[f])))
		}
	}
	if len(object) > 0 {
		_ = claimjson.Members(object, func(name []byte, value jsontext.Value) error {
			for _, f := range own {
				if len(c[f]) > 0 && string(name) == f.String() {
					return nil
				}
			}
			if !slices.Contains(known, string(name)) {
				member(claimjson.Quote(string(name)), value)
			}
			return nil
		})
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}
