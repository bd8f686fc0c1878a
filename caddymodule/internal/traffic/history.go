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
	samples []sample
	next    int // the place of the oldest
}

func (r *ring) oldest() *sample { return &r.samples[r.next] }

// push adds a sample for that many steps.
func (r *ring) push(s *sample, steps int64) {
	for range min(steps, int64(len(r.samples))) {
		r.samples[r.next] = *s
		r.next = (r.next + 1) % len(r.samples)
	}
}

// history is a series' past.
type history struct{ minute, hour, day ring }

func newHistory() history {
	all := make([]sample, minuteSteps+hourSteps+daySteps)
	return history{
		ring{samples: all[:minuteSteps]},
		ring{samples: all[minuteSteps : minuteSteps+hourSteps]},
		ring{samples: all[minuteSteps+hourSteps:]},
	}
}

// advance moves from a tick to a later one.
func (h *history) advance(s *sample, from, to int64) {
	h.minute.push(s, to-from)
	h.hour.push(s, to/hourStep-from/hourStep)
	h.day.push(s, to/dayStep-from/dayStep)
}

// recent is what a series had in each window.
type recent struct{ minute, hour, day sample }

func (h *history) recent(now sample) recent {
	return recent{now.since(h.minute.oldest()), now.since(h.hour.oldest()), now.since(h.day.oldest())}
}

func (r *recent) plus(other *recent) {
	r.minute.plus(&other.minute)
	r.hour.plus(&other.hour)
	r.day.plus(&other.day)
}

// without returns the difference of the whole and a part.
func (r *recent) without(part *recent) recent {
	return recent{r.minute.since(&part.minute), r.hour.since(&part.hour), r.day.since(&part.day)}
}
