package caddymodule

import (
	"errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// ruling is the result of a request's checks. [judgment.ReasonOf] maps its errors to
// reasons; an error of the store or the ledger means that something could not be checked.
type ruling struct {
	identity     verifier.Identity // whose request it is, if claim is nil
	claim        error             // why the claim is not verified; nil if it is
	conversation error             // why the request may not take part in its conversation
}

// cause returns why the request is not verified or not allowed, nil if it is.
func (v *ruling) cause() error {
	if v.conversation != nil {
		return v.conversation
	}
	return v.claim
}

// evaluate verifies the claim, and only then asks the ledger: a forged claim must not use
// up a signature, or take a conversation or visitor.
func (x *exchange) evaluate() {
	ctx, h := x.r.Context(), x.h
	x.verify()
	if h.asserts() && !x.refused() && !x.findSigner() {
		return
	}
	if x.claim == nil && h.OneTime && !x.identity.BySession() {
		x.spend()
	}
	if h.Conversation != nil && !x.refused() {
		x.s.pending.conversation, x.conversation = h.claimConversation(ctx, x.widget, &x.reading, &x.ruling)
		if x.conversation != nil && x.widget == nil && x.unknown != nil {
			x.conversation = x.unknown // the widget may be one that exists
		}
	}
	if h.Visitor != nil && x.cause() == nil {
		var err error
		if x.s.pending.visitor, err = h.claimVisitor(ctx, x.widget, &x.reading, &x.ruling); err != nil {
			h.log.notMerged(x, err)
		} else if x.s.pending.visitor != nil {
			x.s.mergeFrom = string(x.reading.Unverified(verifier.Visitor))
		}
	}
	if x.signer != nil && !x.refused() {
		x.assert()
	}
}

// spend uses the one-time claim up. One that was used before does not verify, also beside a
// session that does.
func (x *exchange) spend() {
	x.s.spent, x.claim = x.h.spend(x.r.Context(), x.widget, &x.identity)
	if x.session.verified && (errors.Is(x.claim, judgment.ErrReplayed) || errors.Is(x.claim, verifier.ErrExpired)) {
		x.claim = errSessionBeside
	}
}

// verify determines whose claim it is, or the first reason against it.
func (x *exchange) verify() {
	if x.claim = x.body.Err; x.claim != nil {
		return
	}
	identity, err := x.plan.verifier.VerifyFunc(&x.reading, x.currentKeys)
	if x.identity, x.claim = identity, x.unverifiable(err); x.reading.Has(verifier.SessionField) {
		x.verifySession()
	}
}

// unverifiable returns the reason for an error of the verifier's, which knows neither
// widgets nor stores.
func (x *exchange) unverifiable(err error) error {
	switch {
	case !errors.Is(err, verifier.ErrInvalid):
	case x.unknown != nil: // the secret that signed may be among the unavailable ones
		return x.unknown
	case x.widget == nil:
		return judgment.ErrWidgetUnknown
	}
	return err
}

// currentKeys returns the keys that the widget has now, after the body has arrived.
func (x *exchange) currentKeys() []*verifier.Key {
	if x.current {
		return x.keys
	}
	x.current = true
	if x.renew(); x.widget != nil {
		x.keys, x.unknown = x.h.app.keys(x.r.Context(), x.keys, x.widget, x.plan.policy.KeyEncoding, x.reading.KeyID())
	}
	return x.keys
}

// refused reports whether the request is refused rather than forwarded.
func (x *exchange) refused() bool {
	return x.cause() != nil && (x.mode == widgets.ModeRequired || x.refusedAlways())
}

// refusedAlways reports whether optional mode refuses the request as well.
func (x *exchange) refusedAlways() bool {
	return x.conversation != nil || errors.Is(x.claim, body.ErrNoRoom) || errors.Is(x.claim, errNoAssertion) || x.plan.answers[judgment.ReasonOf(x.claim)].always
}
