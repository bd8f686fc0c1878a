package caddymodule

import (
	"context"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
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
	return []caddy.AdminRoute{{Pattern: adminapi.Path, Handler: admin.Handler(activeGateway, auditLog)}}
}

// auditLog is the log of calls that change something, as the active configuration writes it.
func auditLog() *zap.Logger {
	if ctx := caddy.ActiveContext(); ctx.Context != nil {
		return ctx.Logger(adminAPI{}).Named("audit")
	}
	return caddy.Log().Named(string(adminAPI{}.CaddyModule().ID)).Named("audit")
}

// activeGateway returns what the API needs from the active app.
func activeGateway() (*admin.Gateway, error) {
	a, err := activeApp()
	if err != nil {
		return nil, err
	}
	return a.gateway(), nil
}

// gateway returns what the API needs of the app.
func (a *App) gateway() *admin.Gateway {
	g := &admin.Gateway{
		Log: a.log, Traffic: a.traffic, Store: a.store, Configured: a.ownWidgets(), Census: a.counted, Sites: a.servingSites,
		AllowReveal: a.AllowReveal, Offline: a.offline, Health: a.health,
		Ring: a.ring.Load, EnsureRing: a.ensureRing, MissingKeys: a.missingKeys, WhereKeyIs: a.whereKeyIs,
		Effect: func(r *widgets.Record) adminapi.Effect {
			w := storedWidget(r)
			return a.effect(&w)
		},
	}
	if a.usesLedger {
		g.Ledger = &admin.Ledger{Err: a.ledger.Err, Loss: a.ledger.Loss, Accept: func(ctx context.Context) (adminapi.Acceptance, error) {
			accepted, err := a.ledger.Accept(ctx)
			return adminapi.Acceptance(accepted), err
		}}
	}
	return g
}

// ownWidgets are the configuration's widgets by id, which do not change once all of it is
// provisioned.
type ownWidgets struct {
	once sync.Once
	all  map[string]*adminapi.Widget
}

func (a *App) ownWidgets() map[string]*adminapi.Widget {
	a.described.once.Do(func() { a.described.all = a.describeOwn() })
	return a.described.all
}

func (a *App) describeOwn() map[string]*adminapi.Widget {
	all := make(map[string]*adminapi.Widget, len(a.inline)+len(a.owners))
	for id, own := range a.owners { // nothing else says how they are treated
		all[id] = &adminapi.Widget{ID: id, Source: "handler", Mode: own.mode.String(), Dialect: own.dialect, Effect: a.effect(own.w)}
		if !a.offline { // where secrets have stand-ins
			all[id].Secrets = own.w.inline.views()
		}
	}
	for id, w := range a.inline {
		all[id] = &adminapi.Widget{ID: id, Source: "inline", Mode: w.mode.String(), Dialect: w.dialect, Effect: a.effect(w), Secrets: w.inline.views()}
	}
	return all
}

// views shows inline secrets, whose versions say nothing about them.
func (k *inlineKeys) views() (all []adminapi.Secret) {
	for _, key := range k.keys {
		all = append(all, adminapi.Secret{Version: key.ID})
	}
	return all
}

// Interface guards
var (
	_ caddy.AdminRouter = adminAPI{}
	_ caddy.Provisioner = adminAPI{}
)
