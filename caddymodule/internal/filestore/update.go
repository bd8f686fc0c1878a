package filestore

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
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
