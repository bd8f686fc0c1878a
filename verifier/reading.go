package verifier

import (
	"cmp"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// Span is a range of bytes, End not included.
type Span = struct{ Start, End int }

// Reading is what a [Verifier] found in one request. The zero value is ready to
// use, and Reset makes it ready again. It shares memory with what was read.
type Reading struct {
	// BodyCuts and QueryCuts are what to cut to remove the user id, signature,
	// timestamp and nonce in whatever spelling, and the fields of
	// [Dialect.Strip]. They are in order and apart; cut out of JSON, they leave
	// valid JSON. Where there is more of that than is kept, they are the whole
	// text, and the claim is ambiguous.
	BodyCuts, QueryCuts []Span

	// claim holds the fields as shape leaves them: of each the value that counts,
	// and of those that prove nothing only what is within the limits.
	claim   claim
	found   [maxRanks][numFields]finding
	ranks   int // how many of them are in use, less one
	leftOut [numFields]*Error
	err     error // why the body cannot be read

	byToken  bool         // the proof is the token
	token    tokenReading // what it says
	standsIn bool         // the user id that counts is what stands in for one, as an e-mail address

	by      *reader    // which has read, nil for none
	open    *Multipart // which was not closed yet
	judged  bool       // it was verified
	misused bool       // it was read on after that, or by more than one reader

	recoded []recoded // texts in the query to which other ones are to be cut

	text                      []byte // decoded strings, at most maxText bytes
	copied                    []byte // see Copy, and decoded base64
	json, within              claimjson.Found
	bodyMatches, queryMatches claimform.Matches
}

// maxRanks is how many places of a field may stand in for each other.
const maxRanks = 4

// finding is what was found of a field in the places of one rank.
type finding struct {
	value     []byte
	seen      bool   // in any form
	variant   bool   // in a spelling that some parsers take for the name
	way       bool   // within a JSON text or an array on the way to its place
	duplicate bool   // with two values, or in two spellings
	err       *Error // why a value cannot be taken
}

// there reports whether anything is there that some reader could take for the field.
func (f *finding) there() bool {
	return len(f.value) > 0 || f.variant || f.duplicate || f.err != nil
}

// ambiguous reports whether the field could be read in two ways.
func (f *finding) ambiguous() bool { return f.duplicate || f.variant && len(f.value) > 0 }

// maxText bounds the strings that have to be decoded, as they were sent. It is
// many times what the fields of any claim may have.
const maxText = 64 << 10

// Reset forgets the claim and keeps the memory.
func (r *Reading) Reset() {
	r.claim = claim{}
	r.BodyCuts, r.QueryCuts, r.text, r.copied = r.BodyCuts[:0], r.QueryCuts[:0], r.text[:0], r.copied[:0]
	r.recoded = nil
	clear(r.found[:r.ranks+1])
	r.ranks, r.err, r.byToken = 0, nil, false
	r.by, r.open, r.judged, r.misused = nil, nil, false, false
	clear(r.leftOut[:])
	r.bodyMatches.Reset()
	r.queryMatches.Reset()
}

// Memory is about how many bytes Reset keeps.
func (r *Reading) Memory() int {
	const span = int(unsafe.Sizeof(Span{}))
	return cap(r.text) + cap(r.copied) + span*(cap(r.BodyCuts)+cap(r.QueryCuts)+cap(r.json.Cuts)+cap(r.within.Cuts)) +
		r.bodyMatches.Memory() + r.queryMatches.Memory()
}

// WithoutBody returns the body that was read without the spans of BodyCuts.
func (r *Reading) WithoutBody(body []byte) []byte { return claimjson.Cut(nil, body, r.BodyCuts) }

// WithoutQuery returns the query that was read without the spans of QueryCuts, and without
// what is to be cut within texts in base64.
func (r *Reading) WithoutQuery(query []byte) (left []byte) {
	edits := slices.Clone(r.recoded)
	for _, s := range r.QueryCuts {
		edits = append(edits, recoded{Span: s})
	}
	slices.SortFunc(edits, func(a, b recoded) int { return cmp.Compare(a.Start, b.Start) })
	at := 0
	for _, e := range edits {
		if e.Start >= at {
			left = append(append(left, query[at:e.Start]...), e.text...)
			at = e.End
		}
	}
	return append(left, query[at:]...)
}

// recoded is a text in the query that has another one in its place when a claim is cut.
type recoded struct {
	Span
	text []byte
}

// Single returns a field's value, or nothing where the field could be read in
// two ways.
func (r *Reading) Single(f Field) []byte {
	if found := r.first(f); !found.ambiguous() && found.err == nil {
		return found.value
	}
	return nil
}

// Plain reports whether everything found so far can be read, and in one way only.
func (r *Reading) Plain() bool {
	for rank := range r.ranks + 1 {
		for f := range r.found[rank] {
			if found := &r.found[rank][f]; found.ambiguous() || found.err != nil || found.variant && Field(f).names() {
				return false
			}
		}
	}
	return r.err == nil
}

// Has reports whether the field is there, in whatever spelling.
func (r *Reading) Has(f Field) bool {
	for rank := range r.ranks + 1 {
		if r.found[rank][f].there() {
			return true
		}
	}
	return false
}

// HasProof reports whether a piece of a proof is there, in whatever spelling.
func (r *Reading) HasProof() bool { return r.hasClaim() || r.Has(SessionField) }

// hasClaim reports whether a piece of a claim is there.
func (r *Reading) hasClaim() bool {
	for f := UserID; f < SessionField; f++ {
		if r.Has(f) {
			return true
		}
	}
	return r.err != nil
}

// LeftOut returns the fields that were sent and do not count, and why: they prove
// nothing, and are of a wrong type, over a limit or there more than once. So are those
// that a token signs beside the user's id. It is for use after [Verifier.Verify].
func (r *Reading) LeftOut() []*Error {
	var fields []*Error
	for _, err := range r.leftOut {
		if err != nil {
			fields = append(fields, err)
		}
	}
	return fields
}

// Unverified returns what the browser says of a field, whoever vouches for it. It
// is for use after [Verifier.Verify], which leaves out what cannot be taken as it
// is. The bytes are the request's.
func (r *Reading) Unverified(f Field) []byte { return r.claim[f] }

// Fault returns why a field's value cannot be taken, or nil.
func (r *Reading) Fault(f Field) *Error { return r.first(f).err }

// Err returns why the body cannot be read, or nil.
func (r *Reading) Err() error { return r.err }

// Copy returns a text in memory that is the reading's until Reset.
func (r *Reading) Copy(text string) []byte {
	from := len(r.copied)
	r.copied = append(r.copied, text...)
	return r.copied[from:len(r.copied):len(r.copied)]
}

// Text takes the value of a field from a header or a cookie. Of the place only
// Field and Rank count.
func (r *Reading) Text(p Place, value []byte) {
	found := r.at(&p)
	found.seen = true
	switch {
	case !utf8.Valid(value):
		found.fail(malformed(p.Field, "is not valid UTF-8"))
	case p.Field == Attributes && len(value) > 0 && (!isObject(value) || claimjson.Scan(value, noPaths, &r.within) != nil):
		found.fail(malformed(p.Field, "is not a JSON object"))
	default:
		found.add(p.Field, value)
	}
}

// MarkDuplicate takes note of a field that appears more than once in one place.
func (r *Reading) MarkDuplicate(p Place) { r.at(&p).duplicate = true }

// MarkVariant takes note of a field in a spelling that only some backends take for it.
func (r *Reading) MarkVariant(p Place) { r.at(&p).variant = true }

// MarkMalformed takes note of a field that cannot be decoded.
func (r *Reading) MarkMalformed(p Place, detail string) { r.at(&p).fail(malformed(p.Field, detail)) }

// Fail takes note of a body that cannot be read.
func (r *Reading) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// begin takes note of who reads.
func (r *Reading) begin(by *reader) {
	r.misused = r.misused || r.judged || r.by != nil && r.by != by
	r.by = by
}

// at returns what was found of the place's field in its rank.
func (r *Reading) at(p *Place) *finding {
	r.misused = r.misused || r.judged
	r.ranks = max(r.ranks, p.Rank)
	return &r.found[p.Rank][p.Field]
}

// first returns what was found of a field in the first of its ranks where
// anything is there: later ones stand in for it only where nothing is.
func (r *Reading) first(f Field) *finding {
	for rank := range r.ranks {
		if r.found[rank][f].there() {
			return &r.found[rank][f]
		}
	}
	return &r.found[r.ranks][f]
}

// settle leaves of each field the finding that counts.
func (r *Reading) settle() {
	r.judged = true
	r.standsIn = r.ranks > 0 && !r.found[0][UserID].there()
	if r.ranks > 0 {
		for f := range r.found[0] {
			r.found[0][f] = *r.first(Field(f))
		}
		clear(r.found[1 : r.ranks+1])
		r.ranks = 0
	}
	for f := range r.found[0] {
		r.claim[f] = r.found[0][f].value
	}
}

// fail takes note of a value that cannot be taken. Any text counts as a session, one that
// cannot be decoded as one that does not verify.
func (f *finding) fail(err *Error) {
	if err.Field == SessionField {
		f.add(SessionField, undecodable)
	} else {
		f.refuse(err)
	}
}

var undecodable = []byte{0xff} // no text that can be decoded is this one

func (f *finding) refuse(err *Error) {
	if f.err == nil {
		f.err = err
	}
}

// add takes a value; an empty one counts as absent, another one than before
// makes the claim ambiguous.
func (f *finding) add(field Field, value []byte) {
	switch {
	case len(value) == 0:
	case len(f.value) == 0:
		f.value = value
	case string(f.value) == string(value) || field.names() && sameID(f.value, value):
	default:
		f.duplicate = true
	}
}

var noPaths, _ = claimjson.Compile(nil, never)

// member takes a member of a JSON object.
func (r *Reading) member(p *Place, text []byte, v *claimjson.Value) {
	if v.Kind == claimjson.None && !v.Duplicate && !v.Variant {
		return
	}
	found, f := r.at(p), p.Field
	found.seen = true
	found.duplicate = found.duplicate || v.Duplicate
	found.variant = found.variant || v.Variant
	found.way = found.way || v.Way
	token := text[v.Start:v.End]
	switch {
	case v.Kind == claimjson.None || v.Kind == claimjson.Null:
	case f == Attributes:
		if v.Kind == claimjson.Object {
			found.add(f, token)
		} else if string(token) != "[]" { // PHP's json_encode writes an empty object so
			found.fail(malformed(f, "is not an object"))
		}
	case v.Kind == claimjson.String:
		r.string(found, f, token, v.Escaped)
	case v.Kind == claimjson.Number && f == Timestamp:
		found.add(f, token) // its digits are counted when its shape is checked
	case v.Kind == claimjson.Number && (f == UserID || f.names()):
		if !plainInteger(token) && !(f.names() && numberID(token)) {
			found.fail(malformed(f, "is a number that is no integer, or one beyond ±(2^53-1) that not every parser keeps: send it as a string"))
			return
		}
		found.add(f, token)
	case f == UserID || f.names():
		found.fail(malformed(f, "is neither a string nor an integer"))
	default:
		found.refuse(malformed(f, "is not a string"))
	}
}

// string takes a JSON string.
func (r *Reading) string(found *finding, f Field, token []byte, escaped bool) {
	if !escaped {
		found.add(f, token[1:len(token)-1])
		return
	}
	if len(r.text)+len(token) > maxText {
		found.fail(tooLong(f))
		return
	}
	from := len(r.text)
	decoded, err := claimjson.Unquote(r.text, token)
	if err != nil {
		found.fail(malformed(f, "has half a surrogate pair"))
		return
	}
	r.text = decoded
	found.add(f, decoded[from:len(decoded):len(decoded)])
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

// Compare is for a body that was read twice, as the JSON and as the form that others may
// take it for: other is what the second way has found. A field that differs between the
// two is ambiguous. So is a piece of the proof in other, even an equal one, since
// BodyCuts has no span for it.
func (r *Reading) Compare(other *Reading) {
	if other.err != nil {
		r.Fail(other.err)
	}
	for rank := range other.ranks + 1 {
		for f := range other.found[rank] {
			o := &other.found[rank][f]
			if !o.seen {
				continue
			}
			mine := r.at(&Place{Field: Field(f), Rank: rank})
			if o.duplicate || o.variant || o.err != nil || !(string(o.value) == string(mine.value) || Field(f).names() && sameID(o.value, mine.value)) || Field(f).Proves() && len(o.value) > 0 {
				mine.duplicate = true
			}
		}
	}
}
