package filestore

import (
	"context"
	"time"
)

const (
	// tryEvery is how often it is tried whether a full disk has room again.
	tryEvery = 5 * time.Second
	// tryPatience is how long that waits for others. Whoever writes just now
	// finds out himself.
	tryPatience = 100 * time.Millisecond
)

// cannotWrite remembers a change that the disk had no room for: a store is
// well only if the next could be written, too. Whoever calls it holds mu.
func (s *Store) cannotWrite(err error) {
	if !lacksDisk(err) {
		return
	}
	s.full, s.tried = err, time.Now()
	last := s.current.Load()
	if last.err == nil || lacksDisk(last.err) { // else it cannot even be read
		s.current.Store(&state{last.snapshot, err})
	}
	s.alarm.raise(err, last.snapshot != nil, s.tried)
}

// tryWriting finds out whether there is room again, once there was none: nobody
// may be asking for a change, and the dashboard does not while it is refused.
// What is written is what a change would write, and thrown away.
func (s *Store) tryWriting() {
	s.mu.Lock()
	due := s.full != nil && time.Since(s.tried) >= tryEvery
	s.mu.Unlock()
	records := s.current.Load().snapshot
	if !due || records == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryPatience)
	defer cancel()
	target, unlock, err := s.lock(ctx)
	if err == nil {
		defer unlock()
		if err = try(target, records.sorted); err != nil {
			err = unwritable(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = time.Now()
	if err != nil {
		s.cannotWrite(err)
		return
	}
	s.full = nil // the next look says so
}
