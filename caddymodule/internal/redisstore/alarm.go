package redisstore

import (
	"time"

	"go.uber.org/zap"
)

// alarmEvery is how often an operator is told of a trouble that lasts.
const alarmEvery = time.Minute

// alarm logs a trouble for as long as it lasts. It belongs to one goroutine.
type alarm struct {
	log    *zap.Logger
	bad    string
	good   string
	on     bool
	raised time.Duration
}

func (a *alarm) raise(err error, now time.Duration) {
	if a.on && now-a.raised < alarmEvery {
		return
	}
	a.on, a.raised = true, now
	a.log.Error(a.bad, zap.Error(err))
}

func (a *alarm) clear() {
	if a.on {
		a.on = false
		a.log.Info(a.good)
	}
}
