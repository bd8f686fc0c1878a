package filestore

import (
	"context"
	"errors"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
)

// What a loss means and what to do.
const (
	acceptance = "'caddy chat-identity store accept-loss'"
	replaced   = "the file of widgets was replaced by one that has none of the widgets that this gateway knew, so their requests are " +
		"widget_unknown: put the right file back, import a backup ('caddy chat-identity import'), or go on without them (" +
		acceptance + ")"
)

// The texts of the note.
const (
	notedWidgets = "widgets"
	notedEmpty   = "no widgets"
)

// compare notices that a file was replaced by another one. Several widgets at once are rarely
// deleted between two looks at the file, so then it is somebody else's, or empty. At the
// start, only the note tells. It reports whether the widgets were lost before or are now. The
// caller holds mu.
func (s *Store) compare(read *snapshot) bool {
	was, before := s.current.Load().snapshot, s.before
	switch {
	case s.before != nil && read.shares(s.before):
		s.alarm.log.Info("the widgets of the file are back")
		s.before = nil
	case s.before != nil:
	case was == nil && s.noted == notedWidgets && len(read.sorted) == 0, was != nil && len(was.sorted) > 1 && !read.shares(was):
		if s.before = was; was == nil {
			s.before = newSnapshot(nil)
		}
		s.alarm.log.Error(replaced, zap.Int("widgets", len(s.before.sorted)))
	}
	return before != nil || s.before != nil
}

// shares reports whether any widget is in both.
func (s *snapshot) shares(other *snapshot) bool {
	for id := range s.byID {
		if other.byID[id] != nil {
			return true
		}
	}
	return false
}

// keepNote notes what the file has. The caller holds mu.
func (s *Store) keepNote(read *snapshot) {
	text := notedWidgets
	if len(read.sorted) == 0 {
		text = notedEmpty
	}
	if err := s.note.Set(text); err != nil {
		s.alarm.log.Warn("that there is a file of widgets cannot be noted, so its loss may go unnoticed: make the note writable",
			zap.String("note", s.note.Path), zap.Error(err))
	}
}

// Loss implements [widgets.Store].
func (s *Store) Loss() string {
	switch current := s.current.Load(); {
	case errors.Is(current.err, errGone):
		fault, _ := errors.AsType[*durable.Fault](current.err)
		return fault.Error()
	case current.lost:
		return replaced
	}
	return ""
}

// AcceptLoss implements [widgets.Store]. Where the file is gone, it creates an empty one.
func (s *Store) AcceptLoss(ctx context.Context) (bool, error) {
	s.mu.Lock()
	err := s.refresh()
	lost := s.before != nil
	s.mu.Unlock()
	if !lost && !errors.Is(err, errGone) {
		return false, err
	}
	target, unlock, err := s.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.refresh()
	switch {
	case errors.Is(err, errGone):
		if s.known, err = replace(target, nil); err != nil {
			return false, unwritable(err)
		}
		s.before, s.bad = nil, nil
		s.serve(newSnapshot(nil))
		return true, durable.SyncFolder(filepath.Dir(target))
	case err != nil || s.before == nil: // it is back
		return false, err
	}
	s.before = nil
	s.serve(s.current.Load().snapshot)
	return true, nil
}
