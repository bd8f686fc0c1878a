package boltledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltcheck"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
)

const (
	// lockTimeout is how long to wait for another process that has the file open, which
	// may be about to stop.
	lockTimeout = time.Second
	// retryAfter is how long all callers get the error of a failed attempt, so that they
	// do not queue up for lockTimeout each.
	retryAfter = time.Second
)

var (
	errNoFile = errors.New("it is a folder or a device, not a file: name a file in it, or move what is there away")
	errInUse  = errors.New("another process has the file open, such as an old Caddy that is still stopping, or a second one: " +
		"give each its own file, or use a shared ledger for a fleet")
	errReplaced = errors.New("the file was replaced while it was in use, and is opened again: wait a moment")
	errRemoved  = errors.New("the file was removed while it was in use: put it back, or accept the loss" + acceptance)
	errOther    = errors.New("the file was replaced by another ledger while it was in use: put it back, or accept the loss" + acceptance)
)

// current returns the session, and opens the file if there is none. The first attempt is
// awaited by all callers, and later ones by the caller that starts them. All others get the
// last error at once.
func (l *Ledger) current(ctx context.Context) (*session, error) {
	l.mu.Lock()
	if s := l.session; s != nil && !s.ended() {
		l.mu.Unlock()
		return s, nil
	}
	opening := l.opening
	switch {
	case opening == nil && (l.failure == nil || time.Since(l.failed) >= retryAfter):
		opening = l.attempt()
	case l.failure != nil:
		defer l.mu.Unlock()
		return nil, l.failure
	}
	l.mu.Unlock()
	select {
	case <-opening:
		return l.current(ctx)
	case <-ctx.Done():
		return nil, l.unavailable(context.Cause(ctx))
	}
}

// attempt opens the file in the background. The caller has the lock.
func (l *Ledger) attempt() chan struct{} {
	done := make(chan struct{})
	l.opening = done
	l.calls.Add(1)
	last, anew, before := l.session, l.anew, l.failure
	go func() {
		defer l.calls.Done()
		defer close(done)
		if last != nil {
			<-last.stopped // which releases the lock
		}
		s, err := l.open(last, anew)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.opening, l.failed, l.failure = nil, time.Now(), nil
		if err != nil {
			l.failure = l.unavailable(err)
			if before == nil || before.Error() != l.failure.Error() {
				l.log.Error("the ledger cannot be opened, so it cannot be asked", zap.Error(l.failure))
			}
			return
		}
		l.session, l.anew = s, false
		l.log.Info("the ledger is open", zap.String("file", l.path), zap.Int("entries", s.entries))
	}()
	return done
}

// open inspects the file and starts a session. After an earlier session it must be the same
// ledger. If it was restored from a copy that lacks the last transaction known to have been
// on the disk, or replaces another ledger (anew), it is made to forget before it answers.
func (l *Ledger) open(last *session, anew bool) (*session, error) {
	if l.path == "" {
		return nil, errors.New("the ledger has no path")
	}
	switch info, err := os.Stat(l.path); {
	case errors.Is(err, fs.ErrNotExist) && last != nil:
		return nil, errRemoved
	case errors.Is(err, fs.ErrNotExist):
		if err := create(l.path); err != nil {
			return nil, fmt.Errorf("cannot be created: %w", err)
		}
		l.log.Info("an empty ledger was created", zap.String("file", l.path))
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNoFile
	case info.Size() == 0:
		return nil, errEmpty
	}
	entries, err := inspect(l.path)
	if err != nil {
		return nil, err
	}
	db, file, err := openBolt(l.path, &bbolt.Options{NoSync: l.noSync})
	if err != nil {
		return nil, err
	}
	s, err := l.newSession(db, file, entries)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.serve()
	switch {
	case last != nil && s.id != last.id:
		err = errOther
	case last != nil && s.durable.Load() < last.durable.Load():
		l.log.Warn("the ledger's file was restored from a copy: one-time signatures from before are not accepted", zap.String("file", l.path))
		anew = true
	}
	if err == nil && anew {
		err = s.do(&operation{ctx: context.Background(), kind: forget}).err
	}
	if err != nil {
		s.end(err)
		<-s.stopped
		return nil, err
	}
	return s, nil
}

// CheckBeginning returns an error for a file that begins as no ledger does. It locks nothing:
// another process may have the file open.
func CheckBeginning(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	switch {
	case info.Size() == 0:
		return errEmpty
	case !boltcheck.Begins(file):
		return errNoLedger
	}
	return nil
}

// openBolt opens an existing file with bolt. It also returns the file, which belongs to bolt.
func openBolt(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	o.Timeout = lockTimeout
	// The hashmap free list scatters allocations until no run of pages is long enough for
	// the list itself, so that the file keeps growing.
	o.FreelistType = bbolt.FreelistArrayType
	o.NoStatistics = true
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
		return file, err
	}
	db, err = bbolt.Open(path, 0o600, o)
	var system *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		err = errInUse
	case err != nil && !errors.As(err, &system): // it is not a bolt file
		err = errNoLedger
	}
	return db, file, err
}

// create creates an empty ledger in one step, so that an empty or incomplete file is always
// a damaged one.
func create(path string) error {
	return durable.Create(path, func(draft *os.File) error {
		db, err := bbolt.Open(draft.Name(), 0o600, &bbolt.Options{Timeout: lockTimeout, NoStatistics: true})
		if err != nil {
			return err
		}
		return errors.Join(db.Update(createTables), db.Close())
	})
}
