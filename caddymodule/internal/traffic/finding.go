// Package traffic counts requests by widget and outcome, in the last minute, hour
// and day and since it began, and keeps a few examples of those that were not
// verified. Its memory is bounded, whatever clients send.
package traffic

import (
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Finding is a request's outcome and reason as one small number, so that counting
// is an index and an addition.
type Finding uint8

// The findings: two without a reason, one a reason, and those of a claimed
// conversation, which leaves the outcome as the claim's.
const (
	Verified Finding = iota
	Disabled
	firstReason
	numReasons  = 12
	firstOther  = firstReason + numReasons
	numFindings = firstOther + Finding(len(otherOutcomes))
)

// otherOutcomes are those that a claimed conversation may leave, but for the
// verified one, which is the reason's own.
var otherOutcomes = [...]verifier.Outcome{
	verifier.OutcomeAnonymous, verifier.OutcomeInvalid, verifier.OutcomeExpired, verifier.OutcomeReplayed,
	verifier.OutcomeUnavailable, verifier.OutcomeMalformed,
}

// FindingOf returns the finding of a request. The reason is "" where there is none.
func FindingOf(outcome verifier.Outcome, reason verifier.Reason) Finding {
	if reason == "" {
		if outcome == verifier.OutcomeVerified {
			return Verified
		}
		return Disabled
	}
	if reason == verifier.ConversationClaimed {
		for i, other := range otherOutcomes {
			if outcome == other {
				return firstOther + Finding(i)
			}
		}
	}
	return firstReason + Finding(reasonIndex(reason))
}

func reasonIndex(reason verifier.Reason) int {
	for i, r := range verifier.Reasons {
		if r == reason {
			return i
		}
	}
	panic("traffic: unknown reason " + string(reason)) // a bug: the set is closed
}

// Reason returns the reason why a request was not verified, "" where there is none.
func (f Finding) Reason() verifier.Reason {
	switch {
	case f < firstReason:
		return ""
	case f < firstOther:
		return verifier.Reasons[f-firstReason]
	default:
		return verifier.ConversationClaimed
	}
}

// Outcome returns the outcome.
func (f Finding) Outcome() verifier.Outcome {
	switch {
	case f == Verified:
		return verifier.OutcomeVerified
	case f == Disabled:
		return verifier.OutcomeDisabled
	case f < firstOther:
		return f.Reason().Outcome()
	default:
		return otherOutcomes[f-firstOther]
	}
}

// findings is how many requests there were, by finding.
type findings [numFindings]uint64

func (n *findings) sample() (s sample) {
	for f := range numFindings {
		s.add(f, n[f])
	}
	return s
}

// sample is how many requests there were until some moment, by finding; claimed
// conversations are one there.
type sample [firstOther]uint64

// add adds a finding's count.
func (s *sample) add(f Finding, n uint64) {
	if f >= firstOther {
		f = firstReason + numReasons - 1 // conversation_claimed is the last reason
	}
	s[f] += n
}

// since returns what came after an earlier sample.
func (s sample) since(earlier *sample) sample {
	for i := range s {
		s[i] -= min(s[i], earlier[i])
	}
	return s
}

func (s *sample) plus(other *sample) {
	for i := range s {
		s[i] += other[i]
	}
}

func (s *sample) requests() (n uint64) {
	for _, c := range s {
		n += c
	}
	return n
}
