// Package redisledger keeps a ledger in Redis or Valkey, for a fleet of
// gateways: standalone, behind Sentinel, or a cluster.
//
// Entries end by the server's clock, after the time that the caller's clock had
// left: how far the two are apart does not matter. A [ledger.Entry] has the time
// as the gateway that wrote it said it, by its own clock.
//
// A server that could forget by itself is refused. One that has forgotten, or
// may have, is noticed, and what was signed before is not spent then: it was flushed, it was restarted (even with persistence, which may
// lack the last moments), a replica was promoted (which may not have received
// them), or its clock was set forward, which is noticed within a quarter of a
// second. Of the others, without Cluster, a script that would call a key free
// finds out itself. With Cluster, where a script has one node's keys only, that
// holds for nodes that were restarted or promoted; a flush is noticed within a
// quarter of a second on the node that has the marker, and on another it is
// not, nor is another's clock.
//
// What the ledger itself cannot notice: one that was flushed while no gateway ran
// is taken for a new one, unless the caller knows its id, and so it is by a
// gateway that starts after the flush until the others notice; and while a primary that was cut off still serves
// gateways on its side, the promoted replica serves the others. The server's
// min-replicas-to-write 1 with min-replicas-max-lag bounds the latter.
//
// A user with these rights is enough, with the prefix written out; Cluster
// needs +cluster|slots and +cluster|shards too, and a client that caches
// +client|tracking:
//
//	user gateway on >password resetkeys ~<prefix>l ~<prefix>l:* ~<prefix>ls:*
//	     -@all +eval +evalsha +info +ping +time +get +set +del +pexpireat
//	     +zadd +zcard +zscore +zrange +zrem +zremrangebyscore
package redisledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errClosed = errors.New("it has been closed")
	errNobody = errors.New("the zero holder is nobody, and nobody can hold a key")
	errPast   = errors.New("a key cannot be held until a time that has passed")
	errClient = errors.New("there is no client")
)

// Options say where the ledger is.
type Options struct {
	// Client belongs to the caller, who closes it after the ledger. Its limits
	// for dialing and answering are best about a second.
	Client rueidis.Client
	// Prefix is that of every key.
	Prefix string
	// Cluster says that the keys are spread over nodes. A client that has found
	// a cluster out itself need not be told.
	Cluster bool
	// Log is told what an operator has to know. Without one nothing is.
	Log *zap.Logger
	// Now is the clock that callers go by: [time.Now], unless it is set.
	Now func() time.Time
}

// Ledger is a [ledger.Ledger] in Redis.
type Ledger struct {
	client  rueidis.Client
	prefix  string
	cluster bool
	log     *zap.Logger
	now     func() time.Time

	mu      sync.Mutex
	calls   sync.WaitGroup // calls under way
	closed  bool
	started bool
	trips   int // how often calls have found the server away
	blamed  string
	said    map[string]time.Time // when what was last logged
	loud    bool                 // the log has it that something is wrong
	window  ledger.Window        // the longest that was asked for, in milliseconds
	orders  int                  // how often it was told to forget
	turned  chan struct{}        // closed after the next look

	state   atomic.Pointer[state]   // nil before the first look
	trouble atomic.Pointer[trouble] // why something was last refused; calls go on
	looked  chan struct{}           // closed after the first look
	kick    chan struct{}           // asks for a look
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
	l := &Ledger{
		client: o.Client, prefix: o.Prefix, log: o.Log, now: o.Now,
		cluster: o.Cluster || o.Client != nil && o.Client.Mode() == rueidis.ClientModeCluster,
		said:    make(map[string]time.Time),
		looked:  make(chan struct{}), turned: make(chan struct{}), kick: make(chan struct{}, 1), gone: make(chan struct{}),
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
	on, err := l.serving(ctx, window)
	if err != nil {
		return "", err
	}
	return on.ledger, nil
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
	_, err := l.await(ctx, func(on *standing) bool { return on.orders >= order })
	return err
}

// enter begins a call, and the watching with the first.
func (l *Ledger) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return unavailable(errClosed)
	case l.client == nil:
		return unavailable(errClient)
	}
	l.calls.Add(1)
	if !l.started {
		l.started = true
		go l.watch()
	}
	return nil
}

// current returns what is known of the server, or why it cannot be asked.
func (l *Ledger) current(ctx context.Context) (*standing, error) {
	if l.state.Load() == nil {
		select {
		case <-l.looked:
		case <-ctx.Done():
			return nil, unavailable(context.Cause(ctx))
		}
	}
	s := l.state.Load()
	if s.err != nil {
		return nil, unavailable(s.err)
	}
	return s.standing, nil
}

// Err implements [ledger.Ledger]. It never waits.
func (l *Ledger) Err() error {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return unavailable(errClosed)
	}
	if l.client == nil {
		return unavailable(errClient)
	}
	if s := l.state.Load(); s != nil && s.err != nil {
		return unavailable(s.err)
	}
	if trouble := l.trouble.Load(); trouble != nil {
		return unavailable(trouble.err)
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
