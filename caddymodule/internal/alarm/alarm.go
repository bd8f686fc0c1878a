// Package alarm logs a fault that lasts, without flooding the log.
package alarm

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// repeat is how often a fault is logged while it lasts.
const repeat = time.Minute

// Alarm logs a fault while it lasts, and that it is over.
type Alarm struct {
	Log       *zap.Logger
	Bad, Good string
	// Quiet is how long the fault must be absent before it is over: one that comes and goes
	// must not flood the log.
	Quiet time.Duration

	mu           sync.Mutex
	on           bool
	code         string
	logged, seen time.Time
}

// Raise reports the fault.
func (a *Alarm) Raise(code string, err error, fields ...zap.Field) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.seen = now
	if a.on && a.code == code && now.Sub(a.logged) < repeat {
		return
	}
	a.on, a.code, a.logged = true, code, now
	a.Log.Error(a.Bad, append(fields, zap.Error(err))...)
}

// Clear reports that the fault is absent. It is called repeatedly.
func (a *Alarm) Clear(fields ...zap.Field) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on && time.Since(a.seen) >= a.Quiet {
		a.on = false
		a.Log.Info(a.Good, fields...)
	}
}
