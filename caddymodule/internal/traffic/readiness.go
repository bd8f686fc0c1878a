package traffic

import (
	"cmp"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Readiness is which of a widget's requests in the last day required mode would have
// refused, or has refused if that is its mode.
type Readiness struct {
	Mode string    `json:"mode"` // the widget's effective mode
	Now  time.Time `json:"now"`
	From time.Time `json:"from"` // since when requests are counted, at most a day ago
	// Verifying is since when requests have been verified, without one in mode off between
	// them, but not before From.
	Verifying time.Time      `json:"verifying_since,omitzero"`
	Requests  uint64         `json:"requests"`
	Verified  uint64         `json:"verified"`
	Proofs    Proofs         `json:"proofs"`
	Refused   uint64         `json:"refused"`
	Refusals  []ReasonCounts `json:"refusals"` // most frequent first
	Disabled  uint64         `json:"disabled"` // in mode off, so that nothing is known about them
	// LeftOut are fields that were ignored because of how they were sent, such as a name
	// over its limit. That refuses no request.
	LeftOut []FieldCount `json:"left_out"`
}

// FieldCount is the number of requests in which a field was left out.
type FieldCount struct {
	Field string `json:"field"`
	Count uint64 `json:"count"`
}

// ReasonCounts are the refusals for one reason.
type ReasonCounts struct {
	Reason judgment.Reason `json:"reason"`
	Count  uint64          `json:"count"`
	Always bool            `json:"always"` // optional mode refuses it, too
	// Diagnosed is how many of these requests were looked at for hints, which are a sample.
	Diagnosed uint64      `json:"diagnosed"`
	Hints     []HintCount `json:"hints"`    // most frequent first
	Examples  []Example   `json:"examples"` // newest first
}

// HintCount is how often a hint was given.
type HintCount struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Count uint64 `json:"count"`
}

// Readiness returns a widget's readiness. If the widget is known to exist, it has counts of
// its own from then on.
func (t *Traffic) Readiness(widget string, known bool) *Readiness {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(widget)
	if t.crowded && known {
		s = t.place(widget, maxPlaces+maxWatched, watching)
	}
	now := t.clock()
	r := &Readiness{Now: now.UTC(), From: t.dayStart().UTC(), Refusals: []ReasonCounts{}, LeftOut: []FieldCount{}}
	if s == nil {
		if t.crowded {
			r.From = r.Now // nothing is known about the widget
		}
		return r
	}
	if t.crowded && s.joined.After(r.From) {
		r.From = s.joined.UTC() // earlier requests are part of the rest
	}
	if began := s.verifying.Load(); began != 0 {
		r.Verifying = time.Unix(0, began).UTC()
		if r.Verifying.Before(r.From) {
			r.Verifying = r.From
		}
	}
	counts := &s.tally()[day]
	r.Requests, r.Verified, r.Disabled = counts.requests(), counts.verified(), counts[Disabled]
	r.Proofs = counts.proofs()
	r.Refused = r.Requests - r.Verified - r.Disabled
	hour := int64(now.Sub(t.since) / time.Hour)
	r.LeftOut = s.refusals.leftOutView(hour)
	reasons := counts.reasons()
	for i, reason := range Reasons {
		if n := reasons[reason]; n > 0 {
			r.Refusals = append(r.Refusals, s.refusals.view(i, n, hour, now))
		}
	}
	slices.SortStableFunc(r.Refusals, func(a, b ReasonCounts) int { return cmp.Compare(b.Count, a.Count) })
	return r
}

func (r *refusals) view(reason int, count uint64, hour int64, now time.Time) ReasonCounts {
	v := ReasonCounts{Reason: Reasons[reason], Count: count, Hints: []HintCount{}, Examples: []Example{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.by[reason]
	if kept == nil {
		return v
	}
	v.Always = kept.always
	for _, e := range kept.examples {
		if now.Sub(e.At) < 24*time.Hour {
			v.Examples = append(v.Examples, e)
		}
	}
	for i := range kept.hints {
		h := &kept.hints[i]
		if n := h.sum(hour); n > 0 {
			v.Hints = append(v.Hints, HintCount{h.ID, h.Text, n})
		}
	}
	v.Diagnosed = min(kept.diagnosed.sum(hour), count)
	slices.SortStableFunc(v.Hints, func(a, b HintCount) int { return cmp.Compare(b.Count, a.Count) })
	return v
}

// Forget moves the counts of a deleted widget to the rest: they must not count for a new
// widget with that id.
func (t *Traffic) Forget(widget string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(widget) != nil {
		t.replace(widget, nil)
	}
}
