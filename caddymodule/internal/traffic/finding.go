// Package traffic counts requests by widget, outcome and reason, in the last minute, hour
// and day and in total, and keeps a few examples of those that were not verified. Its
// memory is bounded, whatever clients send.
package traffic

import (
	"slices"
	"sync/atomic"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Finding is a request's outcome and reason as a small number, so that counting is an
// index and an addition.
type Finding uint8

// The findings: four without a reason, one per reason, further ones for a claimed
// conversation, whose outcome is the claim's, and those of sessions that have ended.
const (
	Disabled          Finding = iota
	Verified                  // by a signature
	VerifiedByToken           // where outcome and reason do not tell it apart
	VerifiedBySession         // likewise
	firstReason
	numFindings = firstReason + 12 + 6 + 4
)

// Session is shown to people as the reason where a session has ended. After a rotation every
// page has such a session, and gets a new one by itself.
const Session judgment.Reason = "session"

// Reasons are all reasons that people are shown of refusals.
var Reasons = append(slices.Clone(judgment.Reasons), Session)

const numReasons = 12 + 1

type found struct {
	outcome judgment.Outcome
	reason  judgment.Reason
	session bool // it is a session's that has ended
}

// table has the outcome and reason of each finding.
var table = func() []found {
	verified := found{outcome: judgment.OutcomeVerified}
	all := []found{{outcome: judgment.OutcomeDisabled}, verified, verified, verified}
	for _, reason := range judgment.Reasons {
		all = append(all, found{reason.Outcome(), reason, false})
	}
	for _, outcome := range judgment.Outcomes {
		if other := (found{outcome, judgment.ConversationClaimed, false}); outcome != judgment.OutcomeDisabled && !slices.Contains(all, other) {
			all = append(all, other)
		}
	}
	for _, reason := range []judgment.Reason{judgment.Invalid, judgment.Expired} {
		all = append(all, found{reason.Outcome(), reason, true}, found{reason.Outcome(), judgment.ConversationClaimed, true})
	}
	return all
}()

// FindingOf returns the finding of a request. The reason may be "".
func FindingOf(outcome judgment.Outcome, reason judgment.Reason) Finding {
	f := slices.Index(table, found{outcome, reason, false})
	if f < 0 { // the outcome tells nothing that the reason does not
		f = slices.IndexFunc(table, func(t found) bool { return t.reason == reason })
	}
	return Finding(f)
}

// OfSession returns the same finding about a session that has ended, where there is one.
func (f Finding) OfSession() Finding {
	if of := slices.Index(table, found{table[f].outcome, table[f].reason, true}); of >= 0 {
		return Finding(of)
	}
	return f
}

// Reason returns why a request was not verified or not allowed, "" for none.
func (f Finding) Reason() judgment.Reason { return table[f].reason }

// Shown returns the reason that people are shown, "" for none.
func (f Finding) Shown() judgment.Reason {
	if table[f].session {
		return Session
	}
	return table[f].reason
}

// Proof returns what proved a verified request, or that it is a session that has ended, "none"
// for others.
func (f Finding) Proof() string {
	switch {
	case f == Verified:
		return "signature"
	case f == VerifiedByToken:
		return "token"
	case f == VerifiedBySession, table[f].session:
		return "session"
	}
	return "none"
}

// Outcome returns the outcome.
func (f Finding) Outcome() judgment.Outcome { return table[f].outcome }

func reasonIndex(reason judgment.Reason) int { return slices.Index(Reasons, reason) }

// counters count requests by finding.
type counters [numFindings]atomic.Uint64

func (c *counters) load() (n counts) {
	for f := range n {
		n[f] = c[f].Load()
	}
	return n
}

// counts are numbers of requests by finding.
type counts [numFindings]uint64

// since returns the difference to earlier counts.
func (c counts) since(earlier *counts) counts {
	for f := range c {
		c[f] -= min(c[f], earlier[f])
	}
	return c
}

// verified returns the verified requests.
func (c *counts) verified() uint64 { return c[Verified] + c[VerifiedByToken] + c[VerifiedBySession] }

func (c *counts) requests() (n uint64) {
	for _, count := range c {
		n += count
	}
	return n
}
