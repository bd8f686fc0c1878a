package caddymodule

import (
	"cmp"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// recordOutcome records what was found in the request's state, where headers and
// placeholders take it from, and reports it.
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
	case s.reason == judgment.Unavailable || s.reason == judgment.WidgetUnknown:
		s.outcome = s.reason.Outcome()
	default: // another user's conversation leaves the outcome as the claim's
		s.outcome = judgment.ReasonOf(x.claim).Outcome()
	}
	finding := traffic.FindingOf(s.outcome, s.reason)
	if finding == traffic.Verified {
		switch {
		case x.identity.ByToken():
			finding = traffic.VerifiedByToken
		case x.identity.BySession():
			finding = traffic.VerifiedBySession
		}
		s.proof = finding.Proof()
		x.recordUser()
	} else if x.session.ended {
		finding = finding.OfSession()
	}
	x.finding = finding
	// Mode off without a widget excludes a path or an error route: there is no chat to
	// count.
	if !x.h.widgetless() || x.h.Guard {
		x.counted = x.h.app.traffic.Count(cmp.Or(s.widget, x.unserved), finding, x.mode, x.plan.counted)
	}
	if len(x.stranger) > 0 && x.mode != widgets.ModeOff {
		x.h.app.traffic.AddUnknown(unknownid.Text(x.stranger))
	}
	x.observe()
	// The ids of a key set are its publisher's: any number, of any length.
	if version := x.identity.KeyID(); s.outcome == judgment.OutcomeVerified && version != "" && x.widget.kind() != widgets.KeySet {
		x.h.app.traffic.CountUse(x.counted, version, x.widget.retiring(version))
	}
}

func (x *exchange) recordUser() {
	s, said := x.s, x.reading.Unverified
	if s.user = x.identity.User(); x.identity.ByToken() {
		s.signed = profile{x.identity.Email(), x.identity.Name(), x.identity.Attributes()}
	}
	s.proved = proof{s.widget, cmp.Or(x.identity.Thumbprint(), x.identity.KeyID()), x.widget.inline != nil, x.identity.Expires()}
	// What the browser says counts only where the token says nothing.
	if s.signed.email == "" {
		s.said.email = string(said(verifier.Email))
	}
	if s.signed.name == "" {
		s.said.name = string(said(verifier.Name))
	}
	if s.signed.attributes == "" && len(said(verifier.Attributes))+len(said(verifier.Phone))+len(said(verifier.Company)) > 0 {
		s.said.attributes = string(x.plan.verifier.AppendAttributes(nil, &x.reading))
	}
}

// observe reports to metrics, the trace and the access log what was found. No text of
// a client's gets there but the id of a verified user: a widget's id is a known one.
func (x *exchange) observe() {
	if x.mode != widgets.ModeOff && !x.began.IsZero() {
		verificationSeconds.Observe(time.Since(x.began).Seconds())
	}
	ctx, s := x.r.Context(), x.s
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(
			attribute.String("chat_identity.outcome", string(s.outcome)), attribute.String("chat_identity.reason", string(s.reason)),
			attribute.String("chat_identity.widget", s.widget), attribute.String("chat_identity.dialect", s.dialect),
			attribute.Stringer("chat_identity.mode", s.mode), attribute.String("chat_identity.proof", s.proof),
		)
	}
	if extra := accessLogFields(x.r); extra != nil {
		extra.Add(zap.Object("chat_identity", s))
	}
}

// accessLogFields returns the fields that are added to the access log's line about a request,
// nil if there is no access log.
func accessLogFields(r *http.Request) *caddyhttp.ExtraLogFields {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil || server.Logs == nil {
		return nil
	}
	extra, _ := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	return extra
}

// MarshalLogObject implements [zapcore.ObjectMarshaler], for the access log.
func (s *state) MarshalLogObject(to zapcore.ObjectEncoder) error {
	to.AddString("outcome", string(s.outcome))
	to.AddString("reason", string(s.reason))
	to.AddString("widget", s.widget)
	to.AddString("user", s.user)
	return nil
}
