package boltledger

import (
	"context"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

// read answers what needs no change, so that asking and replaying cost no
// write. The rest stays undecided.
func (s *session) read(batch []*operation) error {
	answers := make([]answer, len(batch))
	err := s.transact(false, func(tx *bbolt.Tx, t tables) error {
		// A commit can be seen before it is on the disk.
		durable := int64(tx.ID()) <= s.durable.Load()
		now := s.clock.unix()
		for i, o := range batch {
			a, c, err := o.decide(t, now)
			if err != nil {
				return err
			}
			a.undecided = !c.none() || !durable && o.confirms(a)
			answers[i] = a
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, o := range batch {
		o.answers <- answers[i]
	}
	return nil
}

// write carries out a batch in one transaction, each operation upon the one
// before, and answers when that is on the disk. A commit that fails is the
// batch's error only: bolt goes back to what it had, and the next may succeed.
func (s *session) write(batch []*operation) error {
	answers := make([]answer, len(batch))
	var failed error
	err := s.transact(true, func(tx *bbolt.Tx, t tables) error {
		changed, err := s.carryOut(t, batch, answers)
		if err != nil {
			return err
		}
		// After a commit that failed, what is seen may not be on the disk.
		if !changed && s.trouble.Load() == nil {
			return nil
		}
		id := int64(tx.ID())
		s.tried.Store(id)
		if failed = tx.Commit(); failed != nil {
			return nil
		}
		s.durable.Store(id)
		return s.inPlace()
	})
	if err != nil {
		return err
	}
	s.note(failed)
	for i, o := range batch {
		if failed != nil {
			answers[i] = answer{err: failed}
		}
		o.answers <- answers[i]
	}
	return nil
}

func (s *session) carryOut(t tables, batch []*operation, answers []answer) (changed bool, err error) {
	now := s.clock.unix()
	for i, o := range batch {
		if o.ctx.Err() != nil { // nobody waits for it
			answers[i].err = context.Cause(o.ctx)
			continue
		}
		if o.kind == sweep {
			answers[i].removed, err = t.sweep(min(o.until, now), sweepLimit)
			if err != nil {
				return false, err
			}
			changed = changed || answers[i].removed > 0
			continue
		}
		var c change
		if answers[i], c, err = o.decide(t, now); err != nil {
			return false, err
		}
		if c.none() {
			continue
		}
		changed = true
		if err := t.apply(c); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// note logs a change between commits that succeed and commits that fail.
func (s *session) note(failed error) {
	before := s.trouble.Load()
	switch {
	case failed != nil:
		s.trouble.Store(&failed)
		if before == nil {
			s.log.Error("the ledger cannot be written, so nothing can be reserved", zap.String("file", s.path), zap.Error(failed))
		}
	case before != nil:
		s.trouble.Store(nil)
		s.log.Info("the ledger can be written again", zap.String("file", s.path))
	}
}
