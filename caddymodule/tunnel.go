package caddymodule

import (
	"net/http"
)

// errTunnel refuses a CONNECT: nothing of its traffic could be verified.
var errTunnel = unreadable("", "of a CONNECT request is a tunnel, which cannot be verified")

// refuseTunnel refuses a tunnel in every mode. It always answers itself, even with
// refuse error: an error route may proxy.
func (h *Handler) refuseTunnel(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	x.mode = h.modeFor(nil)
	x.settle(errTunnel, nil)
	if r.ProtoMajor == 1 {
		// Whatever follows on this connection must not be parsed as a request.
		w.Header().Set("Connection", "close")
	}
	return h.refuse(w, x, errTunnel)
}
