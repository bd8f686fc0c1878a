package caddymodule

import (
	"net/http"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// errTunnel refuses a CONNECT: nothing of its traffic could be verified.
var errTunnel error = &verifier.BodyError{Detail: "of a CONNECT request is a tunnel, which cannot be verified"}

// isTunnel reports whether the request is a CONNECT (RFC 9110 section 9.3.6),
// unless an extended one (RFC 8441, RFC 9220) that opens a WebSocket. Caddy
// forwards the stream of any other CONNECT as raw bytes on a keep-alive connection,
// and the upstream would parse them as its next request, one that no gateway has
// checked. The comparison ignores case because some servers do.
func isTunnel(r *http.Request) bool {
	if !strings.EqualFold(r.Method, http.MethodConnect) {
		return false
	}
	protocol := r.Proto // so HTTP/3
	if r.ProtoMajor == 2 {
		protocol = r.Header.Get(":protocol")
	}
	return r.Method != http.MethodConnect || r.ProtoMajor < 2 || protocol != "websocket"
}

// refuseTunnel refuses a tunnel in every mode. It always answers itself, even with
// refuse error: an error route may proxy.
func (h *Handler) refuseTunnel(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	x.mode = h.Mode.with(nil)
	x.settle(errTunnel, nil)
	if r.ProtoMajor == 1 {
		// Whatever follows on this connection must not be parsed as a request.
		w.Header().Set("Connection", "close")
	}
	return h.refuse(w, x, errTunnel)
}
