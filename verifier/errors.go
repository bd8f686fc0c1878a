package verifier

import "errors"

// The reasons against a claim, in the order in which they are judged: of two that
// hold, the earlier one is returned.
var (
	// ErrTooLarge: the fields of a multipart form are larger than the limit.
	ErrTooLarge = errors.New("verifier: body larger than the limit")
	// ErrMalformed: the body cannot be read in one way and names a field of a
	// claim, or a field is of a wrong type or over its limit. An [Error] says which.
	ErrMalformed = errors.New("verifier: malformed")
	// ErrAmbiguous: two readers could find two claims.
	ErrAmbiguous = errors.New("verifier: a field appears more than once, or with two values")
	// ErrMissing: there is no claim. The request is from an anonymous visitor.
	ErrMissing = errors.New("verifier: no claim")
	// ErrPartial: there is a user id without a signature, or the reverse, or one of
	// them is there only in another spelling or inside an array. An [Error] says which.
	ErrPartial = errors.New("verifier: half a claim")
	// ErrInvalid: no key gives the signature.
	ErrInvalid = errors.New("verifier: the signature does not match")
	// ErrExpired: the signature matches, and its timestamp is too old or too far
	// ahead.
	ErrExpired = errors.New("verifier: the timestamp is too old or too far ahead")
)

// errReading is no reason against a claim: the program has read it with another
// Verifier than the one that verifies it, for which it may say something else, or into
// a Reading that an earlier request has left without Reset. Nor is errOpen, of a form of
// which nothing is known before its end.
var (
	errReading = errors.New("verifier: the Reading was made by another Verifier, or was not Reset")
	errOpen    = errors.New("verifier: the Multipart was not closed")
	errNoKey   = errors.New("verifier: there is no key to sign with")
)

// Error says what is wrong with a claim to whoever wrote the program that sends
// it. It never holds a value of the request.
type Error struct {
	// Err is the reason: [ErrMalformed], [ErrAmbiguous] or [ErrPartial].
	Err error
	// Part is "body" or "query" where that cannot be read in one way, and "" where
	// the error is about a field.
	Part string
	// Field is the field.
	Field Field
	// Name is the name, in the part, for which the request is not taken for one
	// without a claim; "" where that is not why.
	Name string
	// Detail says what is wrong, after the name of the field or the part.
	Detail string
}

// Error returns the name and the detail.
func (e *Error) Error() string {
	switch {
	case e.Part == "":
		return "verifier: " + e.Field.String() + " " + e.Detail
	case e.Name == "":
		return "verifier: the " + e.Part + " " + e.Detail
	}
	return "verifier: the " + e.Part + " names " + e.Name + " and " + e.Detail
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Misspelled reports whether the field is there, but in a spelling that only some
// programs take for its name, or inside an array.
func (e *Error) Misspelled() bool { return e.Field <= Email && e == &partial[e.Field].misspelled }

// partial has what half a claim may lack, made once: such claims are many.
var partial = func() (errs [Email + 1]struct{ missing, misspelled Error }) {
	for f := range errs {
		errs[f].missing = Error{Err: ErrPartial, Field: Field(f), Detail: "is missing"}
		errs[f].misspelled = Error{Err: ErrPartial, Field: Field(f), Detail: "is there only in another spelling or inside an array"}
	}
	return errs
}()

func malformed(f Field, detail string) *Error {
	return &Error{Err: ErrMalformed, Field: f, Detail: detail}
}

func tooLong(f Field) *Error { return malformed(f, "is too long to be read") }
