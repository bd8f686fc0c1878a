package redisstore

import (
	"context"
	"errors"
	"time"
)

// patience is how often in a row a stop of this process excuses a failure.
const patience = 3

// watch keeps a session, one after the other.
func (s *Store) watch(ctx context.Context) {
	for stops := 0; ; {
		began := time.Now()
		heard, err := s.session(ctx)
		s.fresh.drop()
		if ctx.Err() != nil {
			return
		}
		if heard || !s.pulse.stoppedSince(s.asked) {
			stops = 0
		}
		if s.pulse.stoppedSince(s.asked) {
			stops++
		}
		// Maybe only the connection is gone, as after a stop. Redis is away if it
		// cannot be reached again. Until then requests ask it themselves: they must
		// not use what is remembered from before a stop.
		again := heard && !errors.Is(err, errSilent) || stops > 0 && stops <= patience
		if !again {
			s.lost(unreadable(err))
		}
		if !again || time.Since(began) < beat {
			select {
			case <-time.After(beat):
			case <-ctx.Done():
				return
			}
		}
	}
}

// lost says that Redis is away. Until it is back no request waits for it.
func (s *Store) lost(err error) {
	s.away.Store(&trouble{err})
	s.dialects.forget()
	s.readAlarm.raise(err, s.clock())
}

// arrived says that Redis is there.
func (s *Store) arrived() {
	s.away.Store(nil)
	s.readAlarm.clear()
}

// forbid says that Redis takes no changes.
func (s *Store) forbid(err error) {
	s.unwritable.Store(&trouble{err})
	s.writeAlarm.raise(err, s.clock())
}

// permit says that Redis takes changes.
func (s *Store) permit() {
	if s.unwritable.Load() != nil {
		s.unwritable.Store(nil)
		s.writeAlarm.clear()
	}
}
