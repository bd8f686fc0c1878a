package redisstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	"github.com/dgraph-io/ristretto/v2"
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

// Lookup implements [widgets.Store]. Canceling the context ends nothing, since others may wait
// for the same answer.
func (s *Store) Lookup(ctx context.Context, id []byte) (*widgets.Record, error) {
	if s.alive.Err() != nil {
		return nil, errClosed
	}
	hash := maphash.Bytes(s.seed, id)
	if e := s.current(id, hash); e != nil {
		return e.record, nil
	}
	return s.load(ctx, id, hash)
}

// current returns what is cached of a widget and known to be current, nil for nothing.
func (s *Store) current(id []byte, hash uint64) *entry {
	// The lease is read first, since the epoch is counted before a lease begins.
	until := s.leasedUntil()
	if e := s.records.get(hash); e != nil && e.id == string(id) && e.epoch == s.epoch.Load() && s.clock() < min(until, e.until) {
		return e
	}
	return nil
}

// leasedUntil returns when the current lease ends.
func (s *Store) leasedUntil() time.Duration { return time.Duration(s.confirmed.Load()) + lease }

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
				if e, err = s.get(request, string(id), hash); err != nil && !isBad(err) {
					_ = s.check() // the first one may have been answered before Redis went away
				}
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
		case !isBad(err):
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

// remembered returns a cached record that cannot be read, if it was current at the last
// heartbeat: for a lease or, while Redis is away or has lost the widgets, for longer. After a
// loss it must have been read before that heartbeat, and a later one must have said, a lease
// ago at most, that nothing was retired.
func (s *Store) remembered(id []byte, hash uint64, err error) (*widgets.Record, error) {
	// They are read first, since the others change before they do.
	lost, away, heard := s.lost.Load() != nil, s.away.Load() != nil, time.Duration(s.heard.Load())
	confirmed, allowed := time.Duration(s.confirmed.Load()), lease
	if lost || away {
		allowed = max(lease, s.stale)
	}
	e, now := s.records.get(hash), s.clock()
	switch {
	case e == nil || e.id != string(id) || e.epoch != s.epoch.Load() || now >= confirmed+allowed:
	case lost && (e.read > confirmed || now >= heard+lease && !away):
	default:
		return e.record, nil
	}
	return nil, err
}

// logBadRecord logs a record that cannot be used, at most once a minute.
func (s *Store) logBadRecord(id string, cause error) error {
	bad := &badRecord{s.keys.record(id), id, cause}
	if id == widgets.SigningKeysID {
		s.keysAlarm.Raise("", bad)
	} else {
		s.recordAlarm.Raise("", bad, zap.String("widget", id))
	}
	return bad
}

func isBad(err error) bool {
	_, bad := errors.AsType[*badRecord](err)
	return bad
}

// Sizes in bytes.
const (
	minCache   = 64 << 10
	recordCost = 256 // of a record and its cache entry, without the texts
)

// costOf returns the approximate size of a cached record, in bytes, given that of its value.
// The texts are no longer than the value; two thirds as much again is for the list of secrets,
// which may have grown to twice its size.
func costOf(size int) int { return recordCost + size + size*2/3 }

// entry is a cached record.
type entry struct {
	id     string
	epoch  uint64        // of the store, before it was read
	until  time.Duration // when it is to be read again
	read   time.Duration // when it was answered
	record *widgets.Record
}

// sent is when it was asked for.
func (e *entry) sent() time.Duration { return e.until - reread }

// recordCache caches entries. It may drop any, and may return one that was replaced: the
// entry's own fields say whether it can be used. That an id has no record is not cached, so
// that a new widget is known at once, and requests for made-up ids evict nothing.
type recordCache struct {
	*ristretto.Cache[uint64, *entry]
}

func newRecordCache(size int64) *recordCache {
	size = max(size, minCache)
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters:        max(10*size/(2*recordCost), 1000),
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true, // it is in recordCost
	})
	if err != nil {
		panic(err) // only for sizes of zero
	}
	c := &recordCache{cache}
	// It panics if it is closed while in use, so it is closed when it is unreachable.
	runtime.AddCleanup(c, func(c *ristretto.Cache[uint64, *entry]) { go c.Close() }, cache)
	return c
}

// get returns nil for a miss.
func (c *recordCache) get(hash uint64) *entry {
	e, _ := c.Get(hash)
	return e
}

// put caches an entry whose value has that size.
func (c *recordCache) put(hash uint64, e *entry, size int) {
	if c.Set(hash, e, int64(costOf(size))) {
		c.Wait() // otherwise the next lookup would miss
	}
	runtime.KeepAlive(c) // it must not be closed meanwhile
}
