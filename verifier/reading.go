package verifier

import (
	"bytes"
	"unicode/utf8"
	"unsafe"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// Span is a run of bytes, End not included.
type Span = claimjson.Span

// Cut appends text without the spans to dst.
func Cut(dst, text []byte, spans []Span) []byte { return claimjson.Cut(dst, text, spans) }

// Reading is what a [Reader] found in one request. The zero value is ready;
// Reset makes it ready again. Its claim shares memory with what was read.
type Reading struct {
	// Claim holds the first value found for each field.
	Claim Claim
	// BodyCuts and QueryCuts are what to cut to remove the user id, signature,
	// timestamp and nonce in whatever spelling. Where there is more of that than
	// is kept, they are the whole text, and the claim is ambiguous.
	BodyCuts, QueryCuts []Span

	seen      [NumFields]bool // in any form
	variant   [NumFields]bool // in a spelling that some parsers take for the name
	twice     [NumFields]bool // with two values, or in two spellings
	ambiguous bool            // any of them, or one that Twice was called for
	err       error

	text                   []byte // decoded strings, at most maxText bytes
	found, attributesFound claimjson.Found
	bodyHits, queryHits    claimform.Hits
}

// maxText bounds the strings that have to be decoded, as they were sent. It is
// many times what the fields of any claim may have.
const maxText = 64 << 10

// Reset forgets the claim and keeps the memory.
func (r *Reading) Reset() {
	r.Claim = Claim{}
	r.BodyCuts, r.QueryCuts = r.BodyCuts[:0], r.QueryCuts[:0]
	r.seen, r.variant, r.twice = [NumFields]bool{}, [NumFields]bool{}, [NumFields]bool{}
	r.ambiguous, r.err = false, nil
	r.text = r.text[:0]
	r.bodyHits.Reset()
	r.queryHits.Reset()
}

// Memory is about how many bytes Reset keeps.
func (r *Reading) Memory() int {
	const span = int(unsafe.Sizeof(Span{}))
	return cap(r.text) + span*(cap(r.BodyCuts)+cap(r.QueryCuts)+cap(r.found.Cuts)+cap(r.attributesFound.Cuts)) +
		r.bodyHits.Memory() + r.queryHits.Memory()
}

// twofold reports whether a field stands twice, or in two spellings.
func (r *Reading) twofold() bool {
	for f := range r.variant {
		if r.variant[f] && len(r.Claim[f]) > 0 {
			return true
		}
	}
	return r.ambiguous
}

// Single returns a field's value, or nothing where the field could be read in
// two ways.
func (r *Reading) Single(f Field) []byte {
	if r.twice[f] || r.variant[f] {
		return nil
	}
	return r.Claim[f]
}

// unclear reports whether a name of the gateway's is there in a spelling that
// only some backends take for it: whose thing it is could not be told.
func (r *Reading) unclear() bool { return r.variant[Conversation] || r.variant[Visitor] }

// Plain reports whether everything found so far can be read, and in one way only.
func (r *Reading) Plain() bool { return r.err == nil && !r.twofold() && !r.unclear() }

// Err returns the first malformed piece, or nil.
func (r *Reading) Err() error { return r.err }

// Text takes the value of a field from a header or a cookie.
func (r *Reading) Text(f Field, value []byte) {
	r.seen[f] = true
	if !utf8.Valid(value) {
		r.fail(malformed(f, "is not valid UTF-8"))
		return
	}
	if f == Attributes && len(value) > 0 && (!isObject(value) || claimjson.Scan(value, noPaths, &r.attributesFound) != nil) {
		r.fail(malformed(f, "is not a JSON object"))
		return
	}
	r.add(f, value)
}

var noPaths, _ = claimjson.Compile(nil, nil)

// Twice takes note of a field that stands twice in one place.
func (r *Reading) Twice() { r.ambiguous = true }

// Variant takes note of a field in a spelling that only some backends take for it.
func (r *Reading) Variant(f Field) { r.variant[f] = true }

// Malformed takes note of a field that cannot be decoded.
func (r *Reading) Malformed(f Field, detail string) { r.fail(malformed(f, detail)) }

func (r *Reading) again(f Field) { r.twice[f], r.ambiguous = true, true }

func (r *Reading) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// add takes a value; an empty one counts as absent, another one than before
// makes the claim ambiguous.
func (r *Reading) add(f Field, value []byte) {
	switch {
	case len(value) == 0:
	case len(r.Claim[f]) == 0:
		r.Claim[f] = value
	case f.names() && bytes.EqualFold(r.Claim[f], value):
	case string(r.Claim[f]) != string(value):
		r.again(f)
	}
}

// member takes a member of a JSON object.
func (r *Reading) member(f Field, text []byte, v *claimjson.Value) {
	if v.Kind == claimjson.None && !v.Twice && !v.Variant {
		return
	}
	r.seen[f] = true
	if v.Twice {
		r.again(f)
	}
	r.variant[f] = r.variant[f] || v.Variant
	token := text[v.Start:v.End]
	switch {
	case v.Kind == claimjson.None || v.Kind == claimjson.Null:
	case f == Attributes:
		if v.Kind != claimjson.Object {
			r.fail(malformed(f, "is not an object"))
			return
		}
		r.add(f, token)
	case v.Kind == claimjson.String && !v.Escaped:
		r.add(f, token[1:len(token)-1])
	case v.Kind == claimjson.String && len(r.text)+len(token) > maxText:
		r.fail(tooLong(f))
	case v.Kind == claimjson.String:
		from := len(r.text)
		decoded, err := claimjson.Unquote(r.text, token)
		if err != nil {
			r.fail(malformed(f, "has half a surrogate pair"))
			return
		}
		r.text = decoded
		r.add(f, decoded[from:len(decoded):len(decoded)])
	case v.Kind == claimjson.Number && f == Timestamp:
		r.add(f, token) // its digits are counted when its shape is checked
	case v.Kind == claimjson.Number && (f == UserID || f.names()):
		if !plainInteger(token) {
			r.fail(malformed(f, "is a number that is no integer, or one beyond ±(2^53-1) that not every parser keeps: send it as a string"))
			return
		}
		r.add(f, token)
	case f == UserID || f.names():
		r.fail(malformed(f, "is neither a string nor an integer"))
	default:
		r.fail(malformed(f, "is not a string"))
	}
}

// plainInteger reports whether a JSON number is an integer that every parser
// prints back digit for digit: no fraction, exponent or negative zero, and
// within what an IEEE 754 double holds exactly (RFC 8259 section 6).
func plainInteger(token []byte) bool {
	const most = "9007199254740991" // 2^53-1
	digitsOf := token
	if token[0] == '-' {
		digitsOf = token[1:]
	}
	if !digits(digitsOf) || len(digitsOf) > len(most) || string(token) == "-0" {
		return false
	}
	return len(digitsOf) < len(most) || string(digitsOf) <= most
}
