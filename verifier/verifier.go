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
// reasons: what could not be read and each field by itself ([ErrMalformed]),
// then whether it can be read in one way only ([ErrAmbiguous]), is there
// ([ErrMissing]) and whole ([ErrPartial]). A field met in a spelling that only
// some parsers take for it is never more than half a claim.
func (v *Verifier) Shape(r *Reading) error {
	if r.err != nil {
		return r.err
	}
	c := &r.Claim
	if err := v.fields(c); err != nil {
		return err
	}
	if r.twofold() || r.unclear() {
		return ErrAmbiguous
	}
	some := false
	for f := UserID; f <= Nonce; f++ {
		if f == Signature || v.policy.Message.Signs(f) {
			some = some || r.variant[f] || len(c[f]) > 0
		}
	}
	switch {
	case !some:
		return ErrMissing
	case !v.whole(c) || len(c[Signature]) == 0:
		return ErrPartial
	}
	return v.splits(c)
}

// fields checks each field that is there by itself.
func (v *Verifier) fields(c *Claim) error {
	l := &v.policy.Limits
	for _, bound := range [...]struct {
		field Field
		limit int
	}{
		{UserID, l.UserID}, {Email, l.Email}, {Name, l.Name}, {Company, l.Company}, {Phone, l.Phone},
	} {
		value := c[bound.field]
		if len(value)/utf8.UTFMax > bound.limit || len(value) > bound.limit && utf8.RuneCount(value) > bound.limit {
			return malformed(bound.field, fmt.Sprintf("is longer than %d characters", bound.limit))
		}
	}
	if hasControl(c[UserID]) {
		return malformed(UserID, "holds a control character")
	}
	if hasControl(c[Email]) {
		return malformed(Email, "holds a control character")
	}
	if len(c[Attributes]) > 0 {
		if err := v.checkAttributes(c[Attributes]); err != nil {
			return err
		}
	}
	if n := c[Nonce]; len(n) > 0 && v.policy.Message.Signs(Nonce) && !validNonce(n, v.policy.Message.nonce) {
		return malformed(Nonce, fmt.Sprintf("is not exactly %d characters of A-Z a-z 0-9 _ -", v.policy.Message.nonce))
	}
	for f := Conversation; f <= Visitor; f++ {
		if id := c[f]; len(id) > 0 && !validID(id) {
			return malformed(f, fmt.Sprintf("is not an id of at most %d characters of A-Z a-z 0-9 %s", maxID, idPunctuation))
		}
	}
	if t := c[Timestamp]; len(t) > 0 && v.policy.Message.Signs(Timestamp) {
		unit, digits := v.policy.Unit.takes(t)
		if _, ok := parseTimestamp(t); !ok || !unit {
			return malformed(Timestamp, "is not a Unix time "+digits)
		}
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
