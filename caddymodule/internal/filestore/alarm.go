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

// older logs that the file was replaced by an earlier state, such as a backup, with secrets
// that were retired since.
func (a *alarm) older(ids []string) {
	if len(ids) > 0 {
		a.log.Warn("the file of widgets was replaced by an older state: secrets that were retired since verify again. Rotate these widgets",
			zap.Int("widgets", len(ids)), zap.Strings("such_as", ids[:min(len(ids), maxNamed)]))
	}
}

func (a *alarm) clear(count int) {
	if a.raised.IsZero() {
		return
	}
	a.raised = time.Time{}
	a.log.Info("the file of widgets can be used again", zap.Int("widgets", count))
}
