package filestore

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// tryEvery is how often a write is tried after one failed.
	tryEvery = 5 * time.Second
	// tryTimeout is how long that waits for the lock. A writer that has it will notice.
	tryTimeout = 100 * time.Millisecond
)

// Update implements [widgets.Store]. It writes the whole file, so many changes in one call
// cost as much as one.
func (s *Store) Update(ctx context.Context, ids []string, change widgets.Change) error {
	target, unlock, err := s.lock(ctx)
	if err != nil {
		if errors.Is(err, widgets.ErrUnwritable) { // otherwise another change may be under way, and hold mu
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cannotWrite(err)
		}
		return err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return err
	}
	last := s.current.Load().snapshot
	changes, err := widgets.Changes(ids, func(id string) *widgets.Record { return last.byID[id] }, change)
	if err != nil || len(changes) == 0 {
		return err
	}
	return s.commit(target, last.with(changes))
}

// commit writes and serves what the store has from now on. The caller holds the lock and mu.
func (s *Store) commit(target string, next *snapshot) error {
	written, err := replace(target, next.sorted)
	if errors.Is(err, widgets.ErrRecord) {
		return err
	}
	if err != nil {
		err = unwritable(err)
		s.cannotWrite(err)
		return err
	}
	s.existed, s.known, s.bad, s.full = true, written, nil, nil
	s.serve(next)
	if err := durable.SyncFolder(filepath.Dir(target)); err != nil {
		return unsure(err)
	}
	return nil
}

// cannotWrite notes that a change could not be written, so that [Store.Err] reports it until
// a write succeeds. The caller holds mu.
func (s *Store) cannotWrite(err error) {
	if errors.Is(err, widgets.ErrUnwritable) {
		s.full, s.tried = err, time.Now()
		s.publish(s.current.Load().snapshot, s.unread)
	}
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
	if err == nil {
		s.full = nil // the next look reports it
	}
	s.cannotWrite(err)
}

// replace writes the records to a new file, which then replaces the old one. After an error,
// the old one is unchanged.
func replace(target string, records []*widgets.Record) (*fileVersion, error) {
	fresh, written, err := write(target, records)
	if err == nil {
		err = durable.Rename(fresh, target)
	}
	if err != nil {
		_ = os.Remove(fresh) // the next change tries again
	}
	return written, err
}

// try writes the records as replace does, but keeps the old file.
func try(target string, records []*widgets.Record) error {
	fresh, _, err := write(target, records)
	_ = os.Remove(fresh)
	return errors.Join(err, durable.Replaceable(target))
}

// write durably writes the records to the file that will replace the target. The caller holds
// the lock, so one that exists was left by a process that was killed.
func write(target string, records []*widgets.Record) (fresh string, written *fileVersion, err error) {
	folder, name := filepath.Split(target)
	fresh = filepath.Join(folder, "."+name+".new")
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fresh, nil, err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fresh, nil, err
	}
	var last []byte
	err = durable.Fill(f, target, func() (err error) {
		w := bufio.NewWriterSize(f, 256<<10)
		last, err = encode(w, records)
		return cmp.Or(err, w.Flush())
	})
	if err != nil {
		return fresh, nil, err
	}
	info, err := os.Stat(fresh)
	if err != nil {
		return fresh, nil, err
	}
	return fresh, newVersion(info, last, info.ModTime()), nil
}
