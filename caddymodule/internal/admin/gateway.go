package admin

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Gateway is what the API shows and changes: as much of a configuration's app as it
// needs.
type Gateway struct {
	Log        *zap.Logger
	Traffic    *traffic.Traffic
	Store      widgets.Store
	Configured map[string]*adminapi.Widget // the configuration's own widgets, by id
	// Census returns how many widgets the store had, and when they were counted: the zero
	// time while they were not.
	Census      func() (stored int, at time.Time)
	AllowReveal bool
	Offline     bool    // requests go through another process, which counts them
	Ledger      *Ledger // nil if no handler needs one
	Health      func() adminapi.Health
	OpenStreams func() int // verified ones

	// Ring returns the encryption keys, or nil while there are none. EnsureRing
	// creates one if there is none.
	Ring       func() *widgets.Ring
	EnsureRing func() error
	// MissingKeys returns the ids of encryption keys that stored secrets need and
	// that are not configured. WhereKeyIs says where one may be found, and that lost is
	// what to do if it cannot be.
	MissingKeys func() []string
	WhereKeyIs  func(keyID, lost string) string

	// KeySet says why the widgets of a key set are unavailable, "" if they are not, without
	// waiting. TryKeySet reads it if it was not read before. Both are nil offline.
	KeySet    func(url string) string
	TryKeySet func(ctx context.Context, url string) error

	// SigningKeys returns the gateway's own keys, if there are any. RotateSigningKeys
	// publishes a next one, unless there is one, and may replace stored keys that cannot be
	// decrypted.
	SigningKeys       func(context.Context) ([]assertion.State, error)
	RotateSigningKeys func(ctx context.Context, replace bool) (adminapi.SigningKeys, error)
	// JWKS returns the public keys of assertions, as a JWK Set.
	JWKS func(context.Context) ([]byte, error)

	// Sites returns where requests of a widget are verified.
	Sites func(*adminapi.Widget) []Site
	// Effect says how requests of a stored widget are treated.
	Effect func(*widgets.Record) adminapi.Effect
}

// Site is where requests of a widget are verified.
type Site = dashboard.Site

// Ledger is what the API needs of the ledger.
type Ledger struct {
	Err    func() error
	Loss   func() string // what is lost and what to do, or ""
	Accept func(context.Context) (adminapi.Acceptance, error)
}
