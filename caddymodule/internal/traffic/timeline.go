package traffic

import (
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// History is the requests of all widgets together over time.
type History struct {
	Now  time.Time `json:"now"`
	Hour Timeline  `json:"hour"` // by minute
	Day  Timeline  `json:"day"`  // by quarter of an hour
}

// Timeline is the requests of consecutive periods of the same length, oldest first. The last
// one is still running.
type Timeline struct {
	StepSeconds int     `json:"step_seconds"`
	Points      []Point `json:"points"`
}

// Point is the requests of one period.
type Point struct {
	At       time.Time                  `json:"at"` // when it began
	Verified uint64                     `json:"verified"`
	Disabled uint64                     `json:"disabled"`
	Reasons  map[judgment.Reason]uint64 `json:"reasons"`
}

// History returns the requests of the last hour and day.
func (t *Traffic) History() *History {
	h := &History{Now: t.clock().UTC(), Hour: Timeline{StepSeconds: 60}, Day: Timeline{StepSeconds: 900}}
	c := t.ever()
	reasons := c.reasons()
	delete(reasons, disabled)
	point := Point{t.since.UTC(), c[Verified], c[Disabled], reasons}
	h.Hour.Points, h.Day.Points = []Point{point}, []Point{point}
	return h
}
