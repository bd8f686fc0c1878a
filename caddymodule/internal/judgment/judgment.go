// Package judgment defines how the gateway names what it found: a reason, either one of the
// verifier's or one that only a gateway knows, and an outcome. Both are closed sets, so
// that they can be metric labels, keywords of a configuration and values of headers.
package judgment

import (
	"errors"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Reason says why a request is not verified.
type Reason string

// The reasons in order of precedence: if two apply, the earlier one is reported.
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

// Errors that only a gateway can find.
var (
	ErrUnsupported   = errors.New("body has a content encoding or a charset that is not read")
	ErrWidgetUnknown = errors.New("no such widget")
	ErrUnavailable   = errors.New("the widget's secret is currently unavailable")
	ErrReplayed      = errors.New("the one-time signature was used before")
	ErrClaimed       = errors.New("the conversation belongs to someone else")
)

// table has the error and the outcome of each reason, in order. After a claimed conversation
// the outcome is the claim's.
var table = []struct {
	reason  Reason
	err     error
	outcome Outcome
}{
	{TooLarge, verifier.ErrTooLarge, OutcomeMalformed},
	{Unsupported, ErrUnsupported, OutcomeMalformed},
	{Malformed, verifier.ErrMalformed, OutcomeMalformed},
	{Ambiguous, verifier.ErrAmbiguous, OutcomeInvalid},
	{Missing, verifier.ErrMissing, OutcomeAnonymous},
	{Partial, verifier.ErrPartial, OutcomeAnonymous},
	{WidgetUnknown, ErrWidgetUnknown, OutcomeInvalid},
	{Unavailable, ErrUnavailable, OutcomeUnavailable},
	{Invalid, verifier.ErrInvalid, OutcomeInvalid},
	{Expired, verifier.ErrExpired, OutcomeExpired},
	{Replayed, ErrReplayed, OutcomeReplayed},
	{ConversationClaimed, ErrClaimed, OutcomeVerified},
}

// Reasons are all reasons in order.
var Reasons = func() (all []Reason) {
	for _, row := range table {
		all = append(all, row.reason)
	}
	return all
}()

// ReasonOf returns the reason for an error, "" for nil. Any other error than those of the
// table is [Unavailable]: what could not be checked is not verified.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	for i := range table {
		if errors.Is(err, table[i].err) {
			return table[i].reason
		}
	}
	return Unavailable
}

// ParseReason returns the reason of that name.
func ParseReason(name string) (Reason, error) {
	var names []string
	for _, r := range Reasons {
		if string(r) == name {
			return r, nil
		}
		names = append(names, string(r))
	}
	return "", choice.Unknown("reason", name, names)
}

// Outcome is what verification found, as a backend sees it.
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

// Outcome returns the outcome of a request that is not verified for that reason.
func (r Reason) Outcome() Outcome {
	for i := range table {
		if table[i].reason == r {
			return table[i].outcome
		}
	}
	return OutcomeVerified
}
