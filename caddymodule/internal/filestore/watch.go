package filestore

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"time"

	"go.uber.org/zap"
)

// lookEvery is how often the file is checked for changes by others.
const lookEvery = 500 * time.Millisecond

func (s *Store) watch() {
	defer close(s.done)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.look()
			s.tryWriting()
		case <-s.outside:
			if s.changed != nil {
				s.changed()
			}
		}
	}
}

// look checks the file for changes by others. Somebody may be writing it, so only the second
// failure in a row counts.
func (s *Store) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.refresh()
	if err != nil && s.failed {
		s.fail(err)
	}
	s.failed = err != nil
}

// refresh reads the file unless it has not changed. The caller holds mu.
func (s *Store) refresh() error {
	now := time.Now()
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.absent()
	case err != nil:
		return s.explain(err)
	case !info.Mode().IsRegular(): // opening a pipe would wait for its writer
		return s.broken(errIrregular)
	}
	s.existed = true
	if s.known.holds(s.path, info, now) {
		s.serve(s.current.Load().snapshot)
		return nil
	}
	if s.bad.looksLike(info) && s.bad.settled {
		return s.badErr
	}
	read, version, err := load(s.path, now)
	if err != nil {
		s.bad, s.badErr = version, s.explain(err)
		return s.badErr
	}
	was, before := s.current.Load().snapshot, s.known
	s.known, s.bad = version, nil
	if !s.compare(read) && was != nil && before != nil {
		s.warnChanged(read.since(was, before.info.ModTime()))
	}
	s.serve(read)
	select {
	case s.outside <- struct{}{}:
	default: // a call is due already
	}
	return nil
}

// absent handles a missing file: an error if there ever was one, otherwise no widgets.
func (s *Store) absent() error {
	if info, err := os.Lstat(s.path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return s.broken(errDangling)
	}
	if s.existed {
		return s.broken(errGone)
	}
	none := s.current.Load().snapshot
	if none == nil {
		none = newSnapshot(nil)
	}
	s.serve(none)
	return nil
}

// broken is the error of what is in the file's place.
func (s *Store) broken(err error) error {
	return s.explain(&fs.PathError{Op: "open", Path: s.path, Err: err})
}

// explain tells an operator what to do about the file: while its widgets are in memory, they
// need not come from a backup.
func (s *Store) explain(err error) error {
	if current := s.current.Load().snapshot; current == nil || len(current.sorted) == 0 {
		return unreadable(err, "")
	}
	as := ""
	if u, err := user.Current(); err == nil {
		as = ", as user " + u.Username
	}
	return unreadable(err, "all that was last read from it is served until a restart, so write it back ('caddy chat-identity export > "+s.path+"'"+as+"), or ")
}

// serve makes a snapshot current.
func (s *Store) serve(read *snapshot) {
	s.failed = false
	lost := s.before != nil
	if was := s.current.Load(); was.snapshot != read || was.err != s.full || was.lost != lost {
		s.current.Store(&state{read, s.full, lost})
	}
	if s.existed && !lost {
		s.keepNote(read)
	}
	if s.full == nil {
		s.alarm.Clear(zap.Int("widgets", len(read.sorted)))
	}
}

// fail reports an error, and keeps the last snapshot.
func (s *Store) fail(err error) {
	s.failed = true
	last := s.current.Load()
	s.current.Store(&state{last.snapshot, err, last.lost})
	s.raise(err)
}

func (s *Store) raise(err error) {
	s.alarm.Bad = "the file of widgets cannot be used: none of its widgets is known, and changes are refused"
	if s.Serves() {
		s.alarm.Bad = "the file of widgets cannot be used: what was last read from it is served, and changes are refused"
	}
	s.alarm.Raise("", err)
}
