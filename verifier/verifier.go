package verifier

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Policy is what a [Verifier] demands of a claim.
type Policy struct {
	// Message is what is signed.
	Message Message
	// Encoding is how the signature is written.
	Encoding Encoding
	// Limits bound the fields.
	Limits Limits
	// Owned are the names within the attributes' object that are fields of
	// their own, and so no attributes: see [MembersOwned].
	Owned []string
	// MaxAge is how old a signed timestamp may be, Skew how far ahead. Both
	// count only where the message signs a timestamp.
	MaxAge, Skew time.Duration
	// Unit is what a signed timestamp counts.
	Unit TimestampUnit
}

// Verifier checks claims against a policy. It is immutable and safe for
// concurrent use.
type Verifier struct {
	policy Policy
	now    func() time.Time
}

// Option adjusts a Verifier.
type Option func(*Verifier)

// WithClock replaces [time.Now].
func WithClock(now func() time.Time) Option { return func(v *Verifier) { v.now = now } }

// New returns a verifier. It refuses a policy that leaves something open.
func New(p Policy, options ...Option) (*Verifier, error) {
	switch {
	case len(p.Message.parts) == 0:
		return nil, errors.New("verifier: the policy has no message")
	case p.Encoding > Base64URL:
		return nil, errors.New("verifier: the policy's encoding is none that is known")
	case p.Unit > Milliseconds:
		return nil, errors.New("verifier: the policy's unit of timestamps is none that is known")
	case p.Limits.UserID <= 0:
		return nil, errors.New("verifier: the policy has no limit for user ids")
	case p.Message.Signs(Timestamp) && p.MaxAge <= 0:
		return nil, fmt.Errorf("verifier: max_age must be positive, not %v", p.MaxAge)
	case p.Message.Signs(Timestamp) && p.Skew < 0:
		return nil, fmt.Errorf("verifier: skew must not be negative, as %v is", p.Skew)
	}
	v := &Verifier{policy: p, now: time.Now}
	for _, option := range options {
		option(v)
	}
	return v, nil
}

// Shape checks everything of a reading that needs no key, in the order of the
// reasons: whether the body can be read and each piece of the proof, widget,
// conversation and visitor by itself ([ErrMalformed]), then whether it can be
// read in one way only ([ErrAmbiguous]), is there ([ErrMissing]) and whole
// ([ErrPartial]). A field met in a spelling that only some parsers take for it is
// never more than half a claim. What proves nothing refuses nothing: such a field
// is left out where it cannot be taken as it is.
func (v *Verifier) Shape(r *Reading) error {
	if r.settle(); r.err != nil {
		return r.err
	}
	for f := UserID; f < NumFields; f++ {
		if err := v.field(r, f); err != nil {
			return err
		}
	}
	some := false
	for f := UserID; f < NumFields; f++ {
		found := &r.found[0][f]
		if v.watches(f) && (found.ambiguous() || found.variant && f.names()) {
			return &FieldError{f, ErrAmbiguous, "appears more than once, in two spellings or with two values"}
		}
		some = some || f <= Nonce && (f == Signature || v.policy.Message.Signs(f)) && found.there()
	}
	c := &r.Claim
	switch {
	case !some:
		return ErrMissing
	case !v.whole(c) || len(c[Signature]) == 0:
		return ErrPartial
	}
	return v.splits(c)
}

// watches reports whether the field is a piece of the proof, or names a widget, a
// conversation or a visitor. The others are nobody's word but the browser's.
func (v *Verifier) watches(f Field) bool {
	return f.Proves() || f >= Widget || v.policy.Message.Signs(f)
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
		return err
	}
	if err == nil && found.ambiguous() {
		err = malformed(f, "appears more than once, or in two spellings")
	}
	if err != nil {
		r.Claim[f], r.leftOut[f] = nil, err
	}
	return nil
}

// value holds a field's value to what is asked of it.
func (v *Verifier) value(f Field, value []byte) error {
	l := &v.policy.Limits
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
		if n := v.policy.Message.nonce; v.policy.Message.Signs(Nonce) && !validNonce(value, n) {
			return malformed(Nonce, fmt.Sprintf("is not exactly %d characters of A-Z a-z 0-9 _ -", n))
		}
		return nil
	case Timestamp:
		unit, digits := v.policy.Unit.takes(value)
		if _, ok := parseTimestamp(value); v.policy.Message.Signs(Timestamp) && (!ok || !unit) {
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

// splits refuses a message with two readings that are fresh at one time or one
// after the other: since seconds and milliseconds differ in width, a message
// without separators could be cut into another user id, nonce and timestamp that
// are as good, or are so a moment later.
func (v *Verifier) splits(c *Claim) error {
	if !v.policy.Message.run || v.policy.Unit != AnyUnit {
		return nil
	}
	other := secondsWidth
	if len(c[Timestamp]) == secondsWidth {
		other = millisecondsWidth
	}
	var room [640]byte // a user id of 512 ASCII characters, nonce and timestamp
	text := v.policy.Message.Append(room[:0], c)
	digits, ok := v.policy.Message.split(text, other)
	if !ok {
		return nil
	}
	own, _ := parseTimestamp(c[Timestamp])
	if t, ok := parseTimestamp(digits); ok && v.fresh(own) {
		if apart := t.Sub(own).Abs(); apart <= v.policy.MaxAge || apart-v.policy.MaxAge <= v.policy.Skew {
			return malformed(Timestamp, "can be read as seconds and as milliseconds: sign again a moment later")
		}
	}
	return nil
}

// Verify checks the claim's signature under each key and then its age. Shape
// must have passed: it alone knows whether the claim could be read in two ways.
// Without a key it costs as much, and answers [ErrWidgetUnknown].
func (v *Verifier) Verify(c *Claim, keys []*Key) error {
	if !v.whole(c) {
		return ErrPartial
	}
	if len(keys) == 0 {
		decoy.match(&v.policy.Message, c, v.policy.Encoding, c[Signature])
		return ErrWidgetUnknown
	}
	if !v.signed(c, keys) {
		return ErrInvalid
	}
	if v.policy.Message.Signs(Timestamp) {
		if t, ok := parseTimestamp(c[Timestamp]); !ok || !v.fresh(t) {
			return ErrExpired
		}
	}
	return nil
}

// whole reports whether all that is signed is there.
func (v *Verifier) whole(c *Claim) bool {
	for f := UserID; f <= Email; f++ {
		if len(c[f]) == 0 && v.policy.Message.Signs(f) {
			return false
		}
	}
	return true
}

func (v *Verifier) signed(c *Claim, keys []*Key) bool {
	for _, k := range keys {
		if k.match(&v.policy.Message, c, v.policy.Encoding, c[Signature]) {
			return true
		}
	}
	return false
}

// Signs reports whether the field is part of what is signed.
func (v *Verifier) Signs(f Field) bool { return v.policy.Message.Signs(f) }

// Sign returns the signature of a claim under the policy's message and
// encoding, as a customer's server makes it.
func (p *Policy) Sign(secret Secret, c *Claim) string {
	sum := NewKey(secret).mac(&p.Message, c)
	return p.Encoding.encode(sum[:])
}

// SignedAt returns the time of signing of a claim that has passed Verify; the
// zero time where none is signed.
func (v *Verifier) SignedAt(c *Claim) time.Time {
	if !v.policy.Message.Signs(Timestamp) {
		return time.Time{}
	}
	t, _ := parseTimestamp(c[Timestamp])
	return t
}

// Digest returns the digest that a claim's signature encodes, whatever the
// encoding and its letters' case; the zero digest where it encodes none.
func (v *Verifier) Digest(c *Claim) (digest [sha256.Size]byte) {
	if v.policy.Encoding.decode(&digest, c[Signature]) != 1 {
		return [sha256.Size]byte{}
	}
	return digest
}
