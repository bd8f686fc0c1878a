// Package redisledger keeps a ledger in Redis or Valkey, for a fleet of
// gateways: standalone, behind Sentinel, or in a cluster.
//
// All keys are in one hash slot, so that one script can change an entry and its share, and
// can check that the server that runs it still has all data, even in a cluster. One node
// then carries all writes of the ledger, which is tens of thousands per second
// (BenchmarkReserve).
//
// Entries expire by the server's clock, after the time that was left by the caller's clock,
// so that the two may differ. A [ledger.Entry] has the time by the clock of the gateway that
// wrote it.
//
// A server that evicts keys is refused. If a server may have lost entries, that is noticed
// before it is trusted, and what was signed before is refused: it was flushed, restarted
// (persistence may lack the last moments), or a replica was promoted (which may not have
// received them). A clock that was set forward is noticed within a quarter of a second.
//
// The ledger itself cannot notice that it was flushed while no gateway ran, unless the
// caller knows its id; nor can a gateway that starts after a flush until the others notice.
// And while a primary that was cut off still serves gateways on its side, the promoted
// replica serves the others, which min-replicas-to-write 1 with min-replicas-max-lag
// bounds.
//
// The user needs these rights, with the prefix written out; a cluster also needs
// +cluster|slots and +cluster|shards, and Sentinels +role:
//
//	user gateway on >password resetkeys ~<prefix>{l}*
//	     -@all +eval +evalsha +info +ping +time +get +set +del +pexpireat
//	     +zadd +zcount +zrange +zrem +zremrangebyscore
package redisledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/alarm"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errClosed  = errors.New("it is closed")
	errUnasked = errors.New("it was not reached yet: wait a moment")
	errNobody  = errors.New("the zero holder cannot hold a key")
	errPast    = errors.New("a key cannot be held until a time in the past")
)

// Options say where the ledger is.
type Options struct {
	// Link is to Redis. The ledger does not close it.
	Link *redislink.Link
	// Log gets what an operator needs to know. Default: none.
	Log *zap.Logger
	// Now is the callers' clock. Default: [time.Now].
	Now func() time.Time
}

// Ledger is a [ledger.Ledger] in Redis.
type Ledger struct {
	link   *redislink.Link
	prefix string
	log    *zap.Logger
	alarm  alarm.Alarm
	now    func() time.Time

	mu     sync.Mutex     // guards what follows
	calls  sync.WaitGroup // calls under way
	closed bool
	window ledger.Window // the longest that was requested or found, in whole milliseconds
	orders int           // how often Forget was called

	looks   singleflight.Group
	state   atomic.Pointer[state] // nil before the first look
	refused atomic.Pointer[error] // why Redis refused a call; others may succeed
	alive   context.Context
	end     context.CancelFunc
	start   sync.Once
	watcher sync.WaitGroup
}

// New returns a ledger. The first call that needs Redis connects.
func New(o Options) *Ledger {
	o.Log = cmp.Or(o.Log, zap.NewNop())
	if o.Now == nil {
		o.Now = time.Now
	}
	log := o.Log.With(zap.Stringer("redis", o.Link))
	l := &Ledger{
		link: o.Link, prefix: o.Link.Prefix + "{l}", log: log, now: o.Now,
		alarm: alarm.Alarm{Log: log, Quiet: time.Second, Bad: "the ledger is unavailable: nothing can be reserved", Good: "the ledger is available again"},
	}
	l.alive, l.end = context.WithCancel(context.Background())
	return l
}

// Open implements [ledger.Ledger]. Its error says what to do.
func (l *Ledger) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	if err := l.enter(); err != nil {
		return "", err
	}
	defer l.calls.Done()
	server, err := l.serving(ctx, window)
	if err != nil {
		return "", err
	}
	return server.ledger, nil
}

// Forget implements [ledger.Ledger], for all gateways.
func (l *Ledger) Forget(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.calls.Done()
	l.mu.Lock()
	l.orders++
	order := l.orders
	l.mu.Unlock()
	_, err := l.await(ctx, func(server *serverState) bool { return server.orders >= order })
	return err
}

// enter begins a call. The first call starts the watcher.
func (l *Ledger) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return unavailable(errClosed)
	}
	l.calls.Add(1)
	l.start.Do(func() {
		l.watcher.Go(func() { redislink.Poll(l.alive, lookEvery, func() { _, _, _ = l.looks.Do("", l.look) }) })
	})
	return nil
}

// Err implements [ledger.Ledger]. It never waits.
func (l *Ledger) Err() error {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	s, refused := l.state.Load(), l.refused.Load()
	switch {
	case closed:
		return unavailable(errClosed)
	case s == nil:
		return unavailable(errUnasked)
	case s.err != nil:
		return unavailable(s.err)
	case refused != nil:
		return unavailable(*refused)
	}
	return nil
}

// Close implements [ledger.Ledger].
func (l *Ledger) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.calls.Wait()
	l.end()
	l.watcher.Wait()
	return nil
}

func unavailable(cause error) error {
	if errors.Is(cause, ledger.ErrUnavailable) {
		return cause // it says so already
	}
	return fmt.Errorf("%w: ledger redis: %w", ledger.ErrUnavailable, cause)
}

var _ ledger.Ledger = (*Ledger)(nil)
