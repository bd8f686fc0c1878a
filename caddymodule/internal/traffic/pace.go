package traffic

import (
	"sync/atomic"
	"time"
)

// pace lets something happen now and then: a burst at once, and after that once
// in every span of time. It is the generic cell rate algorithm, in one number.
type pace struct{ due atomic.Int64 }

// allow reports whether it may happen at that time, in nanoseconds since some
// beginning.
func (p *pace) allow(now int64, every time.Duration, burst int) bool {
	for {
		due := p.due.Load()
		next := max(due, now) + int64(every)
		if next > now+int64(every)*int64(burst) {
			return false
		}
		if p.due.CompareAndSwap(due, next) {
			return true
		}
	}
}
