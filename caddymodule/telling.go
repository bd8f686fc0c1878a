package caddymodule

import (
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// The attributes of spans. None is of a client's words: a widget's id is one
// that is known here.
const (
	attributeOutcome = attribute.Key("chat_identity.outcome")
	attributeReason  = attribute.Key("chat_identity.reason")
	attributeWidget  = attribute.Key("chat_identity.widget")
	attributeDialect = attribute.Key("chat_identity.dialect")
	attributeMode    = attribute.Key("chat_identity.mode")
)

// tell tells metrics, the trace and the access log what was found.
func (x *exchange) tell() {
	if x.mode != widgets.ModeOff && !x.began.IsZero() {
		verificationSeconds.Observe(time.Since(x.began).Seconds())
	}
	ctx, s := x.r.Context(), x.s
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(
			attributeOutcome.String(string(s.outcome)), attributeReason.String(string(s.reason)), attributeWidget.String(s.widget),
			attributeDialect.String(s.dialect), attributeMode.String(s.mode.String()),
		)
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil || server.Logs == nil {
		return // nobody writes an access log
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.Object("chat_identity", s))
	}
}

// MarshalLogObject implements [zapcore.ObjectMarshaler], for the access log.
func (s *state) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("outcome", string(s.outcome))
	to.AddString("reason", string(s.reason))
	to.AddString("widget", s.widget)
	to.AddString("user", s.user)
	return nil
}

var _ zapcore.ObjectMarshaler = (*state)(nil)
