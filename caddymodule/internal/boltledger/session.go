package boltledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
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
	path    string
	log     *zap.Logger
	clock   clock
	db      *bbolt.DB
	file    os.FileInfo // of the file that is open
	id      string      // the ledger's
	entries int         // when it was opened

	writes  chan *operation
	horizon horizon               // the writer's
	trouble atomic.Pointer[error] // of the last write; nil if it succeeded
	durable atomic.Int64          // the last transaction on the disk; bolt shows a commit earlier

	ending   sync.Once
	stop     chan struct{} // closed when the session is to end
	err      error         // why, set before stop is closed
	stopped  chan struct{} // closed when the file is closed
	closeErr error         // set before stopped is closed
}

// newSession returns a session that is not served yet. It syncs the file: what a process
// wrote before it was killed is visible but may not be on the disk.
func (l *Ledger) newSession(db *bbolt.DB, file *os.File, entries int) (*session, error) {
	s := &session{
		path: l.path, log: l.log, clock: l.clock, db: db, entries: entries,
		writes: make(chan *operation, queueLength), stop: make(chan struct{}), stopped: make(chan struct{}),
		horizon: horizon{noted: l.clock.unix(), at: l.clock.steady()},
	}
	info, err := file.Stat()
	if err = errors.Join(err, db.Sync()); err != nil {
		return nil, err
	}
	s.file = info
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
		a, err = o.decide(t, s.clock.unix())
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
			return answer{err: s.err}
		}
	}
}

// serve writes until the session ends, also periodically: to drop entries that have ended,
// and to notice that commits succeed again or that the file is gone.
func (s *session) serve(interval time.Duration) {
	defer close(s.stopped)
	defer func() { s.closeErr = s.db.Close() }()
	next := time.NewTimer(interval)
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
			next.Reset(interval)
		case <-s.stop:
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
	now := s.clock.unix()
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
	if removed, err = t.sweep(s.horizon.advance(s.clock), sweepLimit); err != nil || removed == 0 && !changed {
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
			s.log.Error("the ledger cannot be written, so nothing can be reserved", zap.String("file", s.path), zap.Error(failed))
		}
	case before != nil:
		s.trouble.Store(nil)
		s.log.Info("the ledger can be written again", zap.String("file", s.path))
	}
}

// look ends the session if the file is gone, and returns why it did.
func (s *session) look() error {
	named, err := os.Stat(s.path)
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
		s.log.Error("the ledger's file is no longer the one that was opened", zap.String("file", s.path), zap.Error(err))
	}
	s.end(err)
	return err
}

func (s *session) ended() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

func (s *session) end(err error) {
	s.ending.Do(func() {
		s.err = err
		close(s.stop)
	})
}
