package verifier

import (
	"errors"
	"strings"
)

// Reason says why a request is not verified. The set is closed, so that a
// reason can be a metric's label, a configuration's keyword and a header's value.
type Reason string

// The reasons, in the order in which they are judged: of two that hold, the
// earlier one is reported.
const (
	TooLarge            Reason = "too_large"
	Unsupported         Reason = "unsupported"
	Malformed           Reason = "malformed"
	Ambiguous           Reason = "ambiguous"
	Missing             Reason = "missing"
	Partial             Reason = "partial"
	WidgetUnknown       Reason = "widget_unknown"
	Unavailable         Reason = "unavailable"
	Invalid             Reason = "invalid"
	Expired             Reason = "expired"
	Replayed            Reason = "replayed"
	ConversationClaimed Reason = "conversation_claimed"
)

// Reasons are all reasons in the order in which they are judged.
var Reasons = []Reason{
	TooLarge, Unsupported, Malformed, Ambiguous, Missing, Partial,
	WidgetUnknown, Unavailable, Invalid, Expired, Replayed, ConversationClaimed,
}

// ParseReason returns the reason of that name.
func ParseReason(name string) (Reason, error) {
	for _, r := range Reasons {
		if string(r) == name {
			return r, nil
		}
	}
	names := make([]string, len(Reasons))
	for i, r := range Reasons {
		names[i] = string(r)
	}
	return "", errors.New("unknown reason '" + name + "': one of " + strings.Join(names, ", "))
}

// Outcome is what verification found, in the words a backend sees.
type Outcome string

// The outcomes.
const (
	OutcomeDisabled    Outcome = "disabled"
	OutcomeAnonymous   Outcome = "anonymous"
	OutcomeVerified    Outcome = "verified"
	OutcomeInvalid     Outcome = "invalid"
	OutcomeExpired     Outcome = "expired"
	OutcomeReplayed    Outcome = "replayed"
	OutcomeUnavailable Outcome = "unavailable"
	OutcomeMalformed   Outcome = "malformed"
)

// Outcomes are all outcomes.
var Outcomes = []Outcome{
	OutcomeDisabled, OutcomeAnonymous, OutcomeVerified, OutcomeInvalid,
	OutcomeExpired, OutcomeReplayed, OutcomeUnavailable, OutcomeMalformed,
}

// Outcome returns the outcome of a request that is not verified for that
// reason. A claimed conversation leaves the outcome as the claim's.
func (r Reason) Outcome() Outcome {
	switch r {
	case Missing, Partial:
		return OutcomeAnonymous
	case Invalid, Ambiguous, WidgetUnknown:
		return OutcomeInvalid
	case Expired:
		return OutcomeExpired
	case Replayed:
		return OutcomeReplayed
	case Unavailable:
		return OutcomeUnavailable
	case TooLarge, Unsupported, Malformed:
		return OutcomeMalformed
	default:
		return OutcomeVerified
	}
}

// reasonError is a sentinel: each reason has exactly one.
type reasonError struct {
	reason Reason
	text   string
}

func (e *reasonError) Error() string { return "verifier: " + e.text }

// The sentinels, one a reason.
var (
	ErrTooLarge      error = &reasonError{TooLarge, "body larger than the limit"}
	ErrUnsupported   error = &reasonError{Unsupported, "body has a content encoding or a charset that is not read"}
	ErrMalformed     error = &reasonError{Malformed, "malformed"}
	ErrAmbiguous     error = &reasonError{Ambiguous, "a field appears more than once, or with two values"}
	ErrMissing       error = &reasonError{Missing, "no claim"}
	ErrPartial       error = &reasonError{Partial, "half a claim"}
	ErrWidgetUnknown error = &reasonError{WidgetUnknown, "no such widget"}
	ErrUnavailable   error = &reasonError{Unavailable, "the widget's secret is currently unavailable"}
	ErrInvalid       error = &reasonError{Invalid, "the signature does not match"}
	ErrExpired       error = &reasonError{Expired, "the timestamp is too old or too far ahead"}
	ErrReplayed      error = &reasonError{Replayed, "the one-time signature was used before"}
	ErrClaimed       error = &reasonError{ConversationClaimed, "the conversation belongs to someone else"}
)

// ReasonOf returns the reason that err stands for, "" for nil. An error of
// another kind is [Unavailable]: whatever could not be checked is not verified.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*reasonError](err); ok {
		return e.reason
	}
	return Unavailable
}

// FieldError is a claim's field that cannot be taken as it is. It unwraps to
// the sentinel of its reason, and never holds the field's value.
type FieldError struct {
	Field Field
	Err   error
	// Detail says what is wrong with the field, to an integrator.
	Detail string
}

// Error returns the field's name and the detail.
func (e *FieldError) Error() string { return "verifier: " + e.Field.String() + " " + e.Detail }

// Unwrap returns the sentinel.
func (e *FieldError) Unwrap() error { return e.Err }

// BodyError is a body, or a query, that cannot be read as what it is declared to
// be, and in which a claim could stand. It unwraps to [ErrMalformed].
type BodyError struct {
	// Detail says what is wrong with it, to an integrator.
	Detail string
	// Name is the watched name that can stand in it; "" where that is not why.
	Name string
	// Query says that it is the query.
	Query bool
}

// Error returns the name and the detail.
func (e *BodyError) Error() string {
	of := "body"
	if e.Query {
		of = "query"
	}
	if e.Name == "" {
		return "verifier: the " + of + " " + e.Detail
	}
	return "verifier: the " + of + " names " + e.Name + " and " + e.Detail
}

// Unwrap returns the sentinel.
func (e *BodyError) Unwrap() error { return ErrMalformed }

func malformed(f Field, detail string) error {
	return &FieldError{Field: f, Err: ErrMalformed, Detail: detail}
}

func tooLong(f Field) error { return malformed(f, "is too long to be read") }
