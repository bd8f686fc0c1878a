package caddymodule

import (
	"context"

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
		Log: a.log, Traffic: a.traffic, Store: a.store, Configured: a.configuredWidgets(), Census: a.counted, Sites: a.servingSites,
		AllowReveal: a.AllowReveal, Offline: a.offline, Health: a.health, OpenStreams: openStreams.Count,
		Ring: a.ring.Load, EnsureRing: a.ensureRing, MissingKeys: a.missingKeys,
		WhereKeyIs:  a.whereKeyIs,
		SigningKeys: a.listSigningKeys, RotateSigningKeys: a.rotateSigningKeys, JWKS: a.publicKeys,
		Effect: func(r *widgets.Record) adminapi.Effect {
			w := storedWidget(r)
			return a.effect(&w)
		},
	}
	if !a.offline {
		g.KeySet, g.TryKeySet = a.keySetTrouble, a.tryKeySet
	}
	if a.usesLedger {
		g.Ledger = &admin.Ledger{Err: a.ledger.Err, Loss: a.ledger.Loss, Accept: func(ctx context.Context) (adminapi.Acceptance, error) {
			accepted, err := a.ledger.Accept(ctx)
			return adminapi.Acceptance(accepted), err
		}}
	}
	return g
}

// describeConfigured describes the configuration's widgets by id, once it is provisioned.
func (a *App) describeConfigured() map[string]*adminapi.Widget {
	all := make(map[string]*adminapi.Widget, len(a.inline)+len(a.owners))
	describe := func(w *widget, source string, mode widgets.Mode, dialect string) {
		view := &adminapi.Widget{ID: w.id, Source: source, Mode: mode.String(), Dialect: dialect, Effect: a.effect(w)}
		for i := range w.inline.secrets { // their versions say nothing about them
			view.Secrets = append(view.Secrets, adminapi.Secret{Version: w.inline.secrets[i].version})
		}
		for i, key := range w.inline.public {
			view.PublicKeys = append(view.PublicKeys, adminapi.PublicKey{Thumbprint: key.ID, Kind: w.inline.kinds[i]})
		}
		view.JWKS = w.inline.jwks
		all[w.id] = view
	}
	for id, own := range a.owners { // nothing else says how they are treated
		if describe(own.w, "handler", own.mode, own.dialect); a.offline {
			all[id].Secrets = nil // stand-ins
		}
	}
	for _, w := range a.inline {
		describe(w, "inline", w.mode, w.dialect)
	}
	return all
}

// Interface guards
var (
	_ caddy.AdminRouter = adminAPI{}
	_ caddy.Provisioner = adminAPI{}
)
