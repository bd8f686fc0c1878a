package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/ledgers"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

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
	sum := sha256.Sum256([]byte(caddy.AppDataDir()))
	name := "ledger-" + hex.EncodeToString(sum[:8])
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
