package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"slices"
	"strconv"
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
)

// script replaces all given records if their values are those that the writer has seen, or
// else none and answers 0. The first keys are the ids, the dialects, the version and the
// store's name, then one per record. The first argument is the new version, and the name of
// a store that has none; then there are five per record: the id, the old and the new value,
// empty for none, and the dialects of the two. SET comes first, since it is what Redis
// refuses when its memory is full.
const script = `
local retired = redis.call('GET', KEYS[3]) == false
for i = 5, #KEYS do
  local at = (i - 5) * 5 + 1
  local seen = redis.call('GET', KEYS[i])
  if (seen or '') ~= ARGV[at + 2] then return 0 end
  if seen then retired = true end
end
for i = 5, #KEYS do
  local at = (i - 5) * 5 + 1
  local id, next, from, to = ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  if next ~= '' then
    redis.call('SET', KEYS[i], next)
    redis.call('ZADD', KEYS[1], 0, id)
  else
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], id)
  end
  if from ~= to then
    if from ~= '' and redis.call('HINCRBY', KEYS[2], from, -1) <= 0 then
      redis.call('HDEL', KEYS[2], from)
    end
    if to ~= '' then redis.call('HINCRBY', KEYS[2], to, 1) end
  end
end
if retired then redis.call('SET', KEYS[3], ARGV[1]) end
if not redis.call('GET', KEYS[4]) then redis.call('SET', KEYS[4], ARGV[1]) end
return 1`

// write is the replacement of a record.
type write struct {
	id       string
	seen     string // the old value, empty for none
	next     string // the new value, empty for none
	from, to string // their dialects
}

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
		return unchanged(*err)
	}
	u := &update{store: s, change: change}
	err := u.run(ctx, slices.Collect(slices.Chunk(ids, together)))
	if u.absent && (err == nil || errors.Is(err, widgets.ErrNotFound)) {
		if lost := s.endRemembered(); lost != nil {
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
	change  widgets.Change
	written bool // something was changed, or may have been
	retired bool // that replaced or deleted a record
	left    bool // something is to stay as it was found
	absent  bool // that is not stored
	// settled is when no gateway uses what others had retired before it was read.
	settled time.Duration
}

// run changes the groups. All are planned before the first is changed, so that an error of
// change prevents all changes. A group that another writer has changed meanwhile, or an
// earlier group with the same widget, is planned again.
func (u *update) run(ctx context.Context, groups [][]string) error {
	for attempt := range attempts {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(random.Int64N(int64(min(attempt, 10)) * int64(time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		plans := make([][]write, len(groups))
		for i, g := range groups {
			var err error
			if plans[i], err = u.plan(ctx, g); err != nil && ctx.Err() != nil {
				err = ctx.Err()
				if u.written {
					err = unsure(err)
				}
			}
			if err != nil {
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
func (u *update) plan(ctx context.Context, ids []string) (writes []write, err error) {
	found, version, err := u.store.read(ctx, ids)
	switch {
	case err != nil && u.written:
		return nil, unsure(err)
	case err != nil:
		return nil, unchanged(err)
	}
	retired := u.store.clock()
	if seen := u.store.seen.Load(); seen.version == version {
		retired = seen.at
	}
	u.settled = max(u.settled, retired+writerWait)
	changes, err := widgets.Changes(ids, func(id string) *widgets.Record { return found[id].record }, u.change)
	u.left = u.left || len(changes) < len(found)
	for id, old := range found {
		next, changed := changes[id]
		u.absent = u.absent || old.value == "" && next == nil
		if !changed || err != nil {
			continue
		}
		w := write{id: id, seen: old.value}
		if old.record != nil {
			w.from = old.record.Dialect
		}
		if next != nil {
			w.to = next.Dialect
			w.next, err = encode(next)
		}
		if err != nil || w.next == w.seen {
			u.left = true
			continue
		}
		writes = append(writes, w)
	}
	return writes, err
}

// commit writes a group, and reports whether no other writer was faster.
func (u *update) commit(ctx context.Context, writes []write) (done bool, err error) {
	if ctx.Err() != nil && !u.written {
		return false, ctx.Err()
	}
	// A change that was sent is completed: otherwise its result would be unknown.
	done, err = u.store.replace(context.WithoutCancel(ctx), writes)
	_, refused := rueidis.IsRedisErr(err)
	switch {
	case err == nil && !done:
		return false, nil
	case refused && !u.written:
		return false, unwritten(err)
	case refused:
		return false, unsure(err)
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

// forget makes this process's next lookup read what was written.
func (s *Store) forget(w *write) {
	s.dialects.note(w.to, s.clock())
	if w.seen != "" {
		s.epoch.Add(1)
	}
	s.flights.Forget(w.id)
}

// replace runs the script, and reports whether no other writer was faster. It uses EVAL,
// since a program in FIPS 140 mode must not compute the SHA-1 for EVALSHA.
func (s *Store) replace(ctx context.Context, writes []write) (done bool, err error) {
	names := append(make([]string, 0, 4+len(writes)), s.keys.ids, s.keys.dialects, s.keys.version, s.keys.store)
	args := append(make([]string, 0, 1+5*len(writes)), rand.Text())
	for i := range writes {
		w := &writes[i]
		names = append(names, s.keys.record(w.id))
		args = append(args, w.id, w.seen, w.next, w.from, w.to)
	}
	m, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("EVAL", script, strconv.Itoa(len(names))).Keys(names...).Args(args...).Build()
	})
	if err != nil {
		return false, err
	}
	n, err := m.AsInt64()
	return n == 1, err
}
