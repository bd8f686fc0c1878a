package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/ledgers"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redisledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() {
	caddy.RegisterModule(new(BoltLedger))
	caddy.RegisterModule(new(RedisLedger))
}

// LedgerModule is a module of the namespace `chat_identity.ledgers`.
type LedgerModule interface {
	// Ledger returns the ledger. It is called once the module is provisioned.
	Ledger() ledger.Ledger
}

func (a *App) provisionLedger() error {
	if a.LedgerRaw == nil {
		a.LedgerRaw = json.RawMessage(`{"store":"bolt"}`)
	}
	loaded, err := a.ctx.LoadModule(a, "LedgerRaw")
	if err != nil {
		return moduleError("ledger", err)
	}
	module, ok := loaded.(LedgerModule)
	if !ok {
		return fmt.Errorf("ledger: the module %T is not a ledger", loaded)
	}
	place := string(loaded.(caddy.Module).CaddyModule().ID)
	if file, ok := loaded.(*BoltLedger); ok {
		if a.ledgerFile, place = file.Path, file.Path; sameFile(file.Path, a.file) {
			return fmt.Errorf("widgets and ledger have the same file, %s: give each its own", file.Path)
		}
	}
	_, shared := loaded.(*RedisLedger)
	a.ledger = ledgers.New(ledgers.Options{
		Ledger: observe.Ledger{Ledger: module.Ledger()}, Place: place, Shared: shared, Notes: a.ledgerNotes(), Log: a.log,
		Period: 2 * time.Second, Reminder: 10 * time.Minute,
	})
	return nil
}

// sameFile reports whether two paths, either of which may not exist yet, are of one file.
func sameFile(a, b string) bool {
	real := func(path string) string {
		if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(folder, filepath.Base(path))
		}
		return path
	}
	one, err := os.Stat(a)
	other, otherErr := os.Stat(b)
	return real(a) == real(b) || err == nil && otherErr == nil && os.SameFile(one, other)
}

// ledgerNotes are kept beside the widgets and in Caddy's data directory. The name
// distinguishes gateways on one machine that share their widgets but not their data
// directory.
func (a *App) ledgerNotes() []ledgers.Note {
	name := "ledger-" + digestOf(caddy.AppDataDir())
	path := dataPath(name)
	return []ledgers.Note{
		{
			Read:  func(ctx context.Context) (string, error) { return a.store.Note(ctx, name) },
			Write: func(ctx context.Context, text string) error { return a.store.SetNote(ctx, name, text) },
		},
		{
			Read: func(context.Context) (string, error) { return durable.ReadLine(path) },
			Write: func(_ context.Context, text string) error {
				if err := durable.WriteLine(path, text); err != nil {
					return durable.Explain(err, "make Caddy's data directory writable")
				}
				return nil
			},
		},
	}
}

// digestOf is a short name of a place, for a note about what is there.
func digestOf(place string) string {
	sum := sha256.Sum256([]byte(place))
	return hex.EncodeToString(sum[:8])
}

// useLedger notes that a handler needs the ledger, and returns it.
func (a *App) useLedger() ledger.Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usesLedger = true
	return a.ledger
}

// openLedger opens the ledger at start, so that an operator need not wait for the first
// request to learn what is wrong with it.
func (a *App) openLedger(ctx context.Context) {
	if _, err := a.ledger.Open(ctx, a.window); err != nil {
		a.log.Error("the ledger cannot be opened: one-time signatures, conversations and the merging of visitors are unavailable until it can be",
			zap.Error(err))
	}
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

// ledgerModule is what a module of a ledger has.
type ledgerModule interface {
	caddy.Provisioner
	caddy.CleanerUpper
	caddyfile.Unmarshaler
	LedgerModule
}

// Interface guards
var (
	_ ledgerModule = (*BoltLedger)(nil)
	_ ledgerModule = (*RedisLedger)(nil)
)
