package redisstore

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// dialects are those that widgets have of their own.
type dialects struct {
	spoken atomic.Pointer[map[string]bool] // nil while that is not known

	mu   sync.Mutex
	seen map[string]time.Duration // when there last was a widget with the dialect
}

func (d *dialects) speaks(dialect string) bool {
	spoken := d.spoken.Load()
	return dialect != "" && (spoken == nil || (*spoken)[dialect])
}

// note says that there is a record with that dialect. The counts in Redis are
// read now and then, and a request need not wait for them.
func (d *dialects) note(dialect string, now time.Duration) {
	if dialect == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = make(map[string]time.Duration)
	}
	d.seen[dialect] = now
	if !d.speaks(dialect) {
		d.publish()
	}
}

// count takes the counts that were asked for at that time, each behind its
// dialect. What was noted later they may not know yet; of others they know better.
func (d *dialects) count(counts []string, asked time.Duration) {
	for i := 0; i < len(counts); i += 2 {
		d.note(counts[i], asked) // a count that falls to zero is removed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.seen, func(_ string, seen time.Duration) bool { return seen < asked })
	d.publish()
}

func (d *dialects) publish() {
	spoken := make(map[string]bool, len(d.seen))
	for dialect := range d.seen {
		spoken[dialect] = true
	}
	d.spoken.Store(&spoken)
}
