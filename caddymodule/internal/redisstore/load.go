package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// maxLoads bounds concurrent GETs. A connection has room for about a thousand commands,
	// and a full one blocks without a timeout.
	maxLoads = 256
	// reread is when a record is read again even if the version is the same, since somebody
	// may change Redis by hand.
	reread = time.Minute
)

// load reads a record that is not cached, or not known to be current.
func (s *Store) load(request context.Context, id []byte, hash uint64) (*widgets.Record, error) {
	if s.unwritable.Load() == &errConnecting { // it is not known yet whether the widgets are lost
		_ = s.check()
	}
	if err := s.away.Load(); err != nil {
		return s.remembered(id, hash, *err)
	}
	began := s.clock()
	for {
		found, err, _ := s.flights.Do(string(id), func() (any, error) {
			e, err := s.get(request, string(id), hash)
			if err != nil && !isBad(err) && s.check() == nil { // one failed answer says little
				return s.get(request, string(id), hash)
			}
			return e, err
		})
		switch {
		case err == nil && began-found.(*entry).sent() >= lease:
			// The answer was there before this request began, but whoever asked was
			// stopped with it in his hands: it may have been retired meanwhile.
			continue
		case err == nil && found.(*entry).record == nil && s.lost.Load() != nil:
			return s.remembered(id, hash, errLost)
		case err == nil:
			return found.(*entry).record, nil
		case !isBad(err) && s.away.Load() != nil:
			return s.remembered(id, hash, err)
		}
		return nil, err
	}
}

// get reads a record from Redis. Other requests than that of the context may share it. The
// entry's record is nil if there is none.
func (s *Store) get(request context.Context, id string, hash uint64) (e *entry, err error) {
	began := time.Now()
	defer func() { s.asked(request, began, err) }()
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
	sent := s.clock()
	e = &entry{id: id, epoch: s.epoch.Load(), until: sent + reread}
	value, err := client.Do(ctx, client.B().Get().Key(s.keys.record(id)).Build()).ToString()
	none := rueidis.IsRedisNil(err)
	switch {
	case none:
	case err != nil && redislink.Explain(err).Of("WRONGTYPE"):
		return nil, s.logBadRecord(id, err)
	case err != nil:
		return nil, unreadable(err)
	}
	// If this process was stopped meanwhile, the answer may be older than writers waited
	// for.
	if e.read = s.clock(); e.read-sent >= lease {
		return nil, unreadable(context.DeadlineExceeded)
	}
	if none {
		return e, nil
	}
	if e.record, err = decode(id, value); err != nil {
		return nil, s.logBadRecord(id, err)
	}
	s.dialects.note(e.record.Dialect, s.clock())
	s.records.put(hash, e, len(value))
	return e, nil
}

// remembered returns a cached record while Redis is away or has lost the widgets, if it was
// current at the last heartbeat before that. After a loss it must have been read before that
// heartbeat, and a later one must have said, a lease ago at most, that nothing was retired.
func (s *Store) remembered(id []byte, hash uint64, err error) (*widgets.Record, error) {
	// They are read first, since the others change before they do.
	lost, heard := s.lost.Load() != nil, time.Duration(s.heard.Load())
	confirmed := time.Duration(s.confirmed.Load())
	e, now := s.records.get(hash), s.clock()
	switch {
	case e == nil || e.id != string(id) || e.epoch != s.epoch.Load() || now >= confirmed+s.stale:
	case lost && (e.read > confirmed || now >= heard+lease && s.away.Load() == nil):
	default:
		return e.record, nil
	}
	return nil, err
}

// logBadRecord logs a record that cannot be used, at most once a minute.
func (s *Store) logBadRecord(id string, cause error) error {
	bad := &badRecord{s.keys.record(id), id, cause}
	s.recordAlarm.Raise("", bad, zap.String("widget", id))
	return bad
}

func isBad(err error) bool {
	_, bad := errors.AsType[*badRecord](err)
	return bad
}
