package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redisledger"
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

	ledger *redisledger.Ledger
	key    string // of the pool, where one is held
}

// redisLedgers are the ledgers in use: they outlive a configuration.
var redisLedgers = caddy.NewUsagePool()

type pooledRedisLedger struct {
	*redisledger.Ledger
	link string // its key
}

// Destruct closes the ledger. Requests of the old configuration that still need it
// fail closed.
func (p *pooledRedisLedger) Destruct() error { return errors.Join(p.Close(), releaseLink(p.link)) }

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
	r.URL = "" // cleared: Caddy's request trace prints exported fields
	key := fingerprint(options)
	loaded, _, err := redisLedgers.LoadOrNew(key, func() (caddy.Destructor, error) {
		link, err := acquireLink(key, options)
		if err != nil {
			return nil, err
		}
		// Not the context's logger: the ledger outlives the configuration.
		l := redisledger.New(redisledger.Options{Link: link, Log: caddy.Log().Named("chat_identity.ledgers.redis")})
		return &pooledRedisLedger{l, key}, nil
	})
	if err != nil {
		return err
	}
	r.ledger, r.key = loaded.(*pooledRedisLedger).Ledger, key
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

// Interface guards
var (
	_ caddy.Provisioner     = (*RedisLedger)(nil)
	_ caddy.CleanerUpper    = (*RedisLedger)(nil)
	_ caddyfile.Unmarshaler = (*RedisLedger)(nil)
	_ LedgerModule          = (*RedisLedger)(nil)
)
