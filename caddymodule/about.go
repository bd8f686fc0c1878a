package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
)

// maxLogged is how many bytes of a host or path are logged.
const maxLogged = 256

// about says which request a line is about: by its id, and by host, method, path and
// client as the access log has them. The path is without its query, which may have a
// claim, and neither it nor the host has what looks like a secret: it may name the widget.
func about(r *http.Request) zap.Field { return zap.Inline(aboutRequest{r}) }

type aboutRequest struct{ *http.Request }

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (r aboutRequest) MarshalLogObject(to zapcore.ObjectEncoder) error {
	sent := r.Request
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		sent = &original // before rewrites
	}
	to.AddString("request_id", requestID(r.Request))
	to.AddString("host", unknownid.Parts(r.Host, ".:", maxLogged, "[]"))
	to.AddString("method", unknownid.Escape(r.Method, 32, ""))
	to.AddString("path", unknownid.Parts(sent.URL.EscapedPath(), "/", maxLogged, "%:@!$&()*+,;="))
	if client := clientAddress(r.Request); client.IsValid() {
		to.AddString("client_ip", client.String())
	}
	return nil
}

// requestID is the request's id, {http.request.uuid}. It adds it to the access log's line
// about the request by the name that this module's lines have.
func requestID(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	if extra := accessLogFields(r); extra != nil {
		extra.Set(zap.String("request_id", id))
	}
	return id
}
