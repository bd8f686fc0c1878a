package traffic

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Window is the requests in a period.
type Window struct {
	Requests uint64  `json:"requests"`
	Verified uint64  `json:"verified"`
	Rate     float64 `json:"verified_rate"` // verified among all, 0 to 1
	Proofs   Proofs  `json:"proofs"`
	// Reasons are why others were not verified, "disabled" in mode off, [Session] for one
	// that has ended.
	Reasons map[judgment.Reason]uint64 `json:"reasons"`
}

// Proofs are the verified requests by what proved them.
type Proofs struct {
	Signature uint64 `json:"signature"`
	Token     uint64 `json:"token"`
	Session   uint64 `json:"session"`
}

// Windows are the requests of the last minute, hour and day.
type Windows struct {
	Minute Window `json:"minute"`
	Hour   Window `json:"hour"`
	Day    Window `json:"day"`
}

// Counts are a widget's requests since counting began, and recently.
type Counts struct {
	ID       string                      `json:"id,omitempty"`
	Requests uint64                      `json:"requests"`
	Rate     float64                     `json:"verified_rate"` // the outcome verified among all, 0 to 1
	Outcomes map[judgment.Outcome]uint64 `json:"outcomes"`
	Reasons  map[judgment.Reason]uint64  `json:"reasons"`
	// Grace says how much the widget's old secrets are still used. It is for the caller to
	// fill in.
	Grace string `json:"grace,omitempty"`
	Windows
}

// Stats are the requests since counting began.
type Stats struct {
	Since   time.Time `json:"since"`
	Widgets []Counts  `json:"widgets"`
	Rest    *Counts   `json:"rest,omitempty"`    // of the widgets that are not listed
	Unknown *Counts   `json:"unknown,omitempty"` // of no widget, or of one that does not exist
	Total   Counts    `json:"total"`
	// OpenStreams is for the caller to fill in.
	OpenStreams int `json:"open_streams"`
}

// disabled stands for mode off among the reasons.
const disabled = judgment.Reason(judgment.OutcomeDisabled)

func (c *counts) reasons() map[judgment.Reason]uint64 {
	reasons := make(map[judgment.Reason]uint64)
	if n := c[Disabled]; n > 0 {
		reasons[disabled] = n
	}
	for f := firstReason; f < numFindings; f++ {
		if c[f] > 0 {
			reasons[f.Shown()] += c[f]
		}
	}
	return reasons
}

func (c *counts) proofs() Proofs {
	return Proofs{c[Verified], c[VerifiedByToken], c[VerifiedBySession]}
}

func share(part, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

func (c *counts) window() Window {
	n := c.requests()
	return Window{n, c.verified(), share(c.verified(), n), c.proofs(), c.reasons()}
}

func (t *tally) windows() Windows {
	return Windows{t[minute].window(), t[hour].window(), t[day].window()}
}

func (t *tally) counts(id string) *Counts {
	c := &Counts{ID: id, Requests: t[ever].requests(), Outcomes: make(map[judgment.Outcome]uint64), Reasons: t[ever].reasons(), Windows: t.windows()}
	for f := range numFindings {
		if n := t[ever][f]; n > 0 {
			c.Outcomes[f.Outcome()] += n
		}
	}
	c.Rate = share(c.Outcomes[judgment.OutcomeVerified], c.Requests)
	return c
}

// Stats returns the counts since counting began: those of the busiest widgets by id, or, if
// top is not 0, of only that many, busiest first.
func (t *Traffic) Stats(top int) *Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.past.tally(t.ever()) // first: see Count
	series := t.series()
	rank(series)
	shown := min(len(series), MaxShown)
	if top > 0 {
		shown = min(shown, top)
	}
	stats := &Stats{Since: t.since.UTC(), Widgets: make([]Counts, 0, shown)}
	listed := new(tally)
	for _, s := range series[:shown] {
		one := s.tally()
		listed.plus(one)
		stats.Widgets = append(stats.Widgets, *one.counts(s.id))
	}
	unknown := t.unknown.tally()
	if top == 0 {
		slices.SortFunc(stats.Widgets, func(a, b Counts) int { return cmp.Compare(a.ID, b.ID) })
	}
	rest := all.minus(unknown).minus(listed)
	if counts := rest.counts(""); counts.Requests > 0 {
		stats.Rest = counts
	}
	if counts := unknown.counts(""); counts.Requests > 0 {
		stats.Unknown = counts
	}
	// The sum of what is shown: more may have been counted meanwhile.
	listed.plus(rest)
	listed.plus(unknown)
	stats.Total = *listed.counts("")
	return stats
}

// Overview returns the recent requests: all, and those of no known widget.
func (t *Traffic) Overview() (total, unknown Windows) {
	t.mu.Lock()
	defer t.mu.Unlock()
	unknown = t.unknown.tally().windows()
	return t.past.tally(t.ever()).windows(), unknown
}

// Busy returns the recent requests, by id, of the widgets that had any in the last day and
// whose ids begin with the prefix.
func (t *Traffic) Busy(prefix string) map[string]Windows {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]Windows)
	for _, s := range t.series() {
		if n := s.tally(); strings.HasPrefix(s.id, prefix) && n[day].requests() > 0 {
			all[s.id] = n.windows()
		}
	}
	return all
}

// Of returns a widget's recent requests.
func (t *Traffic) Of(widget string) Windows {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.find(widget); s != nil {
		return s.tally().windows()
	}
	return new(tally).windows()
}
