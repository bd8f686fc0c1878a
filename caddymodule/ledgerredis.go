package caddymodule

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redisledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() {
	caddy.RegisterModule(new(RedisLedger))
}

// RedisLedger keeps in Redis or Valkey what was used or taken, for a fleet of gateways.
//
// The server must not forget by itself: one whose `maxmemory-policy` evicts keys is refused. While it cannot be reached,
// what needs the ledger is unavailable.
type RedisLedger struct {
	RedisServer

	ledger *linkedLedger
	key    string // of the pool, where one is held
}

// redisLedgers are the ledgers in use: they outlive a configuration.
var redisLedgers = caddy.NewUsagePool()

// CaddyModule returns the Caddy module information.
func (*RedisLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.ledgers.redis",
		New: func() caddy.Module { return new(RedisLedger) },
	}
}

// Provision connects to nobody: it runs for `caddy validate`, too.
func (r *RedisLedger) Provision(caddy.Context) error {
	options, err := r.resolve()
	if err != nil {
		return err
	}
	r.URL = "" // as the secrets of widgets
	key := fingerprint(options)
	loaded, _, err := redisLedgers.LoadOrNew(key, func() (caddy.Destructor, error) {
		link, err := redislink.Open(options)
		if err != nil {
			return nil, err
		}
		// Not the context's logger: the ledger outlives the configuration.
		return &linkedLedger{link: link, log: caddy.Log().Named("chat_identity.ledgers.redis")}, nil
	})
	if err != nil {
		return err
	}
	r.ledger, r.key = loaded.(*linkedLedger), key
	return nil
}

// Ledger implements [LedgerModule].
func (r *RedisLedger) Ledger() ledger.Ledger { return r.ledger }

// Cleanup gives the ledger back.
func (r *RedisLedger) Cleanup() error {
	if r.key == "" {
		return nil
	}
	_, err := redisLedgers.Delete(r.key)
	return err
}

// UnmarshalCaddyfile sets up the ledger. Syntax:
//
//	ledger redis <url>
func (r *RedisLedger) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return r.unmarshal(d, "ledger")
}

// linkedLedger is a ledger over a link, which has no client before it has first
// reached a server.
type linkedLedger struct {
	link *redislink.Link
	log  *zap.Logger

	mu     sync.Mutex
	inner  *redisledger.Ledger
	closed bool
}

func (l *linkedLedger) get(ctx context.Context) (*redisledger.Ledger, error) {
	l.mu.Lock()
	inner := l.inner
	l.mu.Unlock()
	if inner != nil {
		return inner, nil
	}
	client, err := l.link.Client(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ledger.ErrUnavailable, l.link, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil && !l.closed {
		l.inner = redisledger.New(redisledger.Options{Client: client, Prefix: l.link.Prefix, Cluster: l.link.Cluster, Log: l.log})
	}
	if l.inner == nil {
		return nil, fmt.Errorf("%w: it is closed", ledger.ErrUnavailable)
	}
	return l.inner, nil
}

// Open implements [ledger.Ledger].
func (l *linkedLedger) Open(ctx context.Context, window ledger.Window) (id string, err error) {
	inner, err := l.get(ctx)
	if err != nil {
		return "", err
	}
	return inner.Open(ctx, window)
}

// Spend implements [ledger.Ledger].
func (l *linkedLedger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed time.Time, window ledger.Window) (ledger.Entry, error) {
	inner, err := l.get(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	return inner.Spend(ctx, key, holder, signed, window)
}

// Reserve implements [ledger.Ledger].
func (l *linkedLedger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	inner, err := l.get(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	return inner.Reserve(ctx, key, holder, until, share)
}

// Keep implements [ledger.Ledger].
func (l *linkedLedger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	inner, err := l.get(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	return inner.Keep(ctx, key, holder, until)
}

// Release implements [ledger.Ledger].
func (l *linkedLedger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	inner, err := l.get(ctx)
	if err != nil {
		return err
	}
	return inner.Release(ctx, key, holder, until)
}

// Held implements [ledger.Ledger].
func (l *linkedLedger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	inner, err := l.get(ctx)
	if err != nil {
		return ledger.Entry{}, err
	}
	return inner.Held(ctx, key)
}

// Forget implements [ledger.Ledger].
func (l *linkedLedger) Forget(ctx context.Context) error {
	inner, err := l.get(ctx)
	if err != nil {
		return err
	}
	return inner.Forget(ctx)
}

// Err implements [ledger.Ledger].
func (l *linkedLedger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil {
		return fmt.Errorf("%w: %s was not reached yet", ledger.ErrUnavailable, l.link)
	}
	return l.inner.Err()
}

// Close implements [ledger.Ledger].
func (l *linkedLedger) Close() error {
	l.mu.Lock()
	inner := l.inner
	l.closed = true
	l.mu.Unlock()
	defer l.link.Close()
	if inner == nil {
		return nil
	}
	return inner.Close()
}

// Destruct ends the connection. Requests of the old configuration that still
// need the ledger fail closed.
func (l *linkedLedger) Destruct() error { return l.Close() }

// Interface guards
var (
	_ caddy.Provisioner     = (*RedisLedger)(nil)
	_ caddy.CleanerUpper    = (*RedisLedger)(nil)
	_ caddyfile.Unmarshaler = (*RedisLedger)(nil)
	_ LedgerModule          = (*RedisLedger)(nil)
)
