package main

import (
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

// callsWidget is the widget of the route that accepts each signature once.
const callsWidget = "calls"

// call answers POST /calls, a request to be called back. A signature that came by
// another route could be replayed, so the widget is checked as well as the user.
func (b *backend) call(w http.ResponseWriter, r *http.Request, id identity) {
	if !id.verified() || id.Widget != callsWidget {
		problem(w, http.StatusForbidden, "not_here", "request a call at /calls, with a one-time signature")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	c := b.store.upsert(id, 0, 1)
	demo.WriteJSON(w, http.StatusOK, map[string]any{
		"received": received{identity: id, Headers: identityHeaders(r.Header), Contact: &c, Body: string(body)},
	})
}
