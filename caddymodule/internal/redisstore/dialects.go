package redisstore

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// dialects are the widgets' own dialects.
type dialects struct {
	spoken atomic.Pointer[map[string]bool] // nil while unknown

	mu   sync.Mutex
	seen map[string]time.Duration // when there last was a widget with the dialect
}

func (d *dialects) speaks(dialect string) bool {
	spoken := d.spoken.Load()
	return dialect != "" && (spoken == nil || (*spoken)[dialect])
}

// note notes that there is a record with that dialect, before the counts in Redis are read
// again.
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

// count takes the counts of Redis, which were requested at that time, each after its dialect.
// Dialects noted later stay, since the counts may not include them.
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
