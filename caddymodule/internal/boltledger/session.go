package boltledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"
)

const (
	queueLength = 1024
	batchLimit  = 1024
)

// session is the file while it is open. Callers read it themselves. One goroutine writes, so
// that operations that arrive during a commit share the next one.
type session struct {
	l       *Ledger
	db      *bbolt.DB
	file    os.FileInfo // of the file that is open
	id      string      // the ledger's
	entries int         // when it was opened

	writes  chan *operation
	horizon horizon               // the writer's
	trouble atomic.Pointer[error] // of the last write; nil if it succeeded
	durable atomic.Int64          // the last transaction on the disk; bolt shows a commit earlier

	alive    context.Context // until the session is to end; its cause says why
	end      context.CancelCauseFunc
	stopped  chan struct{} // closed when the file is closed
	closeErr error         // set before stopped is closed
}

// newSession returns a session that is not served yet. It syncs the file: what a process
// wrote before it was killed is visible but may not be on the disk.
func (l *Ledger) newSession(db *bbolt.DB, file *os.File, entries int) (*session, error) {
	s := &session{
		l: l, db: db, entries: entries,
		writes: make(chan *operation, queueLength), stopped: make(chan struct{}),
		horizon: horizon{noted: l.clock.unix(), at: l.clock.steady()},
	}
	s.alive, s.end = context.WithCancelCause(context.Background())
	var err error
	if s.file, err = file.Stat(); err == nil {
		err = db.Sync()
	}
	if err != nil {
		return nil, err
	}
	err = s.read(func(tx *bbolt.Tx, t tables) error {
		s.durable.Store(int64(tx.ID()))
		m, err := t.memory()
		s.id = m.id
		return err
	})
	return s, err
}

func (s *session) read(work func(*bbolt.Tx, tables) error) error {
	last := s.durable.Load()
	return s.db.View(func(tx *bbolt.Tx) error {
		if int64(tx.ID()) < last { // an older copy was written over the file
			return s.lose(errReplaced)
		}
		t, err := tablesOf(tx)
		if err != nil {
			return err
		}
		return work(tx, t)
	})
}

// do answers an operation. Without a change it neither writes nor waits, unless the answer
// confirms what may not be on the disk yet. If the caller gives up, the operation may or
// may not be carried out.
func (s *session) do(o *operation) answer {
	if o.ctx.Err() != nil {
		return answer{err: context.Cause(o.ctx)}
	}
	if o.kind == extend { // Open checks that the file is still there
		if err := s.look(); err != nil {
			return answer{err: err}
		}
	}
	var a answer
	var decided bool
	err := s.read(func(tx *bbolt.Tx, t tables) (err error) {
		a, err = o.decide(t, s.l.clock.unix())
		decided = int64(tx.ID()) <= s.durable.Load() || !o.confirms(a)
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTxNotWritable): // there is something to write
	case err != nil:
		return answer{err: err}
	case decided:
		return a
	}
	o.answers = make(chan answer, 1)
	writes := s.writes
	for {
		select {
		case writes <- o:
			writes = nil // only the answer is awaited now
		case a := <-o.answers:
			return a
		case <-o.ctx.Done():
			return answer{err: context.Cause(o.ctx)}
		case <-s.stopped:
			return answer{err: context.Cause(s.alive)}
		}
	}
}

// serve writes until the session ends, also periodically: to drop entries that have ended,
// and to notice that commits succeed again or that the file is gone.
func (s *session) serve() {
	defer close(s.stopped)
	defer func() { s.closeErr = s.db.Close() }()
	next := time.NewTimer(s.l.sweepInterval)
	defer next.Stop()
	batch := make([]*operation, 0, batchLimit)
	for {
		select {
		case o := <-s.writes:
			batch = append(batch, o)
			for len(s.writes) > 0 && len(batch) < batchLimit { // nobody else receives
				batch = append(batch, <-s.writes)
			}
		case <-next.C:
			_ = s.look()
			next.Reset(s.l.sweepInterval)
		case <-s.alive.Done():
			return
		}
		if s.write(batch) == sweepLimit {
			next.Reset(0) // there is more
		}
		clear(batch)
		batch = batch[:0]
	}
}

// write carries out a batch in one transaction, and answers when that is on the disk. A
// failed commit is rolled back and is the error of this batch only.
func (s *session) write(batch []*operation) (removed int) {
	answers := make([]answer, len(batch))
	removed, err := s.commit(batch, answers)
	if err == nil {
		err = s.look() // the path must still name the file that has the commit
	}
	s.note(err)
	for i, o := range batch {
		if err != nil {
			answers[i] = answer{err: err}
		}
		o.answers <- answers[i]
	}
	return removed
}

func (s *session) commit(batch []*operation, answers []answer) (removed int, err error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if int64(tx.ID()) <= s.durable.Load() {
		return 0, s.lose(errReplaced)
	}
	t, err := tablesOf(tx)
	if err != nil {
		return 0, err
	}
	if m, err := t.memory(); err != nil {
		return 0, err
	} else if m.id != s.id {
		return 0, s.lose(errReplaced)
	}
	// After a failed commit, what is visible may not be on the disk.
	changed := s.trouble.Load() != nil
	now := s.l.clock.unix()
	for i, o := range batch {
		if o.ctx.Err() != nil { // the caller has given up
			answers[i].err = context.Cause(o.ctx)
			continue
		}
		if answers[i], err = o.decide(t, now); err != nil {
			return 0, err
		}
		changed = changed || o.changed
	}
	if removed, err = t.sweep(s.horizon.advance(s.l.clock), sweepLimit); err != nil || removed == 0 && !changed {
		return 0, err
	}
	id := int64(tx.ID())
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.durable.Store(id)
	return removed, nil
}

// note logs when commits begin to fail or to succeed.
func (s *session) note(failed error) {
	before := s.trouble.Load()
	switch {
	case failed != nil:
		s.trouble.Store(&failed)
		if before == nil && !s.ended() {
			s.l.log.Error("the ledger cannot be written, so nothing can be reserved", zap.String("file", s.l.path), zap.Error(failed))
		}
	case before != nil:
		s.trouble.Store(nil)
		s.l.log.Info("the ledger can be written again", zap.String("file", s.l.path))
	}
}

// look ends the session if the file is gone, and returns why it did.
func (s *session) look() error {
	named, err := os.Stat(s.l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errRemoved
	case err == nil && !os.SameFile(named, s.file):
		err = errReplaced
	default:
		return nil
	}
	return s.lose(err)
}

// lose ends the session, since the file is not what it was, and returns why.
func (s *session) lose(err error) error {
	if !s.ended() {
		s.l.log.Error("the ledger's file is no longer the one that was opened", zap.String("file", s.l.path), zap.Error(err))
	}
	s.end(err)
	return err
}

func (s *session) ended() bool { return s.alive.Err() != nil }
