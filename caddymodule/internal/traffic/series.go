package traffic

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Series counts the requests of one widget, or those without one. It is nil for a widget
// that has no counts of its own.
type Series struct {
	id     string
	joined time.Time // when counting began
	counts counters
	// verifying is when the first request came that was verified or refused, since the
	// last one in mode off; in nanoseconds, 0 for none.
	verifying atomic.Int64

	refusals refusals
	uses     atomic.Pointer[[]*use]

	// Guarded by Traffic.mu.
	past     history
	kept     time.Time // until when it keeps its place
	usesFrom time.Time // since when all uses are known, if not from the beginning
}

func newSeries(id string, now time.Time) *Series {
	s := &Series{id: id, joined: now, past: newHistory()}
	s.uses.Store(new([]*use))
	for i := range s.refusals.examples {
		s.refusals.examples[i] = rate.NewLimiter(rate.Every(exampleEvery), exampleBurst)
	}
	s.refusals.search = rate.NewLimiter(rate.Every(searchEvery), 1)
	s.refusals.diagnose = rate.NewLimiter(rate.Every(diagnoseEvery), diagnoseBurst)
	return s
}

func (s *Series) count(f Finding, clock func() time.Time) {
	s.counts[f].Add(1)
	switch began := s.verifying.Load(); {
	case f == Disabled && began != 0:
		s.verifying.Store(0)
	case f != Disabled && began == 0:
		s.verifying.CompareAndSwap(0, clock().UnixNano())
	}
}

func (s *Series) tally() *tally { return s.past.tally(s.counts.load()) }

// busy returns the number of requests in the last day.
func (s *Series) busy() uint64 { return s.tally()[day].requests() }
