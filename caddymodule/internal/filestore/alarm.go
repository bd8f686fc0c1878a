package filestore

import (
	"time"

	"go.uber.org/zap"
)

// alarmEvery is how often a lasting failure is logged.
const alarmEvery = time.Minute

// alarm logs that the file cannot be used, while it cannot.
type alarm struct {
	log    *zap.Logger
	raised time.Time // zero without a failure
}

func newAlarm(log *zap.Logger, path string) alarm {
	if log == nil {
		log = zap.NewNop()
	}
	return alarm{log: log.With(zap.String("path", path))}
}

func (a *alarm) raise(err error, serving bool, now time.Time) {
	if !a.raised.IsZero() && now.Sub(a.raised) < alarmEvery {
		return
	}
	a.raised = now
	if serving {
		a.log.Error("the file of widgets cannot be used: what was last read from it is served, and changes are refused", zap.Error(err))
		return
	}
	a.log.Error("the file of widgets cannot be used: none of its widgets is known, and changes are refused", zap.Error(err))
}

// maxNamed is how many widgets a log line names.
const maxNamed = 10

// changed logs what another program did to the file that may not be meant: an earlier state,
// such as a backup, brings retired secrets and deleted widgets back, and lacks new ones.
func (a *alarm) changed(older, back, gone []string) {
	for _, change := range []struct {
		what string
		ids  []string
	}{
		{"the file of widgets was replaced by an older state: secrets that were retired since verify again. Rotate these widgets", older},
		{"the file of widgets has old widgets that it did not have before: they were imported, or deleted and come from a backup. " +
			"Delete those that should be gone, since their secrets verify again", back},
		{"the file of widgets no longer has some widgets: another program has deleted them, or replaced the file. " +
			"Their requests are widget_unknown. If that is not intended, put the right file back or import a backup", gone},
	} {
		if n := len(change.ids); n > 0 {
			a.log.Warn(change.what, zap.Int("widgets", n), zap.Strings("such_as", change.ids[:min(n, maxNamed)]))
		}
	}
}

func (a *alarm) clear(count int) {
	if a.raised.IsZero() {
		return
	}
	a.raised = time.Time{}
	a.log.Info("the file of widgets can be used again", zap.Int("widgets", count))
}
