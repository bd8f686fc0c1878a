package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Start checks the sites, creates an encryption key if one is needed and none is
// configured, and logs what will not work.
func (a *App) Start() error {
	if err := a.examine(); err != nil {
		return err
	}
	if a.usesStore {
		if err := a.ensureRing(); errors.Is(err, widgets.ErrUnavailable) {
			a.log.Error("the widgets cannot be read, so none can be created", zap.Error(err))
		} else if err != nil {
			a.log.Error("there is no encryption key, so widgets cannot be created", zap.Error(err))
		}
	}
	if slices.ContainsFunc(a.deciders, (*Handler).needsSessionKey) {
		_ = a.ensureSessionKey() // which logs what is wrong; identify tries again
	}
	a.checkStore()
	a.useSpool()
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.startSets(ctx)
	a.counting.Go(func() { a.countStore(ctx) })
	if a.usesAssertion {
		a.counting.Go(func() { a.watchSigningKeys(ctx) })
	}
	if a.usesLedger {
		a.openLedger(ctx)
		a.counting.Go(func() { a.ledger.Watch(ctx) })
	}
	return nil
}

// readSites reads the routes of all sites. From then on, all handlers of a site remove
// the headers to which one of them renames ours or moves sessions, a handler knows for which
// others it answers, and a text whether its placeholders depend on the path.
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
			h.place = &sites.Handler{
				Guard: h.Guard, Required: h.Mode == widgets.ModeRequired, Renamed: h.renamed, Sessions: h.sessionHeaders, Line: h.Line, Raises: h.Refuse == refuseError, CORS: len(h.CORS) > 0, OwnPaths: h.ownPaths(),
			}
			handlers[h.place] = h
		}
		return h.place
	})
	for _, s := range all {
		for _, place := range s.Handlers {
			h := handlers[place]
			h.renamed = slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.renamed, s.Renamed()))))
			h.sessionHeaders = slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.sessionHeaders, s.Sessions()))))
			for _, beside := range *place.Adjacent {
				if o := handlers[beside]; place.Answers(beside) && !slices.Contains(h.answering, o) {
					h.answering = append(h.answering, o)
				}
			}
			for _, text := range h.allTexts() {
				text.OfPath = text.OfPath || s.ReadsPath(text.String())
			}
		}
	}
	return all
}

// ownPaths returns the paths that the handler answers itself. Two identify alike if they are
// the same but for their matchers and lines; the key set is the gateway's.
func (h *Handler) ownPaths() (paths []sites.OwnPath) {
	if h.Identify != "" {
		same := *h
		same.Line = ""
		text, _ := json.Marshal(&same) // it was JSON
		paths = append(paths, sites.OwnPath{Option: "identify", Path: h.Identify, As: digestOf(string(text))})
	}
	if h.JWKSPath != "" {
		paths = append(paths, sites.OwnPath{Option: "jwks_path", Path: h.JWKSPath})
	}
	return paths
}

// Stop implements [caddy.App].
func (a *App) Stop() error {
	a.replace()
	a.retireInline()
	return nil
}

// replace notes that another configuration is active. When Caddy itself stops, none is.
func (a *App) replace() {
	if caddy.ActiveContext().Context != nil {
		a.replaced.Store(true)
	}
}

// Cleanup ends the background work, and releases what configurations share.
func (a *App) Cleanup() error {
	a.replace() // Caddy does not stop an app that failed to start
	if a.stop != nil {
		a.stop()
		a.counting.Wait()
	}
	return errors.Join(a.sharedTraffic.Cleanup(), a.sharedKeys.Cleanup(), a.sharedSpool.Cleanup(), a.sharedSets.Cleanup(),
		a.sharedSigning.Cleanup(), a.sharedMinter.Cleanup(), a.sharedCensus.Cleanup())
}

// checkStore logs which stored widgets are unused or unavailable, and why.
func (a *App) checkStore() {
	for _, f := range a.storeFindings() {
		f.Log(a.log)
	}
	for _, f := range a.keyFindings() {
		a.log.Error(f.String(), zap.String("finding", string(f.Kind)))
	}
}

// activeApp returns the app of the active configuration. Whatever outlives a
// configuration asks for it each time: after a failed reload, Caddy's admin API still
// has the routes of the configuration that never ran.
func activeApp() (*App, error) {
	ctx := caddy.ActiveContext()
	if ctx.Context == nil && caddy.Exiting() {
		return nil, errExiting
	}
	if ctx.Context == nil {
		return nil, errNoConfig
	}
	loaded, err := ctx.AppIfConfigured("chat_identity")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errNoApp
	}
	if err != nil {
		return nil, err
	}
	return loaded.(*App), nil
}

var errNoConfig = errors.New("no configuration is running yet: if Caddy was just started, it is still being loaded, so try again in a moment, and see the log")

var errExiting = errors.New("this Caddy is shutting down: it serves for as long as shutdown_delay and grace_period say, and takes no changes, so ask another gateway")

var errNoApp = errors.New("the running configuration has no chat_identity: add the directive to a site, or the global option")
