package admin

import (
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

func TestJudge(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	type refusals map[judgment.Reason]uint64
	of := func(mode string, counted, verifying time.Duration, verified, disabled uint64, refused refusals) evidence {
		r := &traffic.Readiness{Mode: mode, Now: now, From: now.Add(-counted), Verified: verified, Disabled: disabled}
		if verifying > 0 {
			r.Verifying = now.Add(-verifying)
		}
		for _, reason := range traffic.Reasons {
			if n := refused[reason]; n > 0 {
				r.Refused += n
				r.Refusals = append(r.Refusals, traffic.ReasonCounts{
					Reason: reason, Count: n, Always: reason == judgment.Malformed, Examples: []traffic.Example{{At: now.Add(-5 * time.Minute)}},
				})
			}
		}
		r.Requests = r.Verified + r.Disabled + r.Refused
		return evidence{Readiness: r}
	}
	const day = 23 * time.Hour
	unnamed := of("", day, 0, 0, 0, nil)
	unnamed.unused = "No handler accepts this widget's dialect."
	leftOut := of("optional", day, day, 120, 0, nil)
	leftOut.LeftOut = []traffic.FieldCount{{Field: "name", Count: 1}}
	rotated := of("optional", day, day, 120, 0, refusals{traffic.Session: 40, judgment.Missing: 1})
	rotated.Proofs.Session = 40
	lost := of("optional", day, day, 120, 0, refusals{traffic.Session: 41})
	lost.Proofs.Session = 40
	for _, test := range []struct {
		e    evidence
		want adminapi.Verdict
		text string
	}{
		{of("optional", day, 0, 0, 0, nil), adminapi.Unknown, "Nothing is known yet: no requests in the last 23 hours."},
		{of("off", time.Minute, 0, 0, 3, nil), adminapi.Unknown,
			"Nothing is known yet: 3 requests in the last minute, all in mode off, which verifies nothing. Set the mode to optional to find out."},
		{unnamed, adminapi.Unknown, "Nothing is known, because no request can use this widget. No handler accepts this widget's dialect."},

		{of("optional", day, day, 0, 0, refusals{judgment.Missing: 41}), adminapi.NotSigning,
			"Nobody signs yet: 0 verified, and 41 requests without a claim in the last 23 hours."},
		{of("optional", day, day, 0, 0, refusals{judgment.Missing: 41, judgment.Invalid: 1}), adminapi.NotReady,
			"Not ready: of 42 requests in the last 23 hours, required mode would have refused 42 (41 missing; 1 invalid), the latest 5 minutes ago."},

		{of("optional", time.Minute, time.Minute, 500, 0, nil), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (500 so far) and 60 minutes of counting (1 so far: this gateway has counted for 1 minute). Until now required mode would have refused none."},
		{of("optional", day, day, 19, 0, refusals{judgment.Missing: 2}), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (19 so far) and 60 minutes of counting (1380 so far). Until now required mode would have refused 2, all without a claim."},
		{of("optional", day, 59*time.Minute, 100, 700, nil), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (100 so far) and 60 minutes of counting (59 so far). Until now required mode would have refused none."},
		{of("off", day, day, 100, 0, nil), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (100 so far) and 60 minutes of counting (0 so far: the effective mode is off, which verifies nothing). Until now required mode would have refused none."},
		{of("optional", day, 0, 100, 1, nil), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (100 so far) and 60 minutes of counting (0 so far: the latest requests came in mode off). Until now required mode would have refused none."},
		{of("optional", day, day, 0, 0, refusals{judgment.Unavailable: 1}), adminapi.TooEarly,
			"Too early to say: ready needs at least 20 verified requests (0 so far) and 60 minutes of counting (1380 so far). Until now required mode would have refused none." + notIncluded("1 request")},

		{of("optional", day, time.Hour, 20, 0, nil), adminapi.Ready, "Ready: of 20 requests in the last 23 hours, 20 verified, and required mode would have refused none."},
		{leftOut, adminapi.Ready, "Ready: of 120 requests in the last 23 hours, 120 verified, and required mode would have refused none. " +
			"Left out because of how they were sent, though nothing is refused for it: name in 1 request."},
		{of("optional", day, day, 20, 0, refusals{judgment.Unavailable: 5}), adminapi.Ready,
			"Ready: of 25 requests in the last 23 hours, 20 verified, and required mode would have refused none." + notIncluded("5 requests")},
		{of("optional", day, day, 120, 0, refusals{judgment.Missing: 41}), adminapi.Unsigned,
			"Ready if users must sign in to chat: of 161 requests in the last 23 hours, required mode would have refused 41, all without a claim."},
		{of("optional", time.Minute, time.Minute, 1, 0, refusals{judgment.Malformed: 2, judgment.Unavailable: 3}), adminapi.NotReady,
			"Not ready: of 6 requests in the last minute, required mode would have refused 2 (2 malformed, in optional mode, too), the latest 5 minutes ago." + notIncluded("3 requests")},

		{rotated, adminapi.Unsigned, "Ready if users must sign in to chat: of 161 requests in the last 23 hours, required mode would have refused 1, all without a claim. " +
			"Not included: 40 requests with a session that had ended, for which a page gets a new one."},
		{lost, adminapi.NotReady, "Not ready: of 161 requests in the last 23 hours, required mode would have refused 41 (41 session), the latest 5 minutes ago."},

		{of("required", day, day, 40, 0, refusals{judgment.Invalid: 2}), adminapi.Required,
			"Required already: of 42 requests in the last 23 hours, 40 verified and 2 were refused, or would have been before this mode was set."},
		{of("required", day, day, 2, 0, refusals{judgment.Invalid: 1}), adminapi.Required,
			"Required already: of 3 requests in the last 23 hours, 2 verified and 1 was refused, or would have been before this mode was set."},
		{of("required", time.Minute, 0, 0, 0, nil), adminapi.Required,
			"Required already: of 0 requests in the last minute, 0 verified and 0 were refused, or would have been before this mode was set."},
	} {
		if got, text := test.e.judge(); got != test.want || text != test.text {
			t.Errorf("%s: %s\nwant %s: %s", got, text, test.want, test.text)
		}
	}
}

// TestProofs: how far a widget has come is said where both proofs are there, whatever the
// verdict.
func TestProofs(t *testing.T) {
	for _, test := range []struct {
		proofs traffic.Proofs
		text   string
	}{
		{traffic.Proofs{}, ""},
		{traffic.Proofs{Signature: 7}, ""},
		{traffic.Proofs{Token: 7}, ""},
		{traffic.Proofs{Signature: 1, Token: 3}, " Of the verified requests, 75% were proved by a token and 1 by a signature: with no more of those, 'proof token' refuses nobody."},
		{traffic.Proofs{Signature: 2, Token: 1}, " Of the verified requests, 33% were proved by a token and 2 by a signature: with no more of those, 'proof token' refuses nobody."},
		{traffic.Proofs{Signature: 999, Token: 1}, " Of the verified requests, 1% were proved by a token and 999 by a signature: with no more of those, 'proof token' refuses nobody."},
		{traffic.Proofs{Signature: 1, Token: 999}, " Of the verified requests, 99% were proved by a token and 1 by a signature: with no more of those, 'proof token' refuses nobody."},
	} {
		e := evidence{Readiness: &traffic.Readiness{Proofs: test.proofs}}
		if got := e.proofs(); got != test.text {
			t.Errorf("%+v: %q, want %q", test.proofs, got, test.text)
		}
	}
}

func notIncluded(requests string) string {
	return " Not included: " + requests + " that could not be checked because the store, the ledger, an encryption key or space for uploads was unavailable. " +
		"Required mode refuses such requests, too, but the customer cannot help it."
}
