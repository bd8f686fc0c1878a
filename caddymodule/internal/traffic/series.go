package traffic

import (
	"math/bits"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Series counts the requests of one widget, or those without one. It is nil for a widget
// that has no counts of its own.
type Series struct {
	id     string
	joined time.Time // when counting began
	counts counters
	modes  atomic.Uint32 // of requests, a bit each

	refusals refusals

	// Guarded by Traffic.mu.
	past history
	kept time.Time // until when it keeps its place
}

func newSeries(id string, now time.Time) *Series {
	s := &Series{id: id, joined: now, past: newHistory()}
	for i := range s.refusals.examples {
		s.refusals.examples[i] = rate.NewLimiter(rate.Every(exampleEvery), exampleBurst)
	}
	s.refusals.search = rate.NewLimiter(rate.Every(searchEvery), 1)
	s.refusals.diagnose = rate.NewLimiter(rate.Every(diagnoseEvery), diagnoseBurst)
	return s
}

func (s *Series) count(f Finding, mode widgets.Mode) {
	s.counts[f].Add(1)
	if bit := uint32(1) << mode; s.modes.Load()&bit == 0 {
		s.modes.Or(bit)
	}
}

// laxest returns the laxest mode of requests, "" without requests. A widget is not ready
// while one of its handlers is laxer.
func (s *Series) laxest() string {
	if seen := s.modes.Load(); seen != 0 {
		return widgets.Mode(bits.TrailingZeros32(seen)).String()
	}
	return ""
}

func (s *Series) tally() *tally { return s.past.tally(s.counts.load()) }

// busy returns the number of requests in the last day.
func (s *Series) busy() uint64 { return s.tally()[day].requests() }
