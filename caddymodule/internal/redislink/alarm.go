package redislink

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// repeat is how often the same fault is logged while it lasts.
	repeat = time.Minute
	// quiet is for how long a fault must not have been seen before it is over: one
	// that comes and goes must not fill the log.
	quiet = time.Second
)

// Alarm logs a fault for as long as it lasts, and then that it is over.
type Alarm struct {
	Log       *zap.Logger
	Bad, Good string

	mu           sync.Mutex
	on           bool
	code         string
	logged, seen time.Time
}

// Raise says that the fault is there.
func (a *Alarm) Raise(code string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.seen = now
	if a.on && a.code == code && now.Sub(a.logged) < repeat {
		return
	}
	a.on, a.code, a.logged = true, code, now
	a.Log.Error(a.Bad, zap.Error(err))
}

// Clear says that the fault is not there. It is called again and again.
func (a *Alarm) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on && time.Since(a.seen) > quiet {
		a.on = false
		a.Log.Info(a.Good)
	}
}
