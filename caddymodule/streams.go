package caddymodule

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/streams"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// openStreams are those of all configurations: they outlive theirs.
var openStreams = streams.New(retired, time.Now)

// streamProof is what proved whose a stream is, and the configuration that found so.
type streamProof struct {
	app             *App
	widget, version string
	own             bool // the widget is its handler's only one, which requests do not name
}

// retired reports whether something proves nothing any longer in the configuration that is
// active now: the widget is gone, or what it is verified with. While that is not known, as
// when a store is unreachable, it is not retired.
func retired(p streamProof) bool {
	active, err := p.app.active()
	if active == nil {
		return err == nil
	}
	known, err := active.proves(p)
	return !known && err == nil
}

// proves reports whether the configuration verifies by what a proof has verified. An error
// says that this is currently unknown.
func (a *App) proves(p streamProof) (bool, error) {
	w := new(widget)
	if own := a.own[p.widget]; p.own && own != nil {
		w = own
	} else if found, err := a.lookup(context.Background(), []byte(p.widget), w); !found {
		return false, err
	}
	if w.kind() == widgets.Secrets {
		return w.has(p.version, time.Now()), nil
	}
	// Whether a key set can be read is tried in the background.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	keys, err := a.keys(ctx, nil, w, "", nil)
	if slices.ContainsFunc(keys, func(k *verifier.Key) bool { return k.Thumbprint() == p.version }) {
		return true, nil
	}
	return false, err
}

// connKey is the key of a request's connection in its context.
var connKey caddy.CtxKey = "chat_identity_conn"

// keepConns has a server's requests know their connections, to close those of HTTP/1.1.
func keepConns(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	server.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		if ctx.Value(connKey) != nil { // by another handler
			return ctx
		}
		return context.WithValue(ctx, connKey, conn)
	})
}

// has reports whether one of the widget's secrets that verify then has that version.
func (w *widget) has(version string, now time.Time) bool {
	if w.inline != nil {
		return slices.ContainsFunc(w.inline.secrets, func(s inlineSecret) bool { return s.version == version })
	}
	return slices.ContainsFunc(w.record.Secrets, func(s widgets.Sealed) bool { return s.Version == version && s.Live(now) })
}
