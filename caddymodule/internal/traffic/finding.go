// Package traffic counts requests by widget, outcome and reason, in the last minute, hour
// and day and in total, and keeps a few examples of those that were not verified. Its
// memory is bounded, whatever clients send.
package traffic

import (
	"sync/atomic"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Finding is a request's outcome and reason as a small number, so that counting is an
// index and an addition.
type Finding uint8

// The findings: two without a reason, one per reason, and further ones for a claimed
// conversation, whose outcome is the claim's.
const (
	Verified Finding = iota
	Disabled
	firstReason
	numReasons  = 12
	firstOther  = firstReason + numReasons
	numFindings = firstOther + Finding(len(otherOutcomes))
)

// otherOutcomes are the outcomes of requests for a claimed conversation, other than
// verified.
var otherOutcomes = [...]judgment.Outcome{
	judgment.OutcomeAnonymous, judgment.OutcomeInvalid, judgment.OutcomeExpired, judgment.OutcomeReplayed,
	judgment.OutcomeUnavailable, judgment.OutcomeMalformed,
}

// FindingOf returns the finding of a request. The reason may be "".
func FindingOf(outcome judgment.Outcome, reason judgment.Reason) Finding {
	if reason == "" {
		if outcome == judgment.OutcomeVerified {
			return Verified
		}
		return Disabled
	}
	if reason == judgment.ConversationClaimed {
		for i, other := range otherOutcomes {
			if outcome == other {
				return firstOther + Finding(i)
			}
		}
	}
	return firstReason + Finding(reasonIndex(reason))
}

func reasonIndex(reason judgment.Reason) int {
	for i, r := range judgment.Reasons {
		if r == reason {
			return i
		}
	}
	panic("traffic: unknown reason " + string(reason)) // a bug: the set is closed
}

// Reason returns why a request was not verified or not allowed, "" for none.
func (f Finding) Reason() judgment.Reason {
	switch {
	case f < firstReason:
		return ""
	case f < firstOther:
		return judgment.Reasons[f-firstReason]
	default:
		return judgment.ConversationClaimed
	}
}

// Outcome returns the outcome.
func (f Finding) Outcome() judgment.Outcome {
	switch {
	case f == Verified:
		return judgment.OutcomeVerified
	case f == Disabled:
		return judgment.OutcomeDisabled
	case f < firstOther:
		return f.Reason().Outcome()
	default:
		return otherOutcomes[f-firstOther]
	}
}

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
