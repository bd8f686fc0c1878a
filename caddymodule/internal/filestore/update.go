package filestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Update implements [widgets.Store]. It writes the whole file, so many changes in one call
// cost as much as one.
func (s *Store) Update(ctx context.Context, ids []string, change func(string, *widgets.Record) (*widgets.Record, error)) error {
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
	changes, err := last.changes(ids, change)
	if err != nil || len(changes) == 0 {
		return err
	}
	next := last.with(changes)
	written, err := replace(target, next.sorted)
	if errors.Is(err, widgets.ErrRecord) {
		return err
	}
	if err != nil {
		err = unwritable(err)
		s.cannotWrite(err)
		return err
	}
	s.full = nil
	s.existed, s.known, s.bad = true, written, nil
	s.serve(next)
	if err := durable.SyncFolder(filepath.Dir(target)); err != nil {
		return unsure(err)
	}
	return nil
}

// changes calls change for each id, and returns the records that differ.
func (s *snapshot) changes(ids []string, change func(string, *widgets.Record) (*widgets.Record, error)) (map[string]*widgets.Record, error) {
	asked := make(map[string]*widgets.Record, len(ids))
	for _, id := range ids {
		old, again := asked[id]
		if !again {
			old = s.byID[id]
		}
		next, err := change(id, old)
		if err != nil {
			return nil, err
		}
		asked[id] = next
		if next == nil || next == old {
			continue
		}
		if err := next.Check(); err != nil {
			return nil, err
		}
		if next.ID != id {
			return nil, fmt.Errorf("%w of widget %s: it would replace widget %s", widgets.ErrRecord, next.ID, id)
		}
	}
	for id, next := range asked {
		if next == s.byID[id] {
			delete(asked, id)
		}
	}
	return asked, nil
}
