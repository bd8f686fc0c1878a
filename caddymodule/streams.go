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
var openStreams = newStreams(retired, time.Now)

func newStreams(retired func(streamProof) bool, clock func() time.Time) *streams.Registry[streamProof] {
	return streams.New(retired, func(p streamProof) bool { return !p.inline }, clock)
}

// streamProof is what proved whose a stream is, and the configuration that found so.
type streamProof struct {
	app             *App
	widget, version string
	inline          bool // the widget was a configuration's, so no store knows what proved it
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
	w := a.own[p.widget]
	if !p.inline {
		w = new(widget)
		if found, err := a.lookup(context.Background(), []byte(p.widget), w); !found {
			return false, err
		}
	}
	if w == nil {
		return false, nil
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
const connKey caddy.CtxKey = "chat_identity_conn"

// clientConn is a client's connection. Over HTTP/1.1 it has one request at a time, so that a
// stream is ended with the connection's context, and no request needs one of its own.
type clientConn struct {
	net.Conn
	cancel context.CancelCauseFunc
}

// keepConns has a server's requests know their connections, to end those of HTTP/1.1. What a
// context derives from is never done, so nothing is left to release when a connection is.
func keepConns(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	server.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		if ctx.Value(connKey) != nil { // by another handler
			return ctx
		}
		ctx, cancel := context.WithCancelCause(ctx)
		return context.WithValue(ctx, connKey, &clientConn{conn, cancel})
	})
}

// has reports whether one of the widget's secrets that verify then has that version.
func (w *widget) has(version string, now time.Time) bool {
	if w.inline != nil {
		return slices.ContainsFunc(w.inline.secrets, func(s inlineSecret) bool { return s.version == version })
	}
	return slices.ContainsFunc(w.record.Secrets, func(s widgets.Sealed) bool { return s.Version == version && s.Live(now) })
}
