package filestore

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"time"

	"go.uber.org/zap"
)

const (
	// lookEvery is how often the file is checked for changes by others.
	lookEvery = 500 * time.Millisecond
	// tick is the coarsest resolution of file times in use, FAT's. A file that was changed
	// less than a tick before it was read can change again and keep its time and size.
	tick = 2 * time.Second
)

func (s *Store) watch() {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.alive.Done():
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
		s.publish(s.current.Load().snapshot, err)
	}
	s.failed = err != nil
}

// refresh reads the file unless it has not changed. The caller holds mu.
func (s *Store) refresh() error {
	now, was := time.Now(), s.current.Load().snapshot
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.absent(was)
	case err != nil:
		return s.explain(err)
	case !info.Mode().IsRegular(): // opening a pipe would wait for its writer
		return s.broken(errIrregular)
	}
	s.existed = true
	if s.known.holds(s.path, info, now) {
		s.serve(was)
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
	before := s.known
	s.known, s.bad = version, nil
	if !s.compare(read) && was != nil && before != nil {
		s.warnChanged(read, was, before.info.ModTime())
	}
	s.serve(read)
	select {
	case s.outside <- struct{}{}:
	default: // a call is due already
	}
	return nil
}

// absent handles a missing file: an error if there ever was one, otherwise no widgets.
func (s *Store) absent(was *snapshot) error {
	if info, err := os.Lstat(s.path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return s.broken(errDangling)
	}
	if s.existed {
		return s.broken(errGone)
	}
	if was == nil {
		was = newSnapshot(nil)
	}
	s.serve(was)
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

// serve makes what the file has current, and notes that. The caller holds mu.
func (s *Store) serve(read *snapshot) {
	s.failed = false
	s.publish(read, nil)
	if s.existed && s.before == nil {
		s.note.Set(noteOf(read), s.log)
	}
}

// publish has lookups use a snapshot, and reports an error of reading the file or, without
// one, that of the last change. The caller holds mu.
func (s *Store) publish(read *snapshot, err error) {
	s.unread = err
	next := state{read, cmp.Or(err, s.full), s.before != nil}
	if *s.current.Load() != next {
		s.current.Store(&next)
	}
	if next.err == nil {
		s.alarm.Clear(zap.Int("widgets", len(read.sorted)))
		return
	}
	s.alarm.Bad = "the file of widgets cannot be used: what was last read from it is served, and changes are refused"
	if read == nil {
		s.alarm.Bad = "the file of widgets cannot be used: none of its widgets is known, and changes are refused"
	}
	s.alarm.Raise("", next.err)
}

// fileVersion identifies the content of a file.
type fileVersion struct {
	info    fs.FileInfo
	last    []byte // the last line, nil if the file is damaged
	settled bool   // any later change gives the file another time
}

// newVersion returns the version of a file that is read at that time.
func newVersion(info fs.FileInfo, last []byte, from time.Time) *fileVersion {
	return &fileVersion{info, last, from.Sub(info.ModTime()) > tick}
}

// looksLike compares the file's identity, size and time.
func (v *fileVersion) looksLike(info fs.FileInfo) bool {
	return v != nil && v.info.Size() == info.Size() && v.info.ModTime().Equal(info.ModTime()) && os.SameFile(v.info, info)
}

// holds reports whether the file has not changed. In doubt it compares the last lines, which
// have checksums.
func (v *fileVersion) holds(path string, info fs.FileInfo, now time.Time) bool {
	if !v.looksLike(info) || v.settled {
		return v.looksLike(info)
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	last := make([]byte, len(v.last))
	if _, err := f.ReadAt(last, info.Size()-int64(len(last))); err != nil || !bytes.Equal(last, v.last) {
		return false
	}
	v.settled = now.Sub(info.ModTime()) > tick
	return true
}

// load reads the file, and returns its version.
func load(path string, now time.Time) (*snapshot, *fileVersion, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat() // before reading, so that a write meanwhile counts as a change
	if err != nil {
		return nil, nil, err
	}
	s, last, err := decode(f)
	if _, wrong := errors.AsType[*damage](err); wrong {
		err = &fs.PathError{Op: "read", Path: path, Err: err}
	} else if err != nil {
		return nil, nil, err
	}
	return s, newVersion(info, last, now), err
}
