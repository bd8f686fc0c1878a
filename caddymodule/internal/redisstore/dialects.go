package redisstore

import (
	"sync"
	"sync/atomic"
	"time"
)

// dialects are those that widgets have of their own.
type dialects struct {
	spoken atomic.Pointer[map[string]bool] // nil while that is not known

	mu    sync.Mutex
	noted map[string]time.Duration // when a record with the dialect was last seen
}

func (d *dialects) speaks(dialect string) bool {
	if dialect == "" {
		return false
	}
	spoken := d.spoken.Load()
	return spoken == nil || (*spoken)[dialect]
}

// note says that there is a record with that dialect. The counts in Redis are
// read now and then, and a request need not wait for them.
func (d *dialects) note(dialect string, now time.Duration) {
	if dialect == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noted == nil {
		d.noted = make(map[string]time.Duration)
	}
	d.noted[dialect] = now
	spoken := d.spoken.Load()
	if spoken == nil || (*spoken)[dialect] {
		return
	}
	next := map[string]bool{dialect: true}
	for other := range *spoken {
		next[other] = true
	}
	d.spoken.Store(&next)
}

// count takes the counts that were asked for at that time, each behind its
// dialect. What was noted later they may not know yet.
func (d *dialects) count(counts []string, asked time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make(map[string]bool, len(counts)/2)
	for i := 0; i < len(counts); i += 2 {
		next[counts[i]] = true // a count that falls to zero is removed
	}
	for dialect, seen := range d.noted {
		if seen >= asked {
			next[dialect] = true
		} else {
			delete(d.noted, dialect)
		}
	}
	d.spoken.Store(&next)
}

// forget says that the counts are not known any more.
func (d *dialects) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spoken.Store(nil)
}
