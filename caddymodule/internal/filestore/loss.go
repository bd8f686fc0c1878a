package filestore

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// What a loss means and what to do.
const (
	acceptance = "'caddy chat-identity store accept-loss'"
	replaced   = "the file of widgets was replaced by one that has none of the widgets that this gateway knew, so their requests are " +
		"widget_unknown: put the right file back, import a backup ('caddy chat-identity import'), or go on without them (" +
		acceptance + ")"
)

// notedWidgets is noted of a file that has any.
const notedWidgets = "widgets"

// compare notices that a file was replaced by another one. Several widgets at once are rarely
// deleted between two looks at the file, so then it is somebody else's, or empty. At the
// start, only the note tells. It reports whether the widgets were lost before or are now. The
// caller holds mu.
func (s *Store) compare(read *snapshot) bool {
	was, before := s.current.Load().snapshot, s.before
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
	return before != nil || s.before != nil
}

// maxNamed is how many widgets a log line names.
const maxNamed = 10

// warnChanged logs what another program did to the file that may not be meant, since it was
// written as was: an earlier state, such as a backup, brings retired secrets and deleted
// widgets back, and lacks new ones.
func (s *Store) warnChanged(read, was *snapshot, written time.Time) {
	var older, back, gone []string
	switch before, now := was.byID[widgets.SigningKeysID], read.byID[widgets.SigningKeysID]; {
	case now != nil && before != nil && now.Rotated.Before(before.Rotated):
		s.log.Warn("the file of widgets was replaced by an older state, with signing keys that were replaced since: 'caddy chat-identity keys rotate' replaces them again")
	case now == nil && before != nil:
		s.log.Warn("the file of widgets no longer has the signing keys: another program has deleted them, or replaced the file. " +
			"A gateway that signs stores those that it knows. If that is not intended, put the right file back")
	}
	for _, record := range read.sorted {
		switch before := was.byID[record.ID]; {
		case record.ID == widgets.SigningKeysID:
		case before == nil && record.Created.Before(written.Truncate(time.Millisecond)): // as records have it
			back = append(back, record.ID)
		case before != nil && record.Rotated.Before(before.Rotated):
			older = append(older, record.ID)
		}
	}
	for _, record := range was.sorted {
		if read.byID[record.ID] == nil && record.ID != widgets.SigningKeysID {
			gone = append(gone, record.ID)
		}
	}
	for _, change := range []struct {
		what string
		ids  []string
	}{
		{"the file of widgets was replaced by an older state: secrets that were retired since verify again. Rotate these widgets", older},
		{"the file of widgets has old widgets that it did not have before: they were imported, or deleted and come from a backup. " +
			"Delete those that should be gone, since their secrets verify again", back},
		{"the file of widgets no longer has some widgets: another program has deleted them, or replaced the file. " +
			"Their requests are widget_unknown. If that is not intended, put the right file back or import a backup", gone},
	} {
		if n := len(change.ids); n > 0 {
			s.log.Warn(change.what, zap.Int("widgets", n), zap.Strings("such_as", change.ids[:min(n, maxNamed)]))
		}
	}
}

// shares reports whether any widget is in both, or the signing keys, which have the same id
// in every file.
func (s *snapshot) shares(other *snapshot) bool {
	return slices.ContainsFunc(s.sorted, func(r *widgets.Record) bool {
		in := other.byID[r.ID]
		return in != nil && (r.ID != widgets.SigningKeysID || in.Created.Equal(r.Created))
	})
}

// noteOf is what is noted of a file.
func noteOf(read *snapshot) string {
	if len(read.sorted) == 0 {
		return "no widgets"
	}
	return notedWidgets
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
		s.before = nil
		return true, s.commit(target, newSnapshot(nil))
	case err != nil || s.before == nil: // it is back
		return false, err
	}
	s.before = nil
	s.serve(s.current.Load().snapshot)
	return true, nil
}
