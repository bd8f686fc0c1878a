package traffic

import (
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// The steps of a [History], and how many there are.
const (
	hourStep, hourPoints = time.Minute, 60
	dayStep, dayPoints   = 15 * time.Minute, 96
)

// History is the requests of all widgets together over time.
type History struct {
	Now  time.Time `json:"now"`
	Hour Timeline  `json:"hour"`
	Day  Timeline  `json:"day"`
}

// Timeline is the requests in consecutive periods of the same length, oldest first, since
// counting began. The last one is not over yet.
type Timeline struct {
	StepSeconds int     `json:"step_seconds"`
	Points      []Point `json:"points"`
}

// Point is the requests in one period.
type Point struct {
	At       time.Time                  `json:"at"` // when it began
	Verified uint64                     `json:"verified"`
	Disabled uint64                     `json:"disabled"` // in mode off
	Reasons  map[judgment.Reason]uint64 `json:"reasons"`  // why others were not verified
}

// History returns the requests over the last hour and day.
func (t *Traffic) History() *History {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, counts := t.clock(), t.ever()
	return &History{
		now.UTC(), t.timeline(&t.byMinute, hourStep, now, &counts), t.timeline(&t.byQuarter, dayStep, now, &counts),
	}
}

// timeline returns the differences between samples.
func (t *Traffic) timeline(samples *ring[counts], step time.Duration, now time.Time, last *counts) Timeline {
	ticks := int64(step / tick)
	running := t.tick / ticks // the step that is not over yet, counted from the start
	// From now, since the clock may have been set after the start.
	at := now.Add(time.Duration(running)*step - now.Sub(t.since)).UTC().Truncate(time.Second)
	size := len(samples.samples)
	line := Timeline{int(step / time.Second), make([]Point, 0, size)}
	for i := size - 1 - int(min(running, int64(size-1))); i < size; i++ {
		end := last
		if i < size-1 {
			end = samples.at(i + 1)
		}
		n := end.since(samples.at(i))
		reasons := n.reasons()
		delete(reasons, disabled)
		line.Points = append(line.Points, Point{at.Add(-time.Duration(size-1-i) * step), n.verified(), n[Disabled], reasons})
	}
	return line
}
