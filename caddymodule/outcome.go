package caddymodule

import (
	"cmp"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// recordOutcome writes down what was found, for the upstream and the placeholders,
// and for whoever observes the gateway.
func (x *exchange) recordOutcome() {
	s := x.s
	s.mode, s.dialect = x.mode, x.plan.dialect
	if x.widget != nil {
		s.widget = x.widget.id
	}
	s.reason = judgment.ReasonOf(x.cause())
	switch {
	case x.cause() == nil && x.mode == widgets.ModeOff:
		s.outcome = judgment.OutcomeDisabled
	case s.reason == judgment.Unavailable:
		s.outcome = judgment.OutcomeUnavailable
	default: // a conversation of somebody else's leaves that of the claim
		s.outcome = judgment.ReasonOf(x.claim).Outcome()
	}
	if x.cause() == nil && x.mode != widgets.ModeOff {
		x.recordUser()
	}
	// Where no widget can be meant, there is no chat to count: an error route or a path
	// is left out by mode off.
	if !x.h.widgetless() || x.h.Guard {
		finding := traffic.FindingOf(s.outcome, s.reason)
		x.counted = x.h.app.traffic.Count(cmp.Or(s.widget, x.unserved), finding, x.mode, x.plan.counted)
	}
	x.observe()
}

func (x *exchange) recordUser() {
	s, said := x.s, x.reading.Unverified
	s.user, s.email, s.name = x.identity.User(), string(said(verifier.Email)), string(said(verifier.Name))
	if len(said(verifier.Attributes))+len(said(verifier.Phone))+len(said(verifier.Company)) > 0 {
		s.attributes = string(x.plan.verifier.AppendAttributes(nil, &x.reading))
	}
}

// The attributes of spans. None is of a client's words: a widget's id is one
// that is known here.
const (
	attributeOutcome = attribute.Key("chat_identity.outcome")
	attributeReason  = attribute.Key("chat_identity.reason")
	attributeWidget  = attribute.Key("chat_identity.widget")
	attributeDialect = attribute.Key("chat_identity.dialect")
	attributeMode    = attribute.Key("chat_identity.mode")
)

// observe tells metrics, the trace and the access log what was found.
func (x *exchange) observe() {
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
