package traffic

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// TestHistory: each request is in the step in which it came, steps without requests are
// there, and there are never more than fit.
func TestHistory(t *testing.T) {
	tr, c := start()
	check := func(when string, line func(*History) Timeline, step time.Duration, want ...uint64) {
		t.Helper()
		h := tr.History()
		points := line(h).Points
		if len(points) != len(want) {
			t.Fatalf("%s: %d points, want %d", when, len(points), len(want))
		}
		running := time.Duration(c.nanos.Load()) / step * step
		for i, p := range points {
			at := tr.Since().Add(running - time.Duration(len(points)-1-i)*step)
			if p.Verified != want[i] || !p.At.Equal(at) {
				t.Errorf("%s: point %d is %+v, want %d at %v", when, i, p, want[i], at)
			}
		}
	}
	hour := func(h *History) Timeline { return h.Hour }
	day := func(h *History) Timeline { return h.Day }
	verify := func(n int) {
		for range n {
			tr.Count("shop", Verified, optional, bookbag)
		}
	}
	check("at the start", hour, hourStep, 0)
	verify(1)
	c.pass(tr, 59*time.Second)
	verify(2)
	check("in the first minute", hour, hourStep, 3)
	c.pass(tr, time.Second)
	verify(4)
	check("in the second", hour, hourStep, 3, 4)
	c.pass(tr, 2*time.Minute)
	check("after one without requests", hour, hourStep, 3, 4, 0, 0)
	check("after three minutes", day, dayStep, 7)
	c.pass(tr, 12*time.Minute)
	verify(5)
	check("after a quarter of an hour", day, dayStep, 7, 5)
	c.pass(tr, 45*time.Minute)
	zeros := make([]uint64, 58)
	zeros[13] = 5
	check("after an hour, the first minute is gone", hour, hourStep, append(append([]uint64{4}, zeros...), 0)...)
	c.pass(tr, 23*time.Hour)
	check("after a day, the first quarter is gone", day, dayStep, append([]uint64{5}, make([]uint64, dayPoints-1)...)...)
	verify(6)
	c.nanos.Add(int64(5 * time.Hour)) // the machine slept
	tr.Sample()
	check("after a sleep", day, dayStep, append(append(make([]uint64, dayPoints-21), 6), make([]uint64, 20)...)...)
	if h := tr.History(); len(h.Hour.Points) != hourPoints || h.Hour.StepSeconds != 60 || h.Day.StepSeconds != 900 {
		t.Errorf("%d minutes of %d seconds, quarters of %d", len(h.Hour.Points), h.Hour.StepSeconds, h.Day.StepSeconds)
	}
}

func TestHistoryReasons(t *testing.T) {
	tr, c := start()
	tr.Count("shop", Verified, optional, bookbag)
	tr.Count("shop", Disabled, widgets.ModeOff, bookbag)
	tr.Count("", invalid, optional, bookbag)
	tr.Count("", FindingOf(judgment.OutcomeAnonymous, judgment.ConversationClaimed), optional, bookbag)
	c.pass(tr, time.Minute)
	tr.Forget("shop") // whose requests came all the same
	text, err := json.Marshal(tr.History().Hour)
	want := `{"step_seconds":60,"points":[{"at":"2027-01-15T08:00:00Z","verified":1,"disabled":1,"reasons":{"conversation_claimed":1,"invalid":1}},` +
		`{"at":"2027-01-15T08:01:00Z","verified":0,"disabled":0,"reasons":{}}]}`
	if string(text) != want {
		t.Errorf("%s, want %s, %v", text, want, err)
	}
}
