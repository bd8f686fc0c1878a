package caddymodule

import (
	"context"
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
)

// Start makes the encryption key that was not configured, where it will be
// needed, and tells the operator what will not work.
func (a *App) Start() error {
	for _, s := range a.sites() {
		if err := s.Check(a.log); err != nil {
			return err
		}
	}
	if a.usesStore {
		if err := a.ensureRing(); err != nil {
			a.log.Error("there is no encryption key, so widgets cannot be created", zap.Error(err))
		}
	}
	a.checkStore()
	a.useSpool()
	a.traffic.ForgetModes() // those of the handlers before
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.counting.Go(func() { a.countStore(ctx) })
	if a.usesLedger {
		a.openLedger(ctx)
		a.counting.Go(func() { a.ledger.Watch(ctx) })
	}
	return nil
}

// readSites goes through the sites of the configuration. What ours are renamed to
// by one handler of a site is then removed by every other, too, and a text knows
// whether what it is made of comes from the path.
func (a *App) readSites() []*sites.Site {
	loaded, err := a.ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	handlers := make(map[*sites.Handler]*Handler)
	all := sites.Of(loaded.(*caddyhttp.App), func(found caddyhttp.MiddlewareHandler) *sites.Handler {
		h, ours := found.(*Handler)
		if !ours {
			return nil
		}
		if h.place == nil {
			h.place = &sites.Handler{Guard: h.Guard, Renamed: h.renamed}
			handlers[h.place] = h
		}
		return h.place
	})
	for _, s := range all {
		for _, place := range s.Handlers {
			h := handlers[place]
			h.renamed = slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.renamed, s.Renamed()))))
			for _, text := range slices.Concat(h.texts, []*naming.Text{h.named}) {
				if text != nil {
					text.OfPath = text.OfPath || s.ReadsPath(text.String())
				}
			}
		}
	}
	return all
}

// Stop implements [caddy.App].
func (a *App) Stop() error {
	a.replace()
	return nil
}

// replace takes note that another configuration is active, unless none is: when
// Caddy itself stops, nothing replaces this one.
func (a *App) replace() {
	if caddy.ActiveContext().Context != nil {
		a.replaced.Store(true)
	}
}

// Cleanup ends what runs beside, and gives back what other configurations may share.
func (a *App) Cleanup() error {
	a.replace() // Caddy does not stop an app that failed to start
	if a.stop != nil {
		a.stop()
		a.counting.Wait()
		a.traffic.ForgetModes() // that its handlers had to the last
	}
	return errors.Join(a.sharedTraffic.Cleanup(), a.sharedKeys.Cleanup(), a.sharedSpool.Cleanup())
}

// checkStore logs which stored widgets cannot be used, and why.
func (a *App) checkStore() {
	for id := range a.inline {
		if a.stored(id) {
			a.log.Warn("widget is both inline (in the configuration) and stored: the inline one counts, "+
				"and without it the stored one would again", zap.String("widget", id))
		}
	}
	for id := range a.owners {
		if a.stored(id) {
			a.log.Warn("widget is both a handler's own and stored: the stored one is not used", zap.String("widget", id))
		}
	}
	for keyID, secrets := range a.store.KeyIDs() {
		if !a.ring.Load().Has(keyID) {
			a.log.Error("stored secrets cannot be opened, their widgets are unavailable: "+a.whereKeyIs(keyID),
				zap.String("missing_encryption_key", keyID), zap.Int("secrets", secrets))
		}
	}
}

// activeApp returns the app of the configuration that runs. What outlives a
// configuration asks for it each time: after a reload that failed, Caddy's admin
// API still has the routes of the configuration that never ran.
func activeApp() (*App, error) {
	loaded, err := caddy.ActiveContext().AppIfConfigured("chat_identity")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errNoApp
	}
	if err != nil {
		return nil, err
	}
	return loaded.(*App), nil
}

var errNoApp = errors.New("the running configuration has no chat_identity: add the directive to a site, or the global option")
