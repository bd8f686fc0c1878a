package judgment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func TestReasons(t *testing.T) {
	want := strings.Fields("too_large unsupported malformed ambiguous missing partial widget_unknown unavailable invalid expired replayed conversation_claimed")
	if len(Reasons) != len(want) {
		t.Fatalf("%d reasons", len(Reasons))
	}
	for i, r := range Reasons {
		if string(r) != want[i] {
			t.Errorf("reason %d is %s, want %s", i, r, want[i])
		}
		if got, err := ParseReason(want[i]); err != nil || got != r {
			t.Errorf("%s: parsed %q, %v", r, got, err)
		}
		if ReasonOf(table[i].err) != r || ReasonOf(fmt.Errorf("wrapped: %w", table[i].err)) != r {
			t.Errorf("%v has the reason %s", table[i].err, ReasonOf(table[i].err))
		}
		for k := range table {
			if errors.Is(table[i].err, table[k].err) != (i == k) {
				t.Errorf("%v and %v", table[i].err, table[k].err)
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
	email := &verifier.Error{Err: verifier.ErrMalformed, Field: verifier.Email, Detail: "is odd"}
	for err, want := range map[error]Reason{
		email: Malformed,
		&verifier.Error{Err: verifier.ErrAmbiguous}:       Ambiguous,
		fmt.Errorf("outer: %w", email):                    Malformed,
		errors.Join(io.EOF, ErrReplayed):                  Replayed,
		fmt.Errorf("%w, %w", verifier.ErrTooLarge, email): TooLarge,
	} {
		if got := ReasonOf(err); got != want {
			t.Errorf("%v: %s", err, got)
		}
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
