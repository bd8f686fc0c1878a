package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// maxCounted is how many widgets are counted one by one.
const maxCounted = 1000

// traffic counts requests since the process started. Reloads keep it.
var traffic = newStatistics()

// statistics counts requests by widget and outcome, in bounded memory.
type statistics struct {
	since time.Time
	// widgets is replaced as a whole, so that counting takes no lock.
	widgets atomic.Pointer[map[string]*outcomeCounts]
	mu      sync.Mutex // of those who replace it
	rest    outcomeCounts
	unknown outcomeCounts // of no widget, or one that there is not
}

// outcomeCounts are indexed as verifier.Outcomes.
type outcomeCounts [8]atomic.Uint64

func newStatistics() *statistics {
	s := &statistics{since: time.Now()}
	s.widgets.Store(new(map[string]*outcomeCounts))
	return s
}

// count counts a request of a widget, "" where it has none.
func (s *statistics) count(widget string, outcome verifier.Outcome) {
	counts := &s.unknown
	if widget != "" {
		counts = (*s.widgets.Load())[widget]
	}
	if counts == nil {
		counts = s.add(widget)
	}
	for i := range verifier.Outcomes {
		if verifier.Outcomes[i] == outcome {
			counts[i].Add(1)
			return
		}
	}
}

func (s *statistics) add(widget string) *outcomeCounts {
	if len(*s.widgets.Load()) >= maxCounted {
		return &s.rest
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.widgets.Load()
	if counts := old[widget]; counts != nil {
		return counts
	}
	if len(old) >= maxCounted {
		return &s.rest
	}
	next := make(map[string]*outcomeCounts, len(old)+1)
	maps.Copy(next, old)
	next[widget] = new(outcomeCounts)
	s.widgets.Store(&next)
	return next[widget]
}

// statsView is the statistics as the admin API shows them.
type statsView struct {
	Since   time.Time    `json:"since"`
	Widgets []countsView `json:"widgets"`           // by id
	Rest    *countsView  `json:"rest,omitempty"`    // of the widgets that are not counted one by one
	Unknown *countsView  `json:"unknown,omitempty"` // of no widget, or one that there is not
	Total   countsView   `json:"total"`
}

type countsView struct {
	ID       string                      `json:"id,omitempty"`
	Requests uint64                      `json:"requests"`
	Rate     float64                     `json:"verified_rate"` // verified among all
	Outcomes map[verifier.Outcome]uint64 `json:"outcomes"`
}

func (s *statistics) view() statsView {
	v := statsView{Since: s.since.UTC(), Widgets: []countsView{}, Total: newCountsView("")}
	counted := *s.widgets.Load()
	for _, id := range slices.Sorted(maps.Keys(counted)) {
		v.Widgets = append(v.Widgets, v.Total.add(id, counted[id]))
	}
	if rest := v.Total.add("", &s.rest); rest.Requests > 0 {
		v.Rest = &rest
	}
	if unknown := v.Total.add("", &s.unknown); unknown.Requests > 0 {
		v.Unknown = &unknown
	}
	v.Total.rate()
	return v
}

func newCountsView(id string) countsView {
	return countsView{ID: id, Outcomes: make(map[verifier.Outcome]uint64)}
}

// add returns a view of the counts, and adds them to the total.
func (total *countsView) add(id string, counts *outcomeCounts) countsView {
	v := newCountsView(id)
	for i, outcome := range verifier.Outcomes {
		if n := counts[i].Load(); n > 0 {
			v.Outcomes[outcome] = n
			total.Outcomes[outcome] += n
			v.Requests += n
			total.Requests += n
		}
	}
	v.rate()
	return v
}

func (v *countsView) rate() {
	if v.Requests > 0 {
		v.Rate = float64(v.Outcomes[verifier.OutcomeVerified]) / float64(v.Requests)
	}
}

func (c *adminCall) stats() error { return c.answer(http.StatusOK, traffic.view()) }
