package main

import (
	"io"
	"net/http"

	"golang.org/x/net/websocket"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

// callsWidget is the widget of the route that accepts each signature once.
const callsWidget = "calls"

// inCall is a handler for users of that widget. A signature that came by another route could
// be replayed, so the widget is checked as well as the user.
func (b *backend) inCall(handle func(http.ResponseWriter, *http.Request, identity)) http.HandlerFunc {
	return b.identified(func(w http.ResponseWriter, r *http.Request, id identity) {
		if !id.verified() || id.Widget != callsWidget {
			problem(w, http.StatusForbidden, "not_here", "request a call at /calls, with a one-time signature or the session for it")
			return
		}
		handle(w, r, id)
	})
}

// live answers GET /calls/live, a WebSocket. Its URL had a session, which the gateway has
// read and removed.
func (b *backend) live(w http.ResponseWriter, r *http.Request, id identity) {
	websocket.Server{Handler: func(ws *websocket.Conn) {
		if websocket.Message.Send(ws, "On the line: "+id.User) == nil {
			_, _ = io.Copy(ws, ws)
		}
	}}.ServeHTTP(w, r)
}

// call answers POST /calls, a request to be called back.
func (b *backend) call(w http.ResponseWriter, r *http.Request, id identity) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	c := b.store.upsert(id, 0, 1)
	demo.WriteJSON(w, http.StatusOK, map[string]any{
		"received": received{identity: id, Headers: identityHeaders(r.Header), Contact: &c, Body: string(body)},
	})
}
