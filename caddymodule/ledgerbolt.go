package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() {
	caddy.RegisterModule(new(BoltLedger))
}

// LedgerModule is a module of the namespace `chat_identity.ledgers`. What it
// returns is used once it is provisioned.
type LedgerModule interface {
	Ledger() ledger.Ledger
}

// BoltLedger keeps in a file what was used or taken: one-time signatures, conversations and merged visitors.
//
// What is recorded is on the disk before a request is answered. The file belongs to one process; gateways of a fleet need
// a ledger that they share. A file that is damaged is refused rather than forgotten: what needs it is unavailable until it
// is restored or moved away. After one that was lost, conversations are unavailable until `caddy chat-identity ledger
// accept-loss`.
type BoltLedger struct {
	// The file's path. Default: `chat_identity/ledger.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	ledger *pooledBolt
	pooled bool
}

// bolts are the ledgers by path: they outlive a configuration.
var bolts = caddy.NewUsagePool()

type pooledBolt struct{ *boltledger.Ledger }

// Destruct closes the file. Requests of the old configuration that still need
// it fail closed.
func (b *pooledBolt) Destruct() error { return b.Close() }

// CaddyModule returns the Caddy module information.
func (*BoltLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.ledgers.bolt",
		New: func() caddy.Module { return new(BoltLedger) },
	}
}

// Provision opens nothing: it runs for `caddy validate`, beside a server that
// has the file open.
func (b *BoltLedger) Provision(caddy.Context) error {
	path, err := resolvePath(b.Path, "ledger.db")
	if err != nil {
		return err
	}
	b.Path = path
	loaded, _, err := bolts.LoadOrNew(b.Path, func() (caddy.Destructor, error) {
		return &pooledBolt{boltledger.New(boltledger.Options{
			Path: b.Path,
			// Not the context's logger: the file outlives the configuration.
			Log: caddy.Log().Named("chat_identity.ledgers.bolt"),
		})}, nil
	})
	if err != nil {
		return err
	}
	b.ledger, b.pooled = loaded.(*pooledBolt), true
	return nil
}

// Ledger implements [LedgerModule].
func (b *BoltLedger) Ledger() ledger.Ledger { return b.ledger.Ledger }

// Cleanup gives the file back.
func (b *BoltLedger) Cleanup() error {
	if b.pooled {
		_, err := bolts.Delete(b.Path)
		return err
	}
	return nil
}

// UnmarshalCaddyfile sets up the ledger. Syntax:
//
//	ledger bolt [<path>]
func (b *BoltLedger) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return pathArg(d, "ledger bolt", &b.Path)
}

func (a *App) provisionLedger(ctx caddy.Context) error {
	if a.LedgerRaw == nil {
		a.LedgerRaw = json.RawMessage(`{"store":"bolt"}`)
	}
	loaded, err := ctx.LoadModule(a, "LedgerRaw")
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	module, ok := loaded.(LedgerModule)
	if !ok {
		return fmt.Errorf("ledger: the module %T is no ledger", loaded)
	}
	place := string(loaded.(caddy.Module).CaddyModule().ID)
	if file, ok := loaded.(*BoltLedger); ok {
		place = file.Path
	}
	_, shared := loaded.(*RedisLedger)
	a.ledger = newKnownLedger(observedLedger{module.Ledger()}, place, shared, a)
	return nil
}

// useLedger returns the ledger to a handler that needs it.
func (a *App) useLedger() ledger.Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.recorded = true
	return a.ledger
}

// openLedger opens the ledger early, so that an operator learns at the start
// what is wrong with it, and not from the first request.
func (a *App) openLedger(ctx context.Context) {
	if err := a.ledger.known(ctx); err != nil {
		a.log.Error("the ledger cannot be opened: what is accepted once, conversations and merging are unavailable until it can be",
			zap.Error(err))
	}
}

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltLedger)(nil)
	_ caddy.CleanerUpper    = (*BoltLedger)(nil)
	_ caddyfile.Unmarshaler = (*BoltLedger)(nil)
	_ LedgerModule          = (*BoltLedger)(nil)
)
