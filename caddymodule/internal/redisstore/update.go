package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// together is how many records one script replaces, all or none. Redis does
	// nothing else meanwhile.
	together = 256
	// ahead is how many scripts are sent before the first is answered.
	ahead = 4
	// attempts is how often a group is tried. Each failure is another's success.
	attempts = 64
	// writing is how long one exchange of a change, or of a list, may take. It may
	// be of some megabytes.
	writing = 5 * time.Second
)

// Change is what [widgets.Store.Update] asks with.
type Change = func(id string, old *widgets.Record) (*widgets.Record, error)

// Update implements [widgets.Store]. Up to 256 widgets are changed at once or not
// at all; of more, groups of that many are. There, an error of change because
// another writer was faster comes when groups before it are changed.
//
// Where a record was replaced or deleted, Update returns when no gateway uses it
// any more, a second later, whether or not ctx has ended meanwhile.
func (s *Store) Update(ctx context.Context, ids []string, change Change) error {
	if s.ended.Load() {
		return errClosed
	}
	if t := s.away.Load(); t != nil {
		return t.err
	}
	client, err := s.link.Client(ctx)
	if err != nil {
		return unwritten(err)
	}
	u := &update{store: s, client: client, change: change}
	retired, err := u.run(ctx, groupsOf(ids))
	if err == nil && retired {
		time.Sleep(settle)
	}
	return err
}

// group is ids, in the order given, each with how often it was given.
type group struct {
	ids   []string
	times map[string]int
}

func groupsOf(ids []string) []*group {
	var groups []*group
	in := make(map[string]*group, len(ids))
	for _, id := range ids {
		g := in[id]
		if g == nil {
			if len(groups) == 0 || len(groups[len(groups)-1].ids) == together {
				groups = append(groups, &group{times: make(map[string]int)})
			}
			g = groups[len(groups)-1]
			g.ids, in[id] = append(g.ids, id), g
		}
		g.times[id]++
	}
	return groups
}

type update struct {
	store   *Store
	client  rueidis.Client
	change  Change
	written bool // something is changed, or may be
}

// run changes the groups, and returns whether a record was retired.
func (u *update) run(ctx context.Context, groups []*group) (retired bool, err error) {
	for attempt := range attempts {
		if attempt > 0 {
			select {
			case <-time.After(time.Duration(rand.Int64N(int64(min(attempt, 10)) * int64(time.Millisecond)))):
			case <-ctx.Done():
			}
		}
		var plans [][]write
		var planned []*group
		for _, g := range groups {
			writes, err := u.plan(ctx, g)
			switch {
			case err != nil && ctx.Err() != nil && u.written:
				return false, unsure(ctx.Err())
			case err != nil && ctx.Err() != nil:
				return false, ctx.Err()
			case err != nil:
				return false, err
			}
			if len(writes) > 0 {
				plans, planned = append(plans, writes), append(planned, g)
			}
		}
		groups = nil
		for len(plans) > 0 {
			n := min(len(plans), ahead)
			lost, gone, err := u.commit(ctx, plans[:n])
			retired = retired || gone
			if err != nil {
				return false, err
			}
			for _, i := range lost {
				groups = append(groups, planned[i])
			}
			plans, planned = plans[n:], planned[n:]
		}
		if len(groups) == 0 {
			return retired, nil
		}
	}
	return false, fmt.Errorf("%w: others changed the same widgets %d times", widgets.ErrBusy, attempts)
}

// plan reads the records of a group, and asks what is to be in their places.
func (u *update) plan(ctx context.Context, g *group) ([]write, error) {
	names := make([]string, len(g.ids))
	for i, id := range g.ids {
		names[i] = u.store.keys.record(id)
	}
	within, cancel := patient(ctx)
	defer cancel()
	values, err := u.client.Do(within, u.client.B().Mget().Key(names...).Build()).ToArray()
	if err != nil {
		return nil, unwritten(err)
	}
	if len(values) != len(names) {
		return nil, unwritten(errors.New("another number of values was answered"))
	}
	var writes []write
	for i, id := range g.ids {
		var old *widgets.Record
		seen, err := values[i].ToString()
		switch {
		case rueidis.IsRedisNil(err):
		case err != nil:
			return nil, unwritten(err)
		default:
			if old, err = decode(id, seen); err != nil {
				return nil, &badRecord{u.store.keys.record(id), id, err}
			}
		}
		w, err := u.ask(id, seen, old, g.times[id])
		if err != nil {
			return nil, err
		}
		if w.next != w.seen {
			writes = append(writes, w)
		}
	}
	return writes, nil
}

// ask asks what is to be in the record's place, as often as its id was given.
func (u *update) ask(id, seen string, old *widgets.Record, times int) (write, error) {
	w := write{id: id, seen: seen, next: seen}
	if old != nil {
		w.from = old.Dialect
	}
	record := old
	for range times {
		next, err := u.change(id, record)
		if err != nil {
			return w, err
		}
		if next != nil && next != record {
			if err := next.Check(); err != nil {
				return w, err
			}
			if next.ID != id {
				return w, fmt.Errorf("%w of widget %s: it is to take the place of widget %s", widgets.ErrRecord, next.ID, id)
			}
		}
		record = next
	}
	switch {
	case record == old:
		return w, nil
	case record == nil:
		w.next = ""
		return w, nil
	}
	var err error
	w.to = record.Dialect
	w.next, err = encode(record)
	return w, err
}

// commit writes groups. It returns which were lost to others, and whether a
// record was retired.
func (u *update) commit(ctx context.Context, plans [][]write) (lost []int, retired bool, err error) {
	if ctx.Err() != nil && !u.written {
		return nil, false, ctx.Err()
	}
	// What is begun is ended: cut short, nobody would know what was changed.
	within, cancel := patient(context.WithoutCancel(ctx))
	defer cancel()
	var refused, failed error
	for i, answer := range u.store.commit(within, u.client, plans) {
		done, err := answer.AsInt64()
		if _, reply := errors.AsType[*rueidis.RedisError](err); err != nil && reply {
			refused = err
			continue
		}
		if err == nil && done == 0 {
			lost = append(lost, i)
			continue
		}
		// Changed, or that is not known: what was read before is not current.
		u.written = true
		for j := range plans[i] {
			u.store.forget(&plans[i][j])
			retired = retired || plans[i][j].seen != ""
		}
		if err != nil {
			failed = err
		}
	}
	switch {
	case failed != nil:
		return nil, false, unsure(failed)
	case refused != nil && u.written:
		return nil, false, unsure(refused)
	case refused != nil:
		return nil, false, unwritten(refused)
	}
	return lost, retired, nil
}

// patient returns a context that ends after that time. It has no deadline, since
// rueidis may cut one down to what a lookup is given.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(writing, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// forget has the next lookup of this process read what was written.
func (s *Store) forget(w *write) {
	s.dialects.note(w.to, s.clock())
	s.fresh.changed(s.hash(w.id))
	s.flights.Forget(w.id)
}
