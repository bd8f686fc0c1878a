package claimform

import (
	"errors"
	"slices"
	"unsafe"
)

// What makes a body one that does not read in one way.
var (
	// ErrEscape says that a percent sign is not followed by two hexadecimal
	// digits, or that a byte that must be escaped, NUL, is not.
	ErrEscape = errors.New("claimform: bad percent escape")
	// ErrUTF8 says that a name or a watched value is not UTF-8, or that a
	// watched value of a multipart body begins with a byte-order mark.
	ErrUTF8 = errors.New("claimform: not valid UTF-8")
	// ErrMultipart says that a body does not have the one shape of
	// multipart/form-data that all parsers take apart alike.
	ErrMultipart = errors.New("claimform: not a well-formed multipart body")
	// ErrHeader says that a part's header does not read in one way, and that a
	// watched name can stand in it.
	ErrHeader = errors.New("claimform: ambiguous part header")
	// ErrCharset says that a field _charset_ has what follows read in another
	// charset (RFC 7578 section 4.6): what names stand in it cannot be told.
	ErrCharset = errors.New("claimform: another charset than UTF-8")
	// ErrFields says that a multipart body's fields are longer than allowed.
	ErrFields = errors.New("claimform: fields too long")
)

// What makes a single field unreadable, beside ErrEscape and ErrUTF8.
var (
	// ErrLong says that the values that have to be kept are together too long.
	ErrLong = errors.New("claimform: too much to keep")
	// ErrPart says that a field is not sent as plain text: it is a file, or has a
	// transfer encoding that changes bytes, another type or another charset.
	ErrPart = errors.New("claimform: field is not a plain text part")
)

// HeaderError is an ErrHeader with the name that can stand there.
type HeaderError struct{ Name string }

func (e *HeaderError) Error() string { return ErrHeader.Error() + ": " + e.Name }

// Unwrap returns the sentinel.
func (e *HeaderError) Unwrap() error { return ErrHeader }

// Span is a range of bytes: Start up to, but not with, End.
type Span = struct{ Start, End int }

// Match is one occurrence of a watched name, or of a spelling that some parser
// takes for it.
type Match struct {
	Name    int    // index into the names compiled
	Variant bool   // another spelling than the plain name; its value is unknown
	Value   []byte // decoded; of a variant or with an error only where Name.Way. Shares memory with what was read, or with Matches
	Err     error  // why this occurrence cannot be read, the form apart from it can; nil for variants that are only that
	Span    Span   // what to cut so that this occurrence is gone and the rest unchanged
	At      Span   // where the value stands, as it was sent
}

// What is kept of a form does not depend on its size.
const (
	maxMatches = 16       // of one name: what counts is whether there are more than one, and where
	maxText    = 64 << 10 // bytes of values that have to be kept, as they were sent, but for those of Name.Way
)

// Matches is what was found, in the order in which it stands. Where one occurrence
// counts for several names, as when two names differ only in letter case, its
// matches follow each other with the same span. Otherwise spans are in order and
// apart, and any of them may be cut without the others.
//
// The zero value is ready. Used for a second read, it forgets the matches of the first,
// of which values that were taken stay as they are until Reset.
type Matches struct {
	List []Match

	counts  []uint8 // by name, and _charset_, up to maxMatches+1
	text    []byte  // values that had to be decoded or copied
	kept    int     // how much was decoded or copied that counts against maxText
	matched []int
	name    []byte // a nested name, decoded
}

// More reports whether there was more of a name than List may hold, of which
// nothing else is known.
func (h *Matches) More(name int) bool { return name < len(h.counts) && h.counts[name] > maxMatches }

// Memory is about how many bytes Reset keeps.
func (h *Matches) Memory() int {
	return cap(h.text) + int(unsafe.Sizeof(Match{}))*cap(h.List) + int(unsafe.Sizeof(0))*cap(h.matched) + cap(h.counts) + cap(h.name)
}

// Reset forgets what was found and keeps the memory.
func (h *Matches) Reset() {
	h.forget()
	h.text = h.text[:0]
}

// forget forgets what was found, but for the text of values.
func (h *Matches) forget() {
	clear(h.List)
	h.List, h.counts, h.kept = h.List[:0], h.counts[:0], 0
}

// begin makes it ready for so many names, and _charset_.
func (h *Matches) begin(names int) {
	h.forget()
	names++
	if cap(h.counts) < names {
		h.counts = make([]uint8, names)
	}
	h.counts = h.counts[:names]
	clear(h.counts)
}

// match takes note of a name that is found, if there is room for a match of it.
func (h *Matches) match(name int) {
	switch {
	case h.counts[name] >= maxMatches:
		h.counts[name] = maxMatches + 1
	case !slices.Contains(h.matched, name):
		h.matched = append(h.matched, name)
	}
}

// add keeps a match of a name that match has taken note of.
func (h *Matches) add(match Match) {
	h.counts[match.Name]++
	h.List = append(h.List, match)
}

// decode returns a value decoded. Where all is set, it may have any length.
func (h *Matches) decode(value []byte, all bool) ([]byte, error) {
	if query.escaped(value) {
		if !all {
			if h.kept+len(value) > maxText {
				return nil, ErrLong
			}
			h.kept += len(value)
		}
		from := len(h.text)
		h.text = decode(h.text, value, query)
		value = h.text[from:]
	}
	return value[:len(value):len(value)], nil
}
