package traffic

import (
	"cmp"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Readiness is what required mode would have refused of a widget's requests in the
// last day, or has refused if that is its mode.
type Readiness struct {
	Mode     string         `json:"mode"` // the laxest of requests since it was set or configured, "" if there were none
	Now      time.Time      `json:"now"`
	From     time.Time      `json:"from"` // since when requests are counted, at most a day ago
	Requests uint64         `json:"requests"`
	Verified uint64         `json:"verified"`
	Refused  uint64         `json:"refused"`
	Refusals []ReasonCounts `json:"refusals"` // most frequent first
	Disabled uint64         `json:"disabled"` // in mode off: nothing is known of them
	// LeftOut are fields that did not count for how they were sent, such as a name
	// over its limit. They refuse nobody.
	LeftOut []FieldCount `json:"left_out"`
}

// FieldCount is in how many requests a field was left out.
type FieldCount struct {
	Field string `json:"field"`
	Count uint64 `json:"count"`
}

// ReasonCounts are the refusals for one reason.
type ReasonCounts struct {
	Reason judgment.Reason `json:"reason"`
	Count  uint64          `json:"count"`
	// Always says that optional mode refuses it, too.
	Always bool `json:"always"`
	// Hints are counted for requests that were diagnosed, which are not all.
	Hints    []HintCount `json:"hints"`    // most frequent first
	Examples []Example   `json:"examples"` // newest first
}

// HintCount is how often a hint was given.
type HintCount struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Count uint64 `json:"count"`
}

// Readiness looks at a widget, which has counts of its own from then on if it is
// known to exist.
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
			r.From = r.Now // nothing is known of the widget
		}
		return r
	}
	if t.crowded && s.joined.After(r.From) {
		r.From = s.joined.UTC() // before that, it was part of the rest
	}
	r.Mode = s.laxest()
	counts := &s.tally()[day]
	r.Requests, r.Verified, r.Disabled = counts.requests(), counts[Verified], counts[Disabled]
	r.Refused = r.Requests - r.Verified - r.Disabled
	hour := int64(now.Sub(t.since) / time.Hour)
	r.LeftOut = s.refusals.leftOutView(hour)
	for f := firstReason; f < firstOther; f++ {
		if n := counts.of(f); n > 0 {
			r.Refusals = append(r.Refusals, s.refusals.view(f, n, hour, now))
		}
	}
	slices.SortStableFunc(r.Refusals, func(a, b ReasonCounts) int { return cmp.Compare(b.Count, a.Count) })
	return r
}

func (r *refusals) view(f Finding, count uint64, hour int64, now time.Time) ReasonCounts {
	v := ReasonCounts{Reason: f.Reason(), Count: count, Hints: []HintCount{}, Examples: []Example{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.by[f-firstReason]
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
		h.forget(hour)
		if n := h.sum(); n > 0 {
			v.Hints = append(v.Hints, HintCount{h.ID, h.Text, n})
		}
	}
	slices.SortStableFunc(v.Hints, func(a, b HintCount) int { return cmp.Compare(b.Count, a.Count) })
	return v
}

// ForgetMode forgets the modes of the widget's requests: its mode was changed.
func (t *Traffic) ForgetMode(widget string) {
	if s := t.find(widget); s != nil {
		s.modes.Store(0)
	}
}

// ForgetModes is [Traffic.ForgetMode] for all widgets: handlers have changed.
func (t *Traffic) ForgetModes() {
	for _, s := range t.series() {
		s.modes.Store(0)
	}
}

// Forget frees the place of a widget that was deleted. Its counts become part of the
// rest: a new widget with that id must not be judged by them.
func (t *Traffic) Forget(widget string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(widget) != nil {
		t.replace(widget, nil)
	}
}
