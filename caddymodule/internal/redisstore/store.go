// Package redisstore stores widgets in Redis or Valkey, for any number of gateways.
//
// # Freshness
//
// A gateway caches the records that it has read. Four times a second it asks Redis for the
// version of all widgets, a random text that is replaced together with every record that is
// changed or deleted. While the version is the same, cached records are current; when it
// differs, they are read again as needed.
//
// Cached records are used only for a second after that question was sent ([lease]). A writer
// that has replaced or deleted a record waits, after Redis has acknowledged it, until all
// earlier leases have ended ([writerWait]). So when Update returns, no gateway verifies by
// what was retired, even if it is slow, paused or cut off, and none had to acknowledge. A
// writer that finds its change already made by another waits in the same way.
//
// There are limits:
//   - A gateway that cannot reach Redis goes on with cached records for
//     Options.StaleIfError. Zero is the strict choice.
//   - Redis replicates asynchronously: a failover to a lagging replica undoes changes that
//     were acknowledged. min-replicas-to-write narrows that. A primary that is cut off
//     together with some gateways remains their primary until it notices.
//   - A lease is measured by the machine's monotonic clock. A virtual machine whose clock
//     stops with it may use cached records for the rest of one lease.
//   - A record that somebody changes by hand, without the version, may be used for up to a
//     minute ([reread]).
//   - maxmemory-policy must be noeviction: any other evicts widgets.
//
// # Loss
//
// The first widget that is written gives the store a random name, which every gateway notes.
// A Redis without that name has lost the widgets (see [Store.Loss]), and whether there is one
// of some id is unknown: it is served from the cache while it would be if Redis were
// unreachable, and is unavailable after that. What is stored meanwhile is read each time. A
// change that retires something, at any gateway, ends the service from the cache at all of
// them. So does, at one that knew the store, a change of a widget that is not stored; the
// answer then says that it is lost.
//
// # Rights
//
// The user needs ~<prefix>{w}* and +get +mget +set +del +setrange +zadd +zrem
// +zrangebylex +hincrby +hdel +hgetall +eval +ping; in a cluster +cluster|slots
// +cluster|shards, behind sentinels +role.
package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/alarm"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// DefaultCache is the default memory for cached records, in bytes.
	DefaultCache = 64 << 20
	// exchangeLimit bounds one exchange of a change or a list.
	exchangeLimit = 5 * time.Second
)

// Options are the settings of a store.
type Options struct {
	// Link is to Redis. The store does not close it.
	Link *redislink.Link
	// StaleIfError is how long cached records are used while Redis is unreachable, though
	// they may not be current. Zero: not at all.
	StaleIfError time.Duration
	// Cache is the memory for cached records, in bytes, at least 64 KiB. Default:
	// [DefaultCache].
	Cache int64
	// Log gets failures of Redis and their ends. Default: none.
	Log *zap.Logger
	// Asked, if not nil, is called after each lookup that asked Redis, with the request's
	// context, the start and the error.
	Asked func(ctx context.Context, began time.Time, err error)
	// Note is where it is noted which store this is. Default: nowhere but in memory.
	Note durable.Note
	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// Store implements [widgets.Store] with Redis.
type Store struct {
	link  *redislink.Link
	keys  keys
	stale time.Duration
	log   *zap.Logger
	clock func() time.Duration // since the store was opened
	asked func(ctx context.Context, began time.Time, err error)

	seed     maphash.Seed
	records  *recordCache
	flights  singleflight.Group
	loads    chan struct{} // holds a value for each GET under way
	dialects dialects

	// epoch counts how often cached records may have been replaced.
	epoch atomic.Uint64
	// confirmed is when the last answered heartbeat was sent that confirmed what is cached:
	// never, if something was retired while the widgets are lost.
	confirmed atomic.Int64
	heard     atomic.Int64 // when the last answered heartbeat was sent

	seen                              atomic.Pointer[seen]
	readAlarm, writeAlarm             alarm.Alarm
	lossAlarm, recordAlarm, keysAlarm alarm.Alarm

	beats  int    // how many heartbeats were answered; check's, as the next three are
	policy string // by which Redis evicts widgets, "" for none
	note   durable.Note
	known  string                 // the store's name as this gateway knows it
	lost   atomic.Pointer[string] // that name, while Redis does not have it

	away       atomic.Pointer[error] // why Redis cannot be read
	unwritable atomic.Pointer[error] // why Redis refuses changes

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

// Open opens the store. It does not fail: while Redis cannot be used, [Store.Err] says why.
func Open(options Options) *Store {
	options.Cache, options.Log = cmp.Or(options.Cache, DefaultCache), cmp.Or(options.Log, zap.NewNop())
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
		readAlarm: alarm.Alarm{Log: log, Quiet: time.Second, Good: "Redis can be used again for widgets",
			Bad: "Redis cannot be used: only cached widgets are served, for as long as stale_if_error allows, and changes are refused"},
		writeAlarm: alarm.Alarm{Log: log, Quiet: time.Second, Good: "Redis takes changes of widgets again",
			Bad: "Redis takes no changes of widgets: they are served as they are"},
		recordAlarm: alarm.Alarm{Log: log, Bad: "the record of a widget cannot be used, so its requests are unavailable"},
		keysAlarm:   alarm.Alarm{Log: log, Bad: "the stored signing keys cannot be used"},
		lossAlarm:   alarm.Alarm{Log: log, Quiet: time.Second, Good: "the loss of the widgets is over", Bad: loss},
		note:        options.Note,
	}
	s.known = s.note.Read(log)
	s.confirmed.Store(never)
	s.heard.Store(never)
	s.seen.Store(&seen{version: "none was read yet"})
	s.unwritable.Store(&errConnecting)
	s.alive, s.stop = context.WithCancel(context.Background())
	s.watcher.Go(func() { redislink.Poll(s.alive, interval, func() { _ = s.check() }) })
	return s
}

// KeyIDs implements [widgets.Store]. It is nil, since only reading all records would tell.
func (s *Store) KeyIDs() map[string]int { return nil }

// Speaks implements [widgets.Store].
func (s *Store) Speaks(dialect string) bool { return s.dialects.speaks(dialect) }

// Err implements [widgets.Store].
func (s *Store) Err() error {
	if s.alive.Err() != nil {
		return errClosed
	}
	if err := s.away.Load(); err != nil {
		return fmt.Errorf("%w. %s", *err, s.served())
	}
	if err := s.unwritable.Load(); err != nil {
		return *err
	}
	return nil
}

// Serves implements [widgets.Store].
func (s *Store) Serves() bool {
	connected := s.unwritable.Load() != &errConnecting
	return connected && s.away.Load() == nil && s.lost.Load() == nil || s.clock() < s.staleUntil()
}

// ask sends one command, with which a change or a list may exchange some megabytes. Its
// context has no deadline, which rueidis might shorten to that of a lookup.
func (s *Store) ask(ctx context.Context, command func(rueidis.Builder) rueidis.Completed) (rueidis.RedisMessage, error) {
	client, err := s.link.Client(ctx)
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(exchangeLimit, cancel).Stop()
	return client.Do(ctx, command(client.B())).ToMessage()
}

// Note implements [widgets.Store]. A machine is identified by its host name.
func (s *Store) Note(ctx context.Context, name string) (string, error) {
	m, err := s.noted(ctx, name, func(b rueidis.Builder, key string) rueidis.Completed { return b.Get().Key(key).Build() })
	if err != nil {
		return "", err
	}
	text, _ := m.ToString() // there may be none
	return text, nil
}

// SetNote implements [widgets.Store].
func (s *Store) SetNote(ctx context.Context, name, text string) error {
	_, err := s.noted(ctx, name, func(b rueidis.Builder, key string) rueidis.Completed { return b.Set().Key(key).Value(text).Build() })
	return err
}

// noted reads or writes a note.
func (s *Store) noted(ctx context.Context, name string, do func(b rueidis.Builder, key string) rueidis.Completed) (m rueidis.RedisMessage, err error) {
	host, err := os.Hostname()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, redislink.Timeout)
		defer cancel()
		m, err = s.ask(ctx, func(b rueidis.Builder) rueidis.Completed { return do(b, s.keys.notes+host+":"+name) })
	}
	if err != nil && !rueidis.IsRedisNil(err) {
		return m, unreadable(err)
	}
	return m, nil
}

// served says for how long known widgets are served that can no longer be confirmed.
func (s *Store) served() string {
	if left := s.staleUntil() - s.clock(); left > 0 {
		return "Known widgets are served until " + time.Now().Add(left).UTC().Format("15:04:05 MST")
	}
	return "No widget of the store is served any more"
}

// staleUntil returns until when cached records are used that can no longer be confirmed.
func (s *Store) staleUntil() time.Duration { return time.Duration(s.confirmed.Load()) + s.stale }

// Close implements [widgets.Store]. Lookups then answer [widgets.ErrUnavailable], since
// changes would go unnoticed.
func (s *Store) Close() error {
	s.stop()
	s.watcher.Wait()
	return nil
}

var _ widgets.Store = (*Store)(nil)
