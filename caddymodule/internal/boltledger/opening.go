package boltledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	// lockTimeout is how long another process that has the file is waited for:
	// long enough for one that is about to stop.
	lockTimeout = time.Second
	// retryAfter is how long a failed attempt counts for everybody, so that
	// requests do not queue up for lockTimeout each.
	retryAfter = time.Second
)

var (
	errNoFile = errors.New("it is a folder or a device, and not a file")
	errInUse  = errors.New("another Caddy process has the file open, an old one that is still stopping or a second one: " +
		"give each its own file, or use a shared ledger for a fleet")
	errRemoved error = goneError("the file was removed while it was in use: put it back, or accept the loss" + acceptance)
	errOther   error = goneError("the file was replaced by another ledger while it was in use: put it back, or accept the loss" + acceptance)
)

// goneError is [ledger.ErrGone] with what to do about it.
type goneError string

func (e goneError) Error() string { return string(e) }

func (goneError) Is(target error) bool { return target == ledger.ErrGone }

// enter counts a call in, so that Close waits for it.
func (l *Ledger) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.unavailable(errClosed)
	}
	l.calls.Add(1)
	return nil
}

// current returns the session, and opens the file where there is none. Whoever
// finds an attempt due waits for it, and so does everybody for the first one;
// else the last error is returned at once.
func (l *Ledger) current(ctx context.Context) (*session, error) {
	l.mu.Lock()
	l.reap()
	if s := l.session; s != nil {
		l.mu.Unlock()
		return s, nil
	}
	opening := l.opening
	switch {
	case l.due():
		opening = l.attempt()
	case l.failure != nil:
		defer l.mu.Unlock()
		return nil, l.failure
	}
	l.mu.Unlock()
	select {
	case <-opening:
	case <-ctx.Done():
		return nil, l.unavailable(context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		return l.session, nil
	}
	return nil, l.failure
}

// reap takes a session that has ended by itself off the ledger.
func (l *Ledger) reap() {
	if l.session == nil {
		return
	}
	select {
	case <-l.session.ended:
		l.failure, l.failed, l.gone = l.unavailable(l.session.err), time.Now(), l.session.gone
		l.seen = l.session.durable.Load()
		l.session = nil
	default:
	}
}

func (l *Ledger) due() bool {
	return l.opening == nil && (l.failure == nil || time.Since(l.failed) >= retryAfter)
}

// attempt opens the file in the background. The caller has the lock.
func (l *Ledger) attempt() chan struct{} {
	done := make(chan struct{})
	l.opening = done
	l.calls.Add(1)
	gone, id, seen, before := l.gone, l.id, l.seen, l.failure
	go func() {
		defer l.calls.Done()
		defer close(done)
		if gone != nil {
			<-gone // two sessions would wait for each other's lock
		}
		s, err := l.open(id, seen)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.session, l.failure, l.failed, l.opening, l.gone = s, nil, time.Now(), nil, nil
		if err != nil {
			l.failure = l.unavailable(err)
			if before == nil || before.Error() != l.failure.Error() {
				l.log.Error("the ledger cannot be opened, so it cannot be asked", zap.Error(l.failure))
			}
			return
		}
		l.id = s.id
		l.log.Info("the ledger is open", zap.String("file", l.path), zap.Int("entries", s.found))
	}()
	return done
}

// open inspects the file and starts a session on it. Where there was one before,
// it must be the ledger of that id; if it was put back from a copy that lacks the
// last transaction that was seen, it has forgotten.
func (l *Ledger) open(id string, seen int64) (*session, error) {
	if l.path == "" {
		return nil, errors.New("the ledger has no path")
	}
	switch info, err := os.Stat(l.path); {
	case errors.Is(err, fs.ErrNotExist) && id != "":
		return nil, errRemoved
	case errors.Is(err, fs.ErrNotExist):
		if err := create(l.path); err != nil {
			return nil, fmt.Errorf("cannot be created: %w", err)
		}
		l.log.Info("a ledger was created, which holds nothing yet", zap.String("file", l.path))
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNoFile
	}
	found, err := inspectLocked(l.path)
	if err != nil {
		return nil, err
	}
	db, file, err := openBolt(l.path, &bbolt.Options{NoSync: l.setup.noSync})
	if err != nil {
		return nil, err
	}
	if err := faultless(func() error { return upgrade(db, l.clock.unix()) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s, err := l.newSession(db, file, found)
	if err != nil {
		return nil, err
	}
	switch {
	case id != "" && s.id != id:
		err = errOther
	case s.durable.Load() < seen:
		l.log.Warn("the ledger's file was put back from a copy: one-time signatures from before are refused", zap.String("file", l.path))
		err = s.ask(s.writes, &operation{ctx: context.Background(), kind: forget, answers: make(chan answer, 1)}).err
	}
	if err != nil {
		s.end(err)
		<-s.gone
		return nil, err
	}
	return s, nil
}

// inspectLocked keeps writers off while the file is inspected. Bolt must not
// map it for writing before: it believes every page, and would follow a damaged
// one out of the file or out of memory.
func inspectLocked(path string) (entries int, err error) {
	db, file, err := openBolt(path, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	err = faultless(func() (err error) {
		entries, err = inspect(file)
		return err
	})
	return entries, errors.Join(err, db.Close())
}

// openBolt opens the file with bolt and returns the file beside it. Without its
// lock, nothing can be said but that bolt can map it.
func openBolt(path string, o *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	o.Timeout = lockTimeout
	// The other kind of free list scatters what it hands out, until no run of
	// pages is left that is long enough for the list itself: the file grows on.
	o.FreelistType = bbolt.FreelistArrayType
	o.NoStatistics = true
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
		if err != nil {
			return nil, err
		}
		if err := mappable(f); err != nil {
			f.Close()
			return nil, err
		}
		file = f
		return f, nil
	}
	err = faultless(func() (err error) {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	if err != nil && file != nil {
		_ = abandon(file) // bolt has done so, unless it panicked
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = errInUse
	}
	return db, file, err
}

// faultless returns a panic in bolt, or a fault in the mapped file, as an error.
func faultless(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged("%v", p)
		}
	}()
	return work()
}
