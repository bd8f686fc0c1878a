package admin

import (
	"context"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Gateway is what the API shows and changes: the app of a configuration, as far
// as the API needs it.
type Gateway struct {
	Log         *zap.Logger
	Traffic     *traffic.Traffic
	Store       widgets.Store
	Configured  map[string]Configured // the configuration's own widgets, by id
	AllowReveal bool
	Ledger      *Ledger // nil where no handler needs one

	// Ring returns the encryption keys, nil while there are none. EnsureRing
	// creates one where that is needed.
	Ring       func() *widgets.Ring
	EnsureRing func() error
	// MissingKeys returns the ids of encryption keys that stored secrets need and
	// that are not configured, WhereKeyIs what to do about one.
	MissingKeys func() []string
	WhereKeyIs  func(keyID string) string

	// AlwaysRefused reports whether optional mode refuses requests for that
	// reason, too, unless a handler says otherwise.
	AlwaysRefused func(judgment.Reason) bool
}

// Configured is a widget of the configuration.
type Configured struct {
	adminapi.Widget
	Laxest string // the laxest of its handlers' modes, "" where it is not a handler's own
}

// Ledger is what the API asks of the ledger.
type Ledger struct {
	Err    func() error
	Loss   func() string // what is lost and what to do, "" where nothing is
	Accept func(context.Context) (adminapi.Acceptance, error)
}
