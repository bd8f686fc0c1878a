package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is this module's part of Caddy's admin endpoint.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.chat_identity",
		New: func() caddy.Module { return adminAPI{} },
	}
}

// Provision implements [caddy.Provisioner]. Caddy provisions the endpoint before any app,
// and keeps it if an app fails.
func (adminAPI) Provision(ctx caddy.Context) error { return registerMetrics(ctx) }

// Routes implements [caddy.AdminRouter].
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminapi.Path, Handler: admin.Handler(activeGateway)}}
}

// activeGateway returns what the API needs from the active app.
func activeGateway() (*admin.Gateway, error) {
	a, err := activeApp()
	if err != nil {
		return nil, err
	}
	g := &admin.Gateway{
		Log: a.log, Traffic: a.traffic, Store: a.store, Configured: a.ownWidgets(), AllowReveal: a.AllowReveal,
		Health: a.health, Ring: a.ring.Load, EnsureRing: a.ensureRing, MissingKeys: a.missingKeys, WhereKeyIs: a.whereKeyIs,
		AlwaysRefused: func(reason judgment.Reason) bool { return answers[reason].always },
	}
	if a.usesLedger {
		g.Ledger = &admin.Ledger{Err: a.ledger.Err, Loss: a.ledger.Loss, Accept: func(ctx context.Context) (adminapi.Acceptance, error) {
			accepted, err := a.ledger.Accept(ctx)
			return adminapi.Acceptance(accepted), err
		}}
	}
	return g, nil
}

// ownWidgets returns the configuration's widgets by id.
func (a *App) ownWidgets() map[string]admin.Configured {
	all := make(map[string]admin.Configured, len(a.inline)+len(a.owners))
	for id, own := range a.owners { // nothing else says how they are treated
		all[id] = admin.Configured{
			Widget: adminapi.Widget{ID: id, Source: "handler", Mode: own.mode.String(), Dialect: own.dialect},
			Laxest: own.laxest.String(),
		}
	}
	for id, w := range a.inline {
		all[id] = admin.Configured{Widget: adminapi.Widget{ID: id, Source: "inline", Mode: w.mode.String(), Dialect: w.dialect}}
	}
	return all
}

// Interface guards
var (
	_ caddy.AdminRouter = adminAPI{}
	_ caddy.Provisioner = adminAPI{}
)
