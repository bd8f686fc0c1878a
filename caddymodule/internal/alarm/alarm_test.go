package alarm

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// TestAlarm: a fault is logged when it begins, when it becomes another one, once a
// minute, and when it has been over for a while.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		a := &Alarm{Log: zap.New(core), Bad: "bad", Good: "good", Quiet: time.Second}
		for _, step := range []struct {
			wait time.Duration
			code string // "" for none
			want string
		}{
			{0, "", ""}, {0, "OOM", "bad"}, {time.Second, "OOM", "bad"},
			{0, "", "bad"}, {time.Second / 2, "OOM", "bad"}, // it comes and goes
			{0, "BUSY", "bad bad"}, {30 * time.Second, "BUSY", "bad bad"}, {31 * time.Second, "BUSY", "bad bad bad"},
			{time.Second / 2, "", "bad bad bad"}, {time.Second, "", "bad bad bad good"}, {time.Hour, "", "bad bad bad good"},
			{0, "BUSY", "bad bad bad good bad"},
		} {
			time.Sleep(step.wait)
			if step.code == "" {
				a.Clear()
			} else {
				a.Raise(step.code, errors.New(step.code))
			}
			var got []string
			for _, entry := range logs.All() {
				got = append(got, entry.Message)
			}
			if got := strings.Join(got, " "); got != step.want {
				t.Errorf("after %v: %s, want %s", step, got, step.want)
			}
		}
	})
}
