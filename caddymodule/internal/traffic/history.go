package traffic

import "time"

// tick is how often counts are sampled. A window begins at a sample, so it is up to
// one of its steps shorter than its name says.
const tick = 5 * time.Second

// The steps of the windows, in ticks, and how many steps a window has.
const (
	hourStep = int64(5 * time.Minute / tick)
	dayStep  = int64(time.Hour / tick)

	minuteSteps = 12
	hourSteps   = 12
	daySteps    = 24
)

// ring holds the last samples. Those that were not taken yet are zero: then all
// counts are within the window.
type ring struct {
	samples []counts
	next    int // the place of the oldest
}

func (r *ring) oldest() *counts { return &r.samples[r.next] }

// push adds a sample for that many steps.
func (r *ring) push(s *counts, steps int64) {
	for range min(steps, int64(len(r.samples))) {
		r.samples[r.next] = *s
		r.next = (r.next + 1) % len(r.samples)
	}
}

// history is a series' past.
type history struct{ minute, hour, day ring }

func newHistory() history {
	all := make([]counts, minuteSteps+hourSteps+daySteps)
	return history{
		ring{samples: all[:minuteSteps]},
		ring{samples: all[minuteSteps : minuteSteps+hourSteps]},
		ring{samples: all[minuteSteps+hourSteps:]},
	}
}

// advance moves from a tick to a later one.
func (h *history) advance(s *counts, from, to int64) {
	h.minute.push(s, to-from)
	h.hour.push(s, to/hourStep-from/hourStep)
	h.day.push(s, to/dayStep-from/dayStep)
}

// tally is counts since the beginning, and in each window.
type tally struct{ ever, minute, hour, day counts }

func (h *history) tally(ever counts) *tally {
	return &tally{ever, ever.since(h.minute.oldest()), ever.since(h.hour.oldest()), ever.since(h.day.oldest())}
}

func (t *tally) plus(other *tally) {
	t.ever.plus(&other.ever)
	t.minute.plus(&other.minute)
	t.hour.plus(&other.hour)
	t.day.plus(&other.day)
}

// without returns the difference of the whole and a part.
func (t *tally) without(part *tally) *tally {
	return &tally{t.ever.since(&part.ever), t.minute.since(&part.minute), t.hour.since(&part.hour), t.day.since(&part.day)}
}
