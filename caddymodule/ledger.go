package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/ledgers"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// LedgerModule is a module of the namespace `chat_identity.ledgers`. What it
// returns is used once it is provisioned.
type LedgerModule interface {
	Ledger() ledger.Ledger
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
	a.ledger = ledgers.New(ledgers.Options{
		Ledger: observe.Ledger{Ledger: module.Ledger()}, Place: place, Shared: shared, Notes: a.ledgerNotes(), Log: a.log,
		Period: 10 * time.Second, Reminder: 10 * time.Minute,
	})
	return nil
}

// ledgerNotes are with the widgets and in Caddy's data directory. Gateways of one
// machine that share their widgets have data directories of their own, or one
// note.
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
			Read:  func(context.Context) (string, error) { return durable.ReadLine(path) },
			Write: func(_ context.Context, text string) error { return durable.WriteLine(path, text) },
		},
	}
}

// useLedger returns the ledger to a handler that needs it.
func (a *App) useLedger() ledger.Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usesLedger = true
	return a.ledger
}

// openLedger opens the ledger early, so that an operator learns at the start
// what is wrong with it, and not from the first request.
func (a *App) openLedger(ctx context.Context) {
	if _, err := a.ledger.Open(ctx, a.window); err != nil {
		a.log.Error("the ledger cannot be opened: what is accepted once, conversations and merging are unavailable until it can be",
			zap.Error(err))
	}
}
