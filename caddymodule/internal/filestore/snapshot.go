package filestore

import (
	"cmp"
	"slices"

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
	s := &snapshot{sorted, make(map[string]*widgets.Record, len(sorted)), make(map[string]int), make(map[string]int)}
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
	next := slices.DeleteFunc(slices.Clone(s.sorted), func(r *widgets.Record) bool {
		_, changed := changes[r.ID]
		return changed
	})
	for _, r := range changes {
		if r != nil {
			next = append(next, r)
		}
	}
	slices.SortFunc(next, func(a, b *widgets.Record) int { return cmp.Compare(a.ID, b.ID) })
	return newSnapshot(next)
}
