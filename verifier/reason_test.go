package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// sentinels in the order of Reasons.
var sentinels = []error{
	ErrTooLarge, ErrUnsupported, ErrMalformed, ErrAmbiguous, ErrMissing, ErrPartial,
	ErrWidgetUnknown, ErrUnavailable, ErrInvalid, ErrExpired, ErrReplayed, ErrClaimed,
}

func TestReasons(t *testing.T) {
	want := strings.Fields("too_large unsupported malformed ambiguous missing partial widget_unknown unavailable invalid expired replayed conversation_claimed")
	if len(Reasons) != len(want) || len(sentinels) != len(want) {
		t.Fatalf("%d reasons", len(Reasons))
	}
	for i, r := range Reasons {
		if string(r) != want[i] {
			t.Errorf("reason %d is %s, want %s", i, r, want[i])
		}
		if got, err := ParseReason(want[i]); err != nil || got != r {
			t.Errorf("%s: parsed %q, %v", r, got, err)
		}
		if ReasonOf(sentinels[i]) != r || ReasonOf(fmt.Errorf("wrapped: %w", sentinels[i])) != r {
			t.Errorf("%v has the reason %s", sentinels[i], ReasonOf(sentinels[i]))
		}
		if !strings.HasPrefix(sentinels[i].Error(), "verifier: ") {
			t.Errorf("%v does not say where it is from", sentinels[i])
		}
		for k := range sentinels {
			if errors.Is(sentinels[i], sentinels[k]) != (i == k) {
				t.Errorf("%v and %v", sentinels[i], sentinels[k])
			}
		}
	}
	for _, name := range []string{"", "Invalid", "verified", "none"} {
		if _, err := ParseReason(name); err == nil || !strings.Contains(err.Error(), "one of too_large, ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestReasonOfOthers(t *testing.T) {
	if got := ReasonOf(nil); got != "" {
		t.Errorf("nil: %s", got)
	}
	// Whatever could not be checked is not verified.
	for _, err := range []error{io.EOF, context.Canceled, errors.New("dial tcp: refused"), errors.Join(io.EOF, io.ErrUnexpectedEOF)} {
		if got := ReasonOf(err); got != Unavailable {
			t.Errorf("%v: %s", err, got)
		}
	}
	for err, want := range map[error]Reason{
		&FieldError{Field: Email, Err: ErrMalformed, Detail: "is odd"}:           Malformed,
		&FieldError{Field: Email, Err: ErrExpired}:                               Expired,
		&BodyError{Detail: "is odd"}:                                             Malformed,
		fmt.Errorf("outer: %w", &BodyError{Detail: "is odd"}):                    Malformed,
		fmt.Errorf("outer: %w", &FieldError{Field: UserID, Err: ErrInvalid}):     Invalid,
		errors.Join(io.EOF, ErrReplayed):                                         Replayed,
		fmt.Errorf("%w, %w", ErrTooLarge, &BodyError{Detail: "is odd, as well"}): TooLarge,
	} {
		if got := ReasonOf(err); got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
	if got := (&FieldError{Field: Email, Err: ErrMalformed, Detail: "is odd"}).Error(); got != "verifier: email is odd" {
		t.Error(got)
	}
	if got := (&BodyError{Detail: "is odd"}).Error(); got != "verifier: the body is odd" {
		t.Error(got)
	}
}

func TestOutcomes(t *testing.T) {
	want := map[Reason]Outcome{
		"": OutcomeVerified, TooLarge: OutcomeMalformed, Unsupported: OutcomeMalformed, Malformed: OutcomeMalformed,
		Ambiguous: OutcomeInvalid, Missing: OutcomeAnonymous, Partial: OutcomeAnonymous, WidgetUnknown: OutcomeInvalid,
		Unavailable: OutcomeUnavailable, Invalid: OutcomeInvalid, Expired: OutcomeExpired, Replayed: OutcomeReplayed,
		ConversationClaimed: OutcomeVerified,
	}
	for _, r := range append([]Reason{""}, Reasons...) {
		if r.Outcome() != want[r] {
			t.Errorf("%q: %s", r, r.Outcome())
		}
		if !slices.Contains(Outcomes, r.Outcome()) {
			t.Errorf("%s is not in the list", r.Outcome())
		}
	}
	names := strings.Fields("disabled anonymous verified invalid expired replayed unavailable malformed")
	for i, o := range Outcomes {
		if string(o) != names[i] {
			t.Errorf("outcome %d is %s", i, o)
		}
	}
}
