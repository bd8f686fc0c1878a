package main

import "net/http"

// callsWidget is the widget of the one route that accepts each signature once.
const callsWidget = "calls"

// call answers POST /calls, a request to be called back. Those who come by
// another route have shown what can be shown again, so the widget counts as
// much as the user.
func (b *backend) call(w http.ResponseWriter, r *http.Request) {
	id, err := readIdentity(r.Header)
	if err != nil {
		problem(w, http.StatusBadRequest, "bad_identity", err.Error())
		return
	}
	if !id.verified() || id.Widget != callsWidget {
		problem(w, http.StatusForbidden, "not_here", "a call is requested at /calls, with a signature of its own")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	c := b.store.upsert(id, 0, 1)
	writeJSON(w, http.StatusOK, map[string]any{
		"received": received{identity: id, Headers: identityHeaders(r.Header), Contact: &c, Body: string(body)},
	})
}
