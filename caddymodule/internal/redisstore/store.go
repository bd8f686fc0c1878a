// Package redisstore keeps widgets in Redis or Valkey, for any number of
// gateways.
//
// # Freshness
//
// A gateway remembers the records it has read. Four times a second it asks Redis
// for the version of all widgets, a random text that every change replaces which
// retires a record, in the same step as the record. While the version is the one
// it knows, what it remembers is current; when it is another, everything is read
// again as it is needed.
//
// What is remembered is used only for a second after that question was sent
// ([lease]). Whoever replaces or deletes a record waits, once Redis has
// acknowledged it, until every lease from before has ended ([writerWait]). So when
// Update returns, no gateway verifies by what was retired, be it slow, paused or
// cut off, and none of them was asked for an acknowledgement. Who finds done already
// what he asked for waits for another writer's change in the same way.
//
// This holds within limits:
//   - A gateway that cannot reach Redis goes on with what it remembers for as
//     long as Options.StaleIfError says. Zero is the strict choice.
//   - Redis copies to replicas behind the writer's back: a failover to one that
//     lags undoes changes that were acknowledged. min-replicas-to-write narrows
//     that, and a primary that is cut off together with some gateways counts for
//     them as the primary until it notices.
//   - A lease is counted by the machine's monotonic clock. A virtual machine
//     whose clock is stopped with it may use what it remembers for the rest of
//     one lease.
//   - A record that somebody changes by hand, without the version, is used for up
//     to a minute ([reread]).
//   - maxmemory-policy must be noeviction: another evicts widgets.
//
// # Rights
//
// The user needs ~<prefix>{w}* and +get +mget +set +del +setrange +zadd +zrem
// +zrangebylex +hincrby +hdel +hgetall +eval +ping; in a cluster +cluster|slots
// +cluster|shards, behind sentinels +role.
package redisstore

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// DefaultCache is how much memory the remembered records take, in bytes.
const DefaultCache = 64 << 20

// Options says what a store is opened with.
type Options struct {
	// Link is to Redis. The store does not close it.
	Link *redislink.Link
	// StaleIfError is for how long, while Redis cannot be reached, records are
	// used that nobody knows to be current. Zero: not at all.
	StaleIfError time.Duration
	// Cache is how much memory the remembered records take, in bytes, at least
	// 64 KiB. Zero: [DefaultCache].
	Cache int64
	// Log is told when Redis cannot be used, and when it can be again.
	Log *zap.Logger
	// Asked, if any, is told of each lookup for which Redis was asked: for which
	// request, when that began, and how it ended.
	Asked func(ctx context.Context, began time.Time, err error)
	// Now is the clock. Zero: time.Now.
	Now func() time.Time
}

// Store implements [widgets.Store] over Redis.
type Store struct {
	link  *redislink.Link
	keys  keys
	stale time.Duration
	log   *zap.Logger
	clock func() time.Duration // since the store was opened
	asked func(ctx context.Context, began time.Time, err error)

	seed      maphash.Seed
	records   *recordCache
	flights   singleflight.Group
	loads     chan struct{} // holds a value for each GET under way
	dialects  dialects
	badLogged atomic.Int64 // when a bad record was last logged

	// epoch counts how often remembered records may have been replaced.
	epoch atomic.Uint64
	// confirmed is when the last heartbeat that was answered was sent.
	confirmed atomic.Int64

	seen                  atomic.Pointer[seen]
	readAlarm, writeAlarm redislink.Alarm

	away       atomic.Pointer[error] // why Redis cannot be read
	unwritable atomic.Pointer[error] // why it can be read only

	checks  singleflight.Group
	alive   context.Context // until the store is closed
	stop    context.CancelFunc
	watcher sync.WaitGroup
}

// seen is the version of the widgets as the last heartbeat said, and when one first
// did.
type seen struct {
	version string
	at      time.Duration
}

// Open opens the store. It does not fail: where Redis cannot be used,
// [Store.Err] says so until it can.
func Open(options Options) *Store {
	if options.Cache == 0 {
		options.Cache = DefaultCache
	}
	if options.Log == nil {
		options.Log = zap.NewNop()
	}
	if options.Asked == nil {
		options.Asked = func(context.Context, time.Time, error) {}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	started, log := options.Now(), options.Log.With(zap.Stringer("redis", options.Link))
	s := &Store{
		link:    options.Link,
		keys:    newKeys(options.Link.Prefix),
		stale:   options.StaleIfError,
		log:     log,
		clock:   func() time.Duration { return options.Now().Sub(started) },
		asked:   options.Asked,
		seed:    maphash.MakeSeed(),
		records: newRecordCache(options.Cache),
		loads:   make(chan struct{}, maxLoads),
		readAlarm: redislink.Alarm{Log: log, Good: "Redis can be used again for widgets",
			Bad: "Redis cannot be used: requests of widgets are refused, but for those that stale_if_error still lets be served, and changes are refused"},
		writeAlarm: redislink.Alarm{Log: log, Good: "Redis takes changes of widgets again",
			Bad: "Redis takes no changes of widgets: they are served as they are"},
	}
	s.confirmed.Store(never)
	s.seen.Store(&seen{version: "none was read yet"})
	s.unwritable.Store(&errConnecting)
	s.alive, s.stop = context.WithCancel(context.Background())
	s.watcher.Go(s.watch)
	return s
}

// Lookup implements [widgets.Store]. The context ends nothing: who else waits for
// the same answer is to have it.
func (s *Store) Lookup(ctx context.Context, id []byte) (*widgets.Record, error) {
	if s.alive.Err() != nil {
		return nil, errClosed
	}
	hash := maphash.Bytes(s.seed, id)
	// The lease is looked at first: the epoch was counted before it was given.
	until := s.leasedUntil()
	if e := s.records.get(hash); e != nil && e.id == string(id) && e.epoch == s.epoch.Load() && s.clock() < min(until, e.until) {
		return e.record, nil
	}
	return s.load(ctx, id, hash)
}

// leasedUntil returns when the current lease ends.
func (s *Store) leasedUntil() time.Duration { return time.Duration(s.confirmed.Load()) + lease }

// KeyIDs implements [widgets.Store]. It would have to ask for every record.
func (s *Store) KeyIDs() map[string]int { return nil }

// Speaks implements [widgets.Store]. Where that is not known for sure, it says
// yes: the answer only saves work.
func (s *Store) Speaks(dialect string) bool { return s.dialects.speaks(dialect) }

// Err implements [widgets.Store].
func (s *Store) Err() error {
	if s.alive.Err() != nil {
		return errClosed
	}
	if err := s.away.Load(); err != nil {
		return *err
	}
	if err := s.unwritable.Load(); err != nil {
		return *err
	}
	return nil
}

// Close ends what the store does in the background. Lookups
// answer [widgets.ErrUnavailable] then, since nobody tells of changes any more.
func (s *Store) Close() error {
	s.stop()
	s.watcher.Wait()
	s.records.close()
	return nil
}

var _ widgets.Store = (*Store)(nil)
