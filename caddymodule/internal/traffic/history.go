package traffic

import "time"

// tick is how often counts are sampled. A window begins at a sample, so it may be up to one
// step shorter than its name says.
const tick = 5 * time.Second

// windows are the windows of a [tally]: the ticks in a step, and the steps.
var windows = [...]struct{ step, steps int64 }{
	minute: {1, 12},
	hour:   {int64(5 * time.Minute / tick), 12},
	day:    {int64(time.Hour / tick), dayHours},
}

const dayHours = 24

// tally is counts in each window and in total.
type tally [ever + 1]counts

const (
	minute = iota
	hour
	day
	ever
)

// history has the last samples of a series for each window.
type history [len(windows)]ring[counts]

func newHistory() (h history) {
	for i, w := range windows {
		h[i] = newRing[counts](w.steps)
	}
	return h
}

// advance takes the samples from one tick to a later one.
func (h *history) advance(now *counts, from, to int64) {
	for i, w := range windows {
		h[i].advance(*now, w.step, from, to)
	}
}

func (h *history) tally(now counts) *tally {
	t := &tally{ever: now}
	for i := range h {
		t[i] = now.since(h[i].at(0))
	}
	return t
}

func (t *tally) plus(other *tally) {
	for i := range t {
		for f := range t[i] {
			t[i][f] += other[i][f]
		}
	}
}

// minus returns the whole without a part.
func (t *tally) minus(part *tally) *tally {
	rest := new(tally)
	for i := range t {
		rest[i] = t[i].since(&part[i])
	}
	return rest
}
