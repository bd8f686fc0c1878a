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
	// together is how many records one script replaces, all or none. Redis does
	// nothing else meanwhile.
	together = 256
	// attempts is how often a group is tried. Each failure is another's success.
	attempts = 64
	// exchangeLimit is how long one exchange of a change, or of a list, may take. It
	// may be of some megabytes.
	exchangeLimit = 5 * time.Second
)

// Change is what [widgets.Store.Update] asks with.
type Change = func(id string, old *widgets.Record) (*widgets.Record, error)

// Update implements [widgets.Store]. Up to 256 widgets are changed at once or not
// at all; of more, groups of that many are. There, an error of change because
// another writer was faster comes when groups before it are changed.
//
// Where a record was replaced or deleted, Update returns when no gateway uses it
// any more, a second later, whether or not ctx has ended meanwhile. So it does
// where a record is left as it is, or change refuses, but another writer has changed
// something just now: what was found then holds everywhere, too.
func (s *Store) Update(ctx context.Context, ids []string, change Change) error {
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
	change  Change
	times   map[string]int // how often each id was given
	written bool           // something is changed, or may be
	retired bool           // and that replaced a record
	left    bool           // something is to stay as it was found
	// settled is when no gateway uses what others had retired before it was read.
	settled time.Duration
}

// run changes the groups. All are planned before the first is changed, so that
// change can refuse all.
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

// plan reads the records of a group, and asks what is to be in their places.
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
	var writes []write
	for i, id := range ids {
		w, err := u.ask(id, values[i], records[i], u.times[id])
		if err != nil {
			u.left = true
			return nil, err
		}
		if w.next != w.seen {
			writes = append(writes, w)
		} else {
			u.left = true
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
				return w, fmt.Errorf("%w of widget %s: it would replace widget %s", widgets.ErrRecord, next.ID, id)
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

// commit writes a group, and reports whether no other writer was faster.
func (u *update) commit(ctx context.Context, writes []write) (done bool, err error) {
	if ctx.Err() != nil && !u.written {
		return false, ctx.Err()
	}
	// What is begun is ended: cut short, nobody would know what was changed.
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
	// Changed, or that is not known: what was read before is not current.
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

// limited returns a context that ends after that time. It has no deadline, since
// rueidis may cut one down to what a lookup is given.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(exchangeLimit, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// forget has the next lookup of this process read what was written.
func (s *Store) forget(w *write) {
	s.dialects.note(w.to, s.clock())
	if w.seen != "" {
		s.epoch.Add(1)
	}
	s.flights.Forget(w.id)
}
