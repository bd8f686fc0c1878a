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

// RedisLedger records used one-time signatures, conversations and merged visitors in Redis or Valkey, for a fleet of gateways.
//
// A server whose `maxmemory-policy` evicts keys is refused. While the server is unreachable, what needs the ledger is
// unavailable.
type RedisLedger struct {
	RedisServer
	pooled[*redisledger.Ledger]
}

// CaddyModule returns the Caddy module information.
func (*RedisLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.ledgers.redis",
		New: func() caddy.Module { return new(RedisLedger) },
	}
}

// Provision connects to nothing.
func (r *RedisLedger) Provision(caddy.Context) error {
	key, err := r.connect()
	if err != nil {
		return err
	}
	return r.take(key, func() (*redisledger.Ledger, error) {
		// Not the context's logger: the ledger outlives the configuration.
		return redisledger.New(redisledger.Options{Link: r.link.shared, Log: caddy.Log().Named("chat_identity.ledgers.redis")}), nil
	})
}

// Ledger implements [LedgerModule].
func (r *RedisLedger) Ledger() ledger.Ledger { return r.shared }

// Cleanup releases the ledger and the connection.
func (r *RedisLedger) Cleanup() error { return errors.Join(r.pooled.Cleanup(), r.link.Cleanup()) }

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
