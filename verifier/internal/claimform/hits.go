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

// Hits is what was found, in the order in which it stands. Its spans are in
// order and apart, and any of them may be cut without the others. Where one
// occurrence counts for several names, as when two names differ only in letter
// case, all but the first of its hits have an empty span.
//
// The zero value is ready. Reused between reads, it saves their allocations and
// overwrites earlier values; it keeps the memory of the largest.
type Hits struct {
	List []Hit

	text    []byte // decoded values
	name    []byte // decoded name
	form    []byte // its normal form
	matched []int
}

// Memory is about how many bytes Reset keeps.
func (h *Hits) Memory() int {
	return cap(h.text) + cap(h.name) + cap(h.form) + int(unsafe.Sizeof(Hit{}))*cap(h.List) + int(unsafe.Sizeof(0))*cap(h.matched)
}

// Reset forgets what was found and keeps the memory.
func (h *Hits) Reset() {
	clear(h.List)
	h.List = h.List[:0]
	h.text = h.text[:0]
}
