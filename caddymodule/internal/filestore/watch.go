package filestore

import (
	"errors"
	"io/fs"
	"os"
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
		return unreadable(err)
	case !info.Mode().IsRegular(): // opening a pipe would wait for its writer
		return unreadable(&fs.PathError{Op: "open", Path: s.path, Err: errIrregular})
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
		s.bad, s.badErr = version, unreadable(err)
		return s.badErr
	}
	s.known, s.bad = version, nil
	if was := s.current.Load().snapshot; was != nil {
		s.warnOlder(read.older(was))
	}
	s.compare(read)
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
		return unreadable(&fs.PathError{Op: "open", Path: s.path, Err: errDangling})
	}
	if s.existed {
		return unreadable(&fs.PathError{Op: "open", Path: s.path, Err: errGone})
	}
	none := s.current.Load().snapshot
	if none == nil {
		none = newSnapshot(nil)
	}
	s.serve(none)
	return nil
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
