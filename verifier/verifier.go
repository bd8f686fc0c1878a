package verifier

import (
	"crypto/sha256"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Verifier reads and checks claims of one dialect. It is immutable and safe for
// concurrent use.
type Verifier struct {
	reader
	dialect  Dialect
	message  message
	encoding encoding
	token    *tokenReader // nil where there is no place for one
	// ownMembers are the names within the attributes' object that are fields of their
	// own, and so no attributes.
	ownMembers []string
}

// Dialect returns the dialect that the verifier was compiled from, with the
// defaults of what it left out.
func (v *Verifier) Dialect() Dialect { return v.dialect.clone() }

// Identity is who a verified claim is of. Only [Verifier.Verify] returns one that
// says so; the zero value is nobody. It holds what was signed and nothing else, in
// memory of its own.
type Identity struct {
	user, email string
	key         *Key // that signed
	signedAt    time.Time
	expires     time.Time
	digest      [sha256.Size]byte
	token       *signedToken // nil for a signature or a session
	session     bool
}

// User returns the user's id. It is unique among the users of one customer only.
func (i Identity) User() string { return i.user }

// Email returns the e-mail address where it was signed, else "".
func (i Identity) Email() string { return i.email }

// KeyID returns the ID of the key that signed.
func (i Identity) KeyID() string {
	if i.key == nil {
		return ""
	}
	return i.key.ID
}

// Thumbprint returns the thumbprint of the public key that signed, "" for a secret. Unlike
// its ID, which is the kid of one in a key set, nobody can give it to another key.
func (i Identity) Thumbprint() string { return i.key.Thumbprint() }

// SignedAt returns the time of signing, the zero time where none is signed.
func (i Identity) SignedAt() time.Time { return i.signedAt }

// Expires returns when the token or the session that proved it expires; the zero time for
// one that does not, and for a signature.
func (i Identity) Expires() time.Time { return i.expires }

// Digest returns the digest that the signature encodes, the same for all its
// spellings: what to remember to accept a signature once.
func (i Identity) Digest() [sha256.Size]byte { return i.digest }

// Verify checks everything: that what was read has one meaning and is a whole
// claim, that one of the keys signed it, and that it is fresh. It returns the first
// reason against it, in the order from [ErrTooLarge] to [ErrExpired]. Without a key,
// or with nil for one, it takes as long as with one, and returns [ErrInvalid]. A
// reading that another Verifier has made, that was read on after it was verified and
// not Reset, or whose [Multipart] was not closed, is a mistake of the program: never
// verified and never anonymous, and the error is no reason.
func (v *Verifier) Verify(r *Reading, keys ...*Key) (Identity, error) {
	return v.VerifyFunc(r, func() []*Key { return keys })
}

// VerifyFunc is [Verifier.Verify] with keys that are looked up for whole claims
// only: every reason before [ErrInvalid] is found without them.
func (v *Verifier) VerifyFunc(r *Reading, keys func() []*Key) (Identity, error) {
	err := v.shape(r)
	switch {
	case err != nil && err != ErrMissing: // not even an anonymous visitor's
	case r.misused || r.by != nil && r.by != &v.reader:
		err = errReading
	case r.open != nil:
		err = errOpen
	}
	if err != nil {
		return Identity{}, err
	}
	c := &r.claim
	if r.byToken {
		return v.proveToken(&r.token, keys())
	}
	signer, err := v.prove(c, keys())
	if err != nil {
		return Identity{}, err
	}
	i := Identity{user: string(c[UserID]), key: signer, signedAt: v.SignedAt(r)}
	if v.Signs(Email) {
		i.email = string(c[Email])
	}
	v.encoding.decode(&i.digest, c[Signature])
	return i, nil
}

// shape checks everything of a reading that needs no key, in the order of the
// reasons: whether the body can be read and each piece of the proof, widget,
// conversation and visitor by itself ([ErrMalformed]), then whether it can be
// read in one way only ([ErrAmbiguous]), is there ([ErrMissing]) and whole
// ([ErrPartial]). A field met in a spelling that only some parsers take for it is
// never more than half a claim. What proves nothing refuses nothing: such a field
// is left out where it cannot be taken as it is.
func (v *Verifier) shape(r *Reading) error {
	if r.settle(); r.err != nil {
		return r.err
	}
	for f := UserID; f < numFields; f++ {
		if err := v.field(r, f); err != nil {
			return err
		}
	}
	some := false
	for f := UserID; f < numFields; f++ {
		found := &r.found[0][f]
		if v.watches(f) && (found.ambiguous() || found.variant && f.names()) {
			return &Error{Err: ErrAmbiguous, Field: f, Detail: "appears more than once, in two spellings or with two values"}
		}
		some = some || v.proves(f) && found.there()
	}
	c := &r.claim
	switch {
	case !some:
		return ErrMissing
	case v.token != nil && v.dialect.Proof != signatureProof && len(c[TokenField]) > 0:
		return v.tokenShape(r)
	case v.dialect.Proof == tokenProof || v.message.text == "":
		return r.lacks(TokenField)
	}
	for f := UserID; f <= Email; f++ {
		if len(c[f]) == 0 && (f == Signature || v.Signs(f)) {
			return r.lacks(f)
		}
	}
	return v.checkSplit(c)
}

// proves reports whether the field is a piece of what makes a claim.
func (v *Verifier) proves(f Field) bool {
	switch f {
	case UserID:
		return v.Signs(UserID) || v.token != nil
	case Signature:
		return v.message.text != ""
	case TokenField:
		return v.token != nil
	}
	return f.Proves() && v.Signs(f)
}

// lacks returns that half a claim lacks the field.
func (r *Reading) lacks(f Field) error {
	if r.found[0][f].there() {
		return &partial[f].misspelled
	}
	return &partial[f].missing
}

// field checks what was found of one field by itself, and leaves out one that is
// not watched.
func (v *Verifier) field(r *Reading, f Field) error {
	found := &r.found[0][f]
	err := found.err
	switch {
	case err != nil:
	case f >= Widget && found.way:
		err = malformed(f, "is within an array, or within a text that holds JSON")
	case len(found.value) > 0:
		err = v.value(f, found.value)
	}
	if v.watches(f) {
		if err != nil {
			return err
		}
		return nil
	}
	if err == nil && found.ambiguous() {
		err = malformed(f, "appears more than once, or in two spellings")
	}
	if err != nil {
		r.claim[f], r.leftOut[f] = nil, err
	}
	return nil
}

// value holds a field's value to what is asked of it.
func (v *Verifier) value(f Field, value []byte) *Error {
	l := &v.dialect.Limits
	limit := 0
	switch f {
	case UserID:
		limit = l.UserID
	case Email:
		limit = l.Email
	case Name:
		limit = l.Name
	case Company:
		limit = l.Company
	case Phone:
		limit = l.Phone
	case Attributes:
		return v.checkAttributes(value)
	case Nonce:
		if n := v.message.nonce; v.Signs(Nonce) && !validNonce(value, n) {
			return malformed(Nonce, fmt.Sprintf("is not exactly %d characters of A-Z a-z 0-9 _ -", n))
		}
		return nil
	case Timestamp:
		unit, digits := takesUnit(v.dialect.Unit, value)
		if _, ok := parseTimestamp(value); v.Signs(Timestamp) && (!ok || !unit) {
			return malformed(Timestamp, "is not a Unix time "+digits)
		}
		return nil
	case Conversation, Visitor:
		if !validID(value) {
			return malformed(f, fmt.Sprintf("is not an id of at most %d characters of A-Z a-z 0-9 %s", maxID, idPunctuation))
		}
		return nil
	default:
		return nil
	}
	if len(value)/utf8.UTFMax > limit || len(value) > limit && utf8.RuneCount(value) > limit {
		return malformed(f, fmt.Sprintf("is longer than %d characters", limit))
	}
	if (f == UserID || f == Email) && hasControl(value) {
		return malformed(f, "holds a control character")
	}
	return nil
}

func hasControl(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c == 0x7f {
			return true
		} else if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text[i:])
			if unicode.IsControl(r) {
				return true
			}
			i += size - 1
		}
	}
	return false
}

// checkSplit refuses a message with two readings that are fresh at one time or one
// after the other: since seconds and milliseconds differ in width, a message
// without separators could be cut into another user id, nonce and timestamp that
// are as good, or are so a moment later.
func (v *Verifier) checkSplit(c *claim) error {
	if !v.message.timestampAdjacent || v.dialect.Unit != 0 {
		return nil
	}
	other := secondsWidth
	if len(c[Timestamp]) == secondsWidth {
		other = millisecondsWidth
	}
	var room [640]byte // a user id of 512 ASCII characters, nonce and timestamp
	text := v.message.Append(room[:0], c)
	digits, ok := v.message.split(text, other)
	if !ok {
		return nil
	}
	own, _ := parseTimestamp(c[Timestamp])
	if t, ok := parseTimestamp(digits); ok && v.fresh(own) {
		if apart := t.Sub(own).Abs(); apart <= v.dialect.MaxAge || apart-v.dialect.MaxAge <= v.dialect.Skew {
			return malformed(Timestamp, "can be read as seconds and as milliseconds: sign again a moment later")
		}
	}
	return nil
}

// prove checks the signature of a claim that has its shape under each key, and
// then its age. It returns the key that signed.
func (v *Verifier) prove(c *claim, keys []*Key) (*Key, error) {
	signer := v.signer(c, keys)
	if signer == nil || !v.Signs(UserID) { // as the zero Verifier does not
		return nil, ErrInvalid
	}
	if v.Signs(Timestamp) {
		if t, ok := parseTimestamp(c[Timestamp]); !ok || !v.fresh(t) {
			return nil, ErrExpired
		}
	}
	return signer, nil
}

// signer returns the first key under which the signature matches, nil for none.
func (v *Verifier) signer(c *claim, keys []*Key) *Key {
	some := false
	for _, k := range keys {
		if !k.signs() {
			continue
		}
		if some = true; k.match(&v.message, c, v.encoding, c[Signature]) {
			return k
		}
	}
	if !some {
		decoy.match(&v.message, c, v.encoding, c[Signature])
	}
	return nil
}

// Signs reports whether the field is part of what is signed.
func (v *Verifier) Signs(f Field) bool { return v.message.Signs(f) }

// AppendMessage appends the text that the claim's signature should be of to dst. It
// is for use after [Verifier.Verify].
func (v *Verifier) AppendMessage(dst []byte, r *Reading) []byte {
	return v.message.Append(dst, &r.claim)
}

// Sign returns the signature of a claim with these fields, as a customer's server
// makes it. What Verify would refuse it refuses for the same reason: [ErrPartial]
// where a field is left out that is signed, [ErrMalformed] where one is too long or
// holds a control character. Only a timestamp may be of any time.
func (v *Verifier) Sign(key *Key, fields map[Field]string) (string, error) {
	if !key.signs() {
		return "", errNoKey
	}
	var r Reading
	r.Text(Place{Field: Signature}, []byte("to come"))
	for f, text := range fields {
		if f != Signature && v.Signs(f) {
			r.Text(Place{Field: f}, []byte(text))
		}
	}
	if err := v.shape(&r); err != nil {
		return "", err
	}
	return v.sign(key, &r.claim), nil
}

func (v *Verifier) sign(key *Key, c *claim) string {
	sum := key.mac(&v.message, c)
	return v.encoding.encode(sum[:])
}

// SignedAt returns the timestamp that a claim says it was signed at, verified or
// not; the zero time where none is signed. It is for use after [Verifier.Verify].
func (v *Verifier) SignedAt(r *Reading) time.Time {
	if !v.Signs(Timestamp) {
		return time.Time{}
	}
	t, _ := parseTimestamp(r.claim[Timestamp])
	return t
}
