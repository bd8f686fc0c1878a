// Package redisledger keeps a ledger in Redis or Valkey, for a fleet of
// gateways: standalone, behind Sentinel, or in a cluster.
//
// All keys are in one hash slot. So one script changes an entry and its share
// together, and finds out by itself whether the server that runs it still knows
// everything, in a cluster, too. One node then has all the writes of the ledger:
// it carries tens of thousands a second (BenchmarkReserve), and a second hop
// from node to node would cost more than it spreads.
//
// Entries end by the server's clock, after the time that the caller's clock had
// left: how far the two are apart does not matter. A [ledger.Entry] has the time
// as the gateway that wrote it said it, by its own clock.
//
// A server that could forget by itself is refused. One that has forgotten, or
// may have, is noticed before it is believed, and what was signed before is not
// spent then: it was flushed, it was restarted (even with persistence, which may
// lack the last moments), or a replica was promoted (which may not have received
// them). A clock that was set forward is noticed within a quarter of a second.
//
// What the ledger itself cannot notice: one that was flushed while no gateway ran
// is taken for a new one, unless the caller knows its id, and so it is by a
// gateway that starts after the flush until the others notice; and while a primary
// that was cut off still serves gateways on its side, the promoted replica serves
// the others. The server's min-replicas-to-write 1 with min-replicas-max-lag
// bounds the latter.
//
// A user with these rights is enough, with the prefix written out; a cluster
// needs +cluster|slots and +cluster|shards, too, and Sentinels +role:
//
//	user gateway on >password resetkeys ~<prefix>{l}*
//	     -@all +eval +evalsha +info +ping +time +get +set +del +pexpireat
//	     +zadd +zcount +zrange +zrem +zremrangebyscore
package redisledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errClosed  = errors.New("it has been closed")
	errUnasked = errors.New("it has not been reached yet")
	errNobody  = errors.New("the zero holder is nobody, and nobody can hold a key")
	errPast    = errors.New("a key cannot be held until a time that has passed")
)

// Options say where the ledger is.
type Options struct {
	// Link is to Redis. The ledger does not close it.
	Link *redislink.Link
	// Log is told what an operator has to know. Without one nothing is.
	Log *zap.Logger
	// Now is the clock that callers go by: [time.Now], unless it is set.
	Now func() time.Time
}

// Ledger is a [ledger.Ledger] in Redis.
type Ledger struct {
	link   *redislink.Link
	prefix string
	log    *zap.Logger
	alarm  redislink.Alarm
	now    func() time.Time

	mu      sync.Mutex     // guards what follows
	calls   sync.WaitGroup // calls under way
	closed  bool
	started bool
	window  ledger.Window // the longest that was asked for, in milliseconds
	orders  int           // how often it was told to forget

	looks   singleflight.Group
	state   atomic.Pointer[state] // nil before the first look
	refused atomic.Pointer[error] // why a call was last refused; others go on
	alive   context.Context
	end     context.CancelFunc
	gone    chan struct{} // closed when the watcher has ended
}

// New returns a ledger that has touched nothing yet: the first call does.
func New(o Options) *Ledger {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	log := o.Log.With(zap.Stringer("redis", o.Link))
	l := &Ledger{
		link: o.Link, prefix: o.Link.Prefix + "{l}", log: log, now: o.Now,
		alarm: redislink.Alarm{Log: log, Bad: "the ledger is unavailable: nothing can be reserved", Good: "the ledger is available again"},
		gone:  make(chan struct{}),
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

// Forget implements [ledger.Ledger]. It holds for every gateway.
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

// enter begins a call, and the watching with the first.
func (l *Ledger) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return unavailable(errClosed)
	}
	l.calls.Add(1)
	if !l.started {
		l.started = true
		go l.watch()
	}
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
	started := l.started
	l.mu.Unlock()
	l.calls.Wait()
	l.end()
	if started {
		<-l.gone
	}
	return nil
}

func unavailable(cause error) error {
	return fmt.Errorf("%w: redis: %w", ledger.ErrUnavailable, cause)
}

var _ ledger.Ledger = (*Ledger)(nil)
