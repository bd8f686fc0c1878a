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

// The findings: four without a reason, one per reason, and further ones for a claimed
// conversation, the last reason, whose outcome is the claim's.
const (
	Disabled          Finding = iota
	Verified                  // by a signature
	VerifiedByToken           // where outcome and reason do not tell it apart
	VerifiedBySession         // likewise
	firstReason
	numReasons  = 12
	firstOther  = firstReason + numReasons
	numFindings = firstOther + 6
)

type found struct {
	outcome judgment.Outcome
	reason  judgment.Reason
}

// table has the outcome and reason of each finding.
var table = func() []found {
	all := []found{{judgment.OutcomeDisabled, ""}, {judgment.OutcomeVerified, ""}, {judgment.OutcomeVerified, ""}, {judgment.OutcomeVerified, ""}}
	for _, reason := range judgment.Reasons {
		all = append(all, found{reason.Outcome(), reason})
	}
	for _, outcome := range judgment.Outcomes {
		if other := (found{outcome, judgment.ConversationClaimed}); outcome != judgment.OutcomeDisabled && !slices.Contains(all, other) {
			all = append(all, other)
		}
	}
	return all
}()

// FindingOf returns the finding of a request. The reason may be "".
func FindingOf(outcome judgment.Outcome, reason judgment.Reason) Finding {
	f := slices.Index(table, found{outcome, reason})
	if f < 0 { // the outcome tells nothing that the reason does not
		f = slices.IndexFunc(table, func(t found) bool { return t.reason == reason })
	}
	return Finding(f)
}

// Reason returns why a request was not verified or not allowed, "" for none.
func (f Finding) Reason() judgment.Reason { return table[f].reason }

// Proof returns what proved a verified request, "none" for others.
func (f Finding) Proof() string {
	switch f {
	case Verified:
		return "signature"
	case VerifiedByToken:
		return "token"
	case VerifiedBySession:
		return "session"
	}
	return "none"
}

// Outcome returns the outcome.
func (f Finding) Outcome() judgment.Outcome { return table[f].outcome }

func reasonIndex(reason judgment.Reason) int { return slices.Index(judgment.Reasons, reason) }

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

// of returns the requests with a finding's reason. Claimed conversations, the last reason,
// have several findings.
func (c *counts) of(f Finding) uint64 {
	n := c[f]
	if f == firstOther-1 {
		for _, other := range c[firstOther:] {
			n += other
		}
	}
	return n
}
