package filestore

import (
	"cmp"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// snapshot is the content of a file. It is immutable.
type snapshot struct {
	sorted   []*widgets.Record // by id
	byID     map[string]*widgets.Record
	dialects map[string]int // widgets by their own dialect
	keys     map[string]int // secrets by encryption key
}

// newSnapshot returns a snapshot of records in the order of their ids.
func newSnapshot(sorted []*widgets.Record) *snapshot {
	s := &snapshot{
		sorted:   sorted,
		byID:     make(map[string]*widgets.Record, len(sorted)),
		dialects: make(map[string]int),
		keys:     make(map[string]int),
	}
	for _, r := range sorted {
		s.byID[r.ID] = r
		if r.Dialect != "" {
			s.dialects[r.Dialect]++
		}
		for i := range r.Secrets {
			s.keys[r.Secrets[i].KeyID]++
		}
	}
	return s
}

// after returns up to limit records after the id.
func (s *snapshot) after(id string, limit int) []*widgets.Record {
	i, found := slices.BinarySearchFunc(s.sorted, id, func(r *widgets.Record, id string) int { return cmp.Compare(r.ID, id) })
	if found {
		i++
	}
	return slices.Clone(s.sorted[i:min(len(s.sorted), i+max(0, min(limit, len(s.sorted))))])
}

// with returns the snapshot with changes, of which nil deletes a record.
func (s *snapshot) with(changes map[string]*widgets.Record) *snapshot {
	sorted := make([]*widgets.Record, 0, len(s.sorted)+len(changes))
	for _, r := range s.sorted {
		if _, changed := changes[r.ID]; !changed {
			sorted = append(sorted, r)
		}
	}
	for _, r := range changes {
		if r != nil {
			sorted = append(sorted, r)
		}
	}
	slices.SortFunc(sorted, func(a, b *widgets.Record) int { return cmp.Compare(a.ID, b.ID) })
	return newSnapshot(sorted)
}

// since compares with a snapshot of a file that was written at that time. It returns the ids
// of widgets whose current secret is older than it was, of those that are new here but were
// created before, and of those that are gone.
func (s *snapshot) since(was *snapshot, written time.Time) (older, back, gone []string) {
	for _, record := range s.sorted {
		switch before := was.byID[record.ID]; {
		case before == nil && record.Created.Before(written.Truncate(time.Millisecond)): // as records have it
			back = append(back, record.ID)
		case before != nil && record.Rotated.Before(before.Rotated):
			older = append(older, record.ID)
		}
	}
	for _, record := range was.sorted {
		if s.byID[record.ID] == nil {
			gone = append(gone, record.ID)
		}
	}
	return older, back, gone
}
