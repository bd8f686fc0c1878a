package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// together is how many records one script replaces atomically. It blocks Redis
	// meanwhile.
	together = 256
	// attempts is how often a group is tried. Each failure means that another writer
	// succeeded.
	attempts = 64
	// exchangeLimit bounds one exchange of a change or a list, which may have some
	// megabytes.
	exchangeLimit = 5 * time.Second
)

// Update implements [widgets.Store]. Up to 256 widgets are changed atomically, more in groups
// of that many. If change, called again since another writer was faster, returns an error,
// earlier groups may have been changed.
//
// If a record was replaced or deleted, Update returns when no gateway uses the old one any
// more, a second later, even if ctx has ended meanwhile. It waits as well if it changes
// nothing, or change refuses, but another writer has just changed something: what Update
// found then holds everywhere, too. A widget that is lost is not [widgets.ErrNotFound].
func (s *Store) Update(ctx context.Context, ids []string, change widgets.Change) error {
	if s.alive.Err() != nil {
		return errClosed
	}
	if err := s.away.Load(); err != nil {
		return *err
	}
	client, err := s.link.Client(ctx)
	if err != nil {
		return unwritten(err)
	}
	u := &update{store: s, client: client, change: change, times: make(map[string]int, len(ids))}
	var unique []string
	for _, id := range ids {
		if u.times[id]++; u.times[id] == 1 {
			unique = append(unique, id)
		}
	}
	err = u.run(ctx, slices.Collect(slices.Chunk(unique, together)))
	if u.absent && (err == nil || errors.Is(err, widgets.ErrNotFound)) {
		if lost := s.endRemembered(client); lost != nil {
			return lost
		}
	}
	switch {
	case err == nil && u.retired:
		time.Sleep(writerWait)
	case u.left && !errors.Is(err, widgets.ErrUnavailable):
		time.Sleep(u.settled - s.clock())
	}
	return err
}

type update struct {
	store   *Store
	client  rueidis.Client
	change  widgets.Change
	times   map[string]int // how often each id was given
	written bool           // something was changed, or may have been
	retired bool           // that replaced or deleted a record
	left    bool           // something is to stay as it was found
	absent  bool           // that is not stored
	// settled is when no gateway uses what others had retired before it was read.
	settled time.Duration
}

// run changes the groups. All are planned before the first is changed, so that an error of
// change prevents all changes.
func (u *update) run(ctx context.Context, groups [][]string) error {
	for attempt := range attempts {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(min(attempt, 10)) * int64(time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		plans := make([][]write, len(groups))
		for i, g := range groups {
			var err error
			plans[i], err = u.plan(ctx, g)
			switch {
			case err != nil && ctx.Err() != nil && u.written:
				return unsure(ctx.Err())
			case err != nil && ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				return err
			}
		}
		var lost [][]string
		for i, writes := range plans {
			if len(writes) == 0 {
				continue
			}
			done, err := u.commit(ctx, writes)
			if err != nil {
				return err
			}
			if !done {
				lost = append(lost, groups[i])
			}
		}
		if groups = lost; len(groups) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: others changed the same widgets %d times", widgets.ErrBusy, attempts)
}

// plan reads the records of a group, and calls change for each.
func (u *update) plan(ctx context.Context, ids []string) ([]write, error) {
	values, records, version, err := u.store.read(ctx, u.client, ids)
	if err != nil && u.written {
		return nil, unsure(err)
	} else if err != nil {
		return nil, err
	}
	retired := u.store.clock()
	if seen := u.store.seen.Load(); seen.version == version {
		retired = seen.at
	}
	u.settled = max(u.settled, retired+writerWait)
	old := make(map[string]*widgets.Record, len(ids))
	var calls []string
	for i, id := range ids {
		old[id] = records[i]
		calls = append(calls, slices.Repeat([]string{id}, u.times[id])...)
	}
	changes, err := widgets.Changes(calls, func(id string) *widgets.Record { return old[id] }, u.change)
	u.left = u.left || len(changes) < len(ids)
	if err != nil {
		u.absent = u.absent || slices.Contains(values, "")
		return nil, err
	}
	var writes []write
	for i, id := range ids {
		next, changed := changes[id]
		u.absent = u.absent || values[i] == "" && next == nil
		if !changed {
			continue
		}
		w := write{id: id, seen: values[i]}
		if old[id] != nil {
			w.from = old[id].Dialect
		}
		if next != nil {
			w.to = next.Dialect
			if w.next, err = encode(next); err != nil {
				u.left = true
				return nil, err
			}
		}
		if w.next == w.seen {
			u.left = true
			continue
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// commit writes a group, and reports whether no other writer was faster.
func (u *update) commit(ctx context.Context, writes []write) (done bool, err error) {
	if ctx.Err() != nil && !u.written {
		return false, ctx.Err()
	}
	// A change that was sent is completed: otherwise its result would be unknown.
	within, cancel := limited(context.WithoutCancel(ctx))
	defer cancel()
	done, err = u.store.replace(within, u.client, writes)
	_, refused := rueidis.IsRedisErr(err)
	switch {
	case err == nil && !done:
		return false, nil
	case refused && u.written:
		return false, unsure(err)
	case refused:
		return false, unwritten(err)
	}
	// Something was changed, or may have been: what was read before is not current.
	u.written = true
	for i := range writes {
		u.retired = u.retired || writes[i].seen != ""
		u.store.forget(&writes[i])
	}
	if err != nil {
		return false, unsure(err)
	}
	return true, nil
}

// limited returns a context that ends after exchangeLimit. It has no deadline, which rueidis
// might shorten to that of a lookup.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(exchangeLimit, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// forget makes this process's next lookup read what was written.
func (s *Store) forget(w *write) {
	s.dialects.note(w.to, s.clock())
	if w.seen != "" {
		s.epoch.Add(1)
	}
	s.flights.Forget(w.id)
}
