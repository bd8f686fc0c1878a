package filestore

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
)

// What a loss means and what to do.
const (
	acceptance = "'caddy chat-identity store accept-loss'"
	gone       = "the file of widgets is gone, and %s: put it back, or go on without its widgets (" + acceptance + ") and import a backup " +
		"('caddy chat-identity import')"
	goneServing = "what was last read from it is served until a restart"
	goneUnread  = "none of its widgets is known"
	replaced    = "the file of widgets was replaced by one that has none of the widgets that this gateway knew, so their requests are " +
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
// start, only the note tells. The caller holds mu.
func (s *Store) compare(read *snapshot) {
	was := s.current.Load().snapshot
	switch {
	case s.before != nil && read.shares(s.before):
		s.log.Info("the widgets of the file are back")
		s.before = nil
	case s.before != nil:
	case was == nil && s.noted == notedWidgets && len(read.sorted) == 0, was != nil && len(was.sorted) > 1 && !read.shares(was):
		if s.before = was; was == nil {
			s.before = newSnapshot(nil)
		}
		s.log.Error(replaced, zap.Int("widgets", len(s.before.sorted)))
	}
}

// maxNamed is how many widgets a log line names.
const maxNamed = 10

// warnOlder logs that the file was replaced by an earlier state, such as a backup, with
// secrets that were retired since.
func (s *Store) warnOlder(ids []string) {
	if len(ids) > 0 {
		s.log.Warn("the file of widgets was replaced by an older state: secrets that were retired since verify again. Rotate these widgets",
			zap.Int("widgets", len(ids)), zap.Strings("such_as", ids[:min(len(ids), maxNamed)]))
	}
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
	s.note.Set(text, s.log)
}

// Loss implements [widgets.Store].
func (s *Store) Loss() string {
	switch current := s.current.Load(); {
	case errors.Is(current.err, errGone) && current.snapshot == nil:
		return fmt.Sprintf(gone, goneUnread)
	case errors.Is(current.err, errGone):
		return fmt.Sprintf(gone, goneServing)
	case current.lost:
		return replaced
	}
	return ""
}

// AcceptLoss implements [widgets.Store]. Where the file is gone, it creates an empty one.
func (s *Store) AcceptLoss(ctx context.Context) (bool, error) {
	if s.Loss() == "" {
		return false, nil
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
		s.before = nil
		return true, s.commit(target, newSnapshot(nil))
	case err != nil || s.before == nil: // it is back
		return false, err
	}
	s.before = nil
	s.serve(s.current.Load().snapshot)
	return true, nil
}
