package filestore

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// tryEvery is how often a write is tried after one failed.
	tryEvery = 5 * time.Second
	// tryTimeout is how long that waits for the lock. A writer that has it will notice.
	tryTimeout = 100 * time.Millisecond
)

// cannotWrite notes that a change could not be written, so that [Store.Err] reports it until
// a write succeeds. The caller holds mu.
func (s *Store) cannotWrite(err error) {
	if !errors.Is(err, widgets.ErrUnwritable) {
		return
	}
	s.full, s.tried = err, time.Now()
	last := s.current.Load()
	if last.err == nil || errors.Is(last.err, widgets.ErrUnwritable) { // otherwise it cannot even be read
		s.current.Store(&state{last.snapshot, err, last.lost})
	}
	s.raise(err)
}

// tryWriting checks whether changes can be written again, by writing what a change would write
// and discarding it. There may be no changes otherwise: the dashboard allows none while the
// store reports an error.
func (s *Store) tryWriting() {
	s.mu.Lock()
	due := s.full != nil && time.Since(s.tried) >= tryEvery
	s.mu.Unlock()
	records := s.current.Load().snapshot
	if !due || records == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
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
	s.full = nil // the next look reports it
}
