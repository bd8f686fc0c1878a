package redisstore

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// tick is how often the pulse is felt.
	tick = 50 * time.Millisecond
	// lag is how late it may be before this process must have been stopped.
	lag = 250 * time.Millisecond
)

// pulse notices that this process was stopped. Then it was not Redis that did not
// answer in time: the answer may be there, and with it the messages of what was
// changed meanwhile. The lateness of a timeout alone does not tell, since a stop
// may fill most of the time it waits.
type pulse struct {
	began         time.Time
	last, stopped atomic.Int64 // when it was last felt, and when a stop was last over
}

func (p *pulse) init() {
	p.began = time.Now()
	p.stopped.Store(-1)
}

func (p *pulse) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		now := int64(time.Since(p.began))
		if now-p.last.Load() > int64(lag) {
			p.stopped.Store(now)
		}
		p.last.Store(now)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// stoppedSince reports whether the process was stopped after that moment. After a
// stop, whoever asks may be sooner than the pulse.
func (p *pulse) stoppedSince(moment time.Time) bool {
	return time.Since(p.began)-time.Duration(p.last.Load()) > lag || p.stopped.Load() >= int64(moment.Sub(p.began))
}
