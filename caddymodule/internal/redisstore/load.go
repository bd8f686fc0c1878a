package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// maxLoads is how many GETs are under way at most. A connection has room for
// about a thousand commands, and who finds it full waits without an end.
const maxLoads = 256

const (
	// verdict is how long a lookup that failed waits to learn whether Redis is
	// away, and verdictPoll how often it looks.
	verdict     = 2 * redislink.Timeout
	verdictPoll = 5 * time.Millisecond
)

// load reads the record of an id that is not remembered, or under no lease.
func (s *Store) load(request context.Context, id []byte, hash uint64) (*widgets.Record, error) {
	if t := s.away.Load(); t != nil {
		return s.remembered(id, hash, t.err)
	}
	found, err, _ := s.flights.Do(string(id), func() (any, error) {
		began := time.Now()
		record, err := s.get(request, string(id), hash)
		if _, bad := err.(*badRecord); err != nil && !bad && (s.pulse.stoppedSince(began) || s.again(began)) {
			return s.get(request, string(id), hash)
		}
		return record, err
	})
	if err == nil {
		return found.(*widgets.Record), nil
	}
	if _, bad := err.(*badRecord); !bad && s.away.Load() != nil {
		return s.remembered(id, hash, err)
	}
	return nil, err
}

// again waits for what the watcher finds out: that one answer failed says
// little. It reports whether Redis is there again, or still.
func (s *Store) again(began time.Time) bool {
	for time.Since(began) < verdict {
		time.Sleep(verdictPoll)
		switch {
		case s.away.Load() != nil || s.ended.Load():
			return false
		case s.clock() < s.fresh.until():
			return true
		}
	}
	return false
}

// get asks Redis, for the request of that context among others.
func (s *Store) get(request context.Context, id string, hash uint64) (record *widgets.Record, err error) {
	began := time.Now()
	defer func() { s.told(request, began, err) }()
	ctx, cancel := context.WithTimeout(context.Background(), redislink.Timeout)
	defer cancel()
	select {
	case s.loads <- struct{}{}:
		defer func() { <-s.loads }()
	case <-ctx.Done():
		return nil, unreadable(fmt.Errorf("%d reads are waiting: %w", maxLoads, ctx.Err()))
	}
	client, err := s.link.Client(ctx)
	if err != nil {
		return nil, unreadable(err)
	}
	e := &entry{id: id, hash: hash, stamp: s.fresh.stamp(hash)}
	sent := s.clock()
	value, err := client.Do(ctx, client.B().Get().Key(s.keys.record(id)).Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, s.refused(id, err)
	}
	// To a process that was stopped meanwhile, the answer may be older than any
	// writer has waited for.
	if s.clock()-sent >= lease {
		return nil, unreadable(context.DeadlineExceeded)
	}
	if err == nil {
		if e.record, err = decode(id, value); err != nil {
			return nil, s.grumble(id, err)
		}
		s.dialects.note(e.record.Dialect, s.clock())
	}
	s.near.put(e, len(value))
	return e.record, nil
}

func (s *Store) refused(id string, err error) error {
	if isReply(err, "WRONGTYPE") {
		return s.grumble(id, err)
	}
	return unreadable(err)
}

// remembered returns what is remembered while Redis cannot be asked: what was
// known to be current at the last lease, and not known to have changed since.
func (s *Store) remembered(id []byte, hash uint64, err error) (*widgets.Record, error) {
	e := s.near.get(hash)
	if e != nil && e.record != nil && e.id == string(id) && s.fresh.current(e) && s.clock() < s.fresh.since()+s.stale {
		return e.record, nil
	}
	return nil, err
}

// grumble logs a record that cannot be used, now and then.
func (s *Store) grumble(id string, err error) error {
	bad := &badRecord{s.keys.record(id), id, err}
	now, last := int64(s.clock())+1, s.grumbled.Load()
	if (last == 0 || now-last >= int64(time.Minute)) && s.grumbled.CompareAndSwap(last, now) {
		s.log.Error("the record of a widget cannot be used: requests for it are refused", zap.String("widget", id), zap.Error(bad))
	}
	return bad
}
