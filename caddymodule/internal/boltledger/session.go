package boltledger

import (
	"context"
	"errors"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"
)

const (
	queueLength = 1024
	batchLimit  = 1024
)

var (
	errCut      = errors.New("the file was cut short while it was in use")
	errReplaced = errors.New("the file was replaced while it was in use")
)

// session is the file while it is open. Only its own goroutines touch bolt, and
// callers wait for them on channels: a fault in the mapped file can leave bolt's
// locks held, and then nobody may be waiting for one.
type session struct {
	path  string
	log   *zap.Logger
	clock clock
	db    *bbolt.DB
	file  *os.File
	id    string // the ledger's
	found int    // entries when it was opened

	reads, writes chan *operation
	workers       sync.WaitGroup
	trouble       atomic.Pointer[error] // why the last commit failed; nil if it did not

	// Transactions are numbered. What is durable is on the disk, what was tried
	// may be; bolt shows both. Any other number is another file's.
	durable, tried atomic.Int64
	size           atomic.Int64 // what the file has at least

	ending   sync.Once
	ended    chan struct{} // closed when no more answers come
	err      error         // why; set before ended is closed
	jamming  sync.Once
	jammed   chan struct{} // closed when bolt's locks are lost
	gone     chan struct{} // closed when the file is let go of
	closeErr error         // set before gone is closed
}

// newSession starts serving. It syncs first: what a process that was killed had
// written is visible, but may not be on the disk.
func (l *Ledger) newSession(db *bbolt.DB, file *os.File, found int) (*session, error) {
	s := &session{
		path: l.path, log: l.log, clock: l.clock, db: db, file: file, found: found,
		reads: make(chan *operation, queueLength), writes: make(chan *operation, queueLength),
		ended: make(chan struct{}), jammed: make(chan struct{}), gone: make(chan struct{}),
	}
	s.tried.Store(math.MaxInt64)
	err := file.Sync()
	if err == nil {
		err = s.transact(false, func(tx *bbolt.Tx, t tables) error {
			s.durable.Store(int64(tx.ID()))
			s.tried.Store(int64(tx.ID()))
			m, err := t.memory()
			s.id = m.id
			return errors.Join(err, s.inPlace())
		})
	}
	if err != nil {
		s.end(err)
		s.letGo()
		return nil, err
	}
	s.workers.Go(func() { s.serve(s.reads, s.read) })
	s.workers.Go(func() { s.serve(s.writes, s.write) })
	s.workers.Go(func() { s.sweepEvery(l.setup.sweepInterval) })
	go s.letGo()
	return s, nil
}

// ask has a worker answer the operation. A caller who gives up does not learn
// whether it was carried out.
func (s *session) ask(queue chan *operation, o *operation) answer {
	if o.ctx.Err() != nil {
		return answer{err: context.Cause(o.ctx)}
	}
	select {
	case queue <- o:
	case <-o.ctx.Done():
		return answer{err: context.Cause(o.ctx)}
	case <-s.ended:
		return answer{err: s.err}
	}
	select {
	case a := <-o.answers:
		return a
	case <-o.ctx.Done():
		return answer{err: context.Cause(o.ctx)}
	case <-s.ended:
		return answer{err: s.err}
	}
}

// serve takes all operations that are queued, and then again: those that come
// during a commit share the next one.
func (s *session) serve(queue chan *operation, work func([]*operation) error) {
	batch := make([]*operation, 0, batchLimit)
	for {
		select {
		case o := <-queue:
			batch = append(batch, o)
		case <-s.ended:
			return
		}
	queued:
		for len(batch) < batchLimit {
			select {
			case o := <-queue:
				batch = append(batch, o)
			default:
				break queued
			}
		}
		if err := work(batch); err != nil {
			s.fail(err)
			return
		}
		clear(batch)
		batch = batch[:0]
	}
}

// transact runs work in a transaction, which work commits or not. An error ends
// the session: it is one of the file.
func (s *session) transact(writable bool, work func(*bbolt.Tx, tables) error) error {
	return faultless(func() error {
		if err := s.intact(); err != nil {
			return err
		}
		durable := s.durable.Load()
		tx, err := s.begin(writable)
		if err != nil {
			return err
		}
		defer s.rollback(tx)
		id := int64(tx.ID())
		if writable {
			id-- // what it builds on
		}
		if id < durable || id > s.tried.Load() {
			return errReplaced
		}
		t, err := tablesOf(tx)
		if err != nil {
			return err
		}
		return work(tx, t)
	})
}

// begin starts a transaction.
func (s *session) begin(writable bool) (tx *bbolt.Tx, err error) {
	s.guard(func() { tx, err = s.db.Begin(writable) })
	return tx, err
}

// rollback ends a transaction, unless it has been committed.
func (s *session) rollback(tx *bbolt.Tx) {
	s.guard(func() { _ = tx.Rollback() })
}

// guard notices a panic that leaves bolt's locks held.
func (s *session) guard(work func()) {
	returned := false
	defer func() {
		if !returned {
			s.jamming.Do(func() { close(s.jammed) })
		}
	}()
	work()
	returned = true
}

// fail ends a session whose file cannot be used.
func (s *session) fail(err error) {
	select {
	case <-s.ended:
	default:
		s.log.Error("the ledger's file cannot be used any more and is opened again", zap.String("file", s.path), zap.Error(err))
	}
	s.end(err)
}

// end has everybody who waits told so.
func (s *session) end(err error) {
	s.ending.Do(func() {
		s.err = err
		close(s.ended)
	})
}

// letGo closes the file once nobody uses it. Where bolt's locks are lost it
// cannot be asked to.
func (s *session) letGo() {
	defer close(s.gone)
	<-s.ended
	exited := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(exited)
	}()
	select {
	case <-exited:
	case <-s.jammed:
	}
	select {
	case <-s.jammed:
		s.closeErr = abandon(s.file)
	default:
		s.closeErr = s.db.Close()
	}
}
