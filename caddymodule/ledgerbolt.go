package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() {
	caddy.RegisterModule(new(BoltLedger))
}

// BoltLedger records used one-time signatures, conversations and merged visitors in a file.
//
// Records are on the disk before a request is answered. The file belongs to one process; the gateways of a fleet need a
// shared ledger. A damaged file is refused rather than replaced: what needs it is unavailable until it is restored or
// moved away. After the loss of a file, conversations are unavailable until `caddy chat-identity ledger accept-loss`.
type BoltLedger struct {
	// The file's path. Default: `chat_identity/ledger.db` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	pooled[*boltledger.Ledger]
}

// CaddyModule returns the Caddy module information.
func (*BoltLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.ledgers.bolt",
		New: func() caddy.Module { return new(BoltLedger) },
	}
}

// Provision opens nothing: it also runs for `caddy validate`, beside a server that has the
// file open.
func (b *BoltLedger) Provision(caddy.Context) error {
	path, err := resolvePath(b.Path, "ledger.db")
	if err != nil {
		return err
	}
	b.Path = path
	return b.take(path, func() (*boltledger.Ledger, error) {
		// Not the context's logger: the file outlives the configuration.
		return boltledger.New(boltledger.Options{Path: path, Log: caddy.Log().Named("chat_identity.ledgers.bolt")}), nil
	})
}

// Ledger implements [LedgerModule].
func (b *BoltLedger) Ledger() ledger.Ledger { return b.shared }

// UnmarshalCaddyfile sets up the ledger. Syntax:
//
//	ledger bolt [<path>]
func (b *BoltLedger) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return pathArg(d, "ledger bolt", &b.Path)
}

// Interface guards
var (
	_ caddy.Provisioner     = (*BoltLedger)(nil)
	_ caddy.CleanerUpper    = (*BoltLedger)(nil)
	_ caddyfile.Unmarshaler = (*BoltLedger)(nil)
	_ LedgerModule          = (*BoltLedger)(nil)
)
