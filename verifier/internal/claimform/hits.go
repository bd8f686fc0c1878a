package claimform

import (
	"errors"
	"unsafe"
)

var (
	// ErrEscape says that a percent sign is not followed by two hexadecimal
	// digits, or that a byte that must be escaped, NUL, is not.
	ErrEscape = errors.New("claimform: bad percent escape")
	// ErrUTF8 says that a name or a watched value is not UTF-8, or that a
	// watched value of a multipart body begins with a byte-order mark.
	ErrUTF8 = errors.New("claimform: not valid UTF-8")
	// ErrMultipart says that a body is not multipart/form-data in the one shape
	// that all parsers take apart alike.
	ErrMultipart = errors.New("claimform: not a well-formed multipart body")
	// ErrLong says that the watched values that have to be decoded are together
	// longer than what is kept of them.
	ErrLong = errors.New("claimform: too much to decode")
	// ErrPart says that a watched field is not sent as plain text: it is a file,
	// or has a transfer encoding, another type or another charset.
	ErrPart = errors.New("claimform: field is not a plain text part")
)

// FieldError says which watched field an error is about.
type FieldError struct {
	Name int // index into the names compiled
	Err  error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns the sentinel.
func (e *FieldError) Unwrap() error { return e.Err }

// Span is a range of bytes: Start up to, but not with, End.
type Span struct{ Start, End int }

// Hit is one occurrence of a watched name, or of a spelling that some parser
// takes for it.
type Hit struct {
	Name    int    // index into the names compiled
	Variant bool   // another spelling than the plain name; its value is unknown
	Value   []byte // decoded, unless Variant; shares memory with what was read or, where it had to be decoded, with Hits
	Span    Span   // what to cut so that this occurrence is gone and the rest unchanged
}

// What is kept of a form does not depend on its size.
const (
	maxHits = 256      // more than there are names: where it does not suffice, one is a duplicate
	maxText = 64 << 10 // bytes of values that have to be decoded, as they were sent
)

// Hits is what was found, in the order in which it stands. Its spans are in
// order and apart, and any of them may be cut without the others. Where one
// occurrence counts for several names, as when two names differ only in letter
// case, all but the first of its hits have an empty span.
//
// The zero value is ready. Reused between reads, it saves their allocations and
// overwrites earlier values.
type Hits struct {
	List []Hit
	// More says that there were more than List may hold. Of fields after these
	// nothing is known but that the whole is well-formed.
	More bool

	text    []byte // decoded values
	matched []int
}

// Memory is about how many bytes Reset keeps.
func (h *Hits) Memory() int {
	return cap(h.text) + int(unsafe.Sizeof(Hit{}))*cap(h.List) + int(unsafe.Sizeof(0))*cap(h.matched)
}

// Reset forgets what was found and keeps the memory.
func (h *Hits) Reset() {
	clear(h.List)
	h.List, h.More = h.List[:0], false
	h.text = h.text[:0]
}

func (h *Hits) add(hit Hit) {
	if len(h.List) == maxHits {
		h.More = true
		return
	}
	h.List = append(h.List, hit)
}

// decode returns a value decoded.
func (h *Hits) decode(value []byte) ([]byte, error) {
	if query.escaped(value) {
		from := len(h.text)
		if from+len(value) > maxText {
			return nil, ErrLong
		}
		h.text = decode(h.text, value, query)
		value = h.text[from:]
	}
	return value[:len(value):len(value)], nil
}
