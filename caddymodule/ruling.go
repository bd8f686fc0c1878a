package caddymodule

import (
	"errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// ruling is what the checks of a request came to. Its errors stand for the reasons
// against it, see [verifier.ReasonOf]: what could not be checked is an error of who
// was asked.
type ruling struct {
	claim        error // why the claim is not verified; nil where it is
	conversation error // why it may not take part in the conversation that it names
}

// cause returns what the request is refused for, if it is.
func (v *ruling) cause() error {
	if v.conversation != nil {
		return v.conversation
	}
	return v.claim
}

// evaluate verifies the claim, and then checks what depends on what others did
// before: nothing is spent or taken by a claim that is not its owner's.
func (x *exchange) evaluate() {
	ctx, h, c := x.r.Context(), x.h, &x.reading.Claim
	x.claim = x.verify()
	if x.claim == nil && h.OneTime {
		x.s.spent, x.claim = h.spend(ctx, x.widget, x.plan.verifier, c)
	}
	if h.Conversation != nil && !x.refused() {
		x.s.pending.conversation, x.conversation = h.claimConversation(ctx, x.widget, c, x.claim)
	}
	if h.Visitor != nil && x.cause() == nil {
		var err error
		if x.s.pending.visitor, err = h.claimVisitor(ctx, x.widget, c); err != nil {
			h.log.notMerged(x, err)
		} else if x.s.pending.visitor != nil {
			x.s.mergeFrom = string(c[verifier.Visitor])
		}
	}
}

// verify returns nil for a verified claim, else the first reason against it.
func (x *exchange) verify() error {
	if x.body.Err != nil {
		return x.body.Err
	}
	if err := x.plan.verifier.Shape(&x.reading); err != nil {
		return err
	}
	if x.renew(); x.widget != nil {
		x.keys, x.unknown = x.h.widgets.keys(x.keys, x.widget)
	}
	err := x.plan.verifier.Verify(&x.reading.Claim, x.keys)
	if x.widget != nil && errors.Is(err, verifier.ErrWidgetUnknown) {
		err = verifier.ErrInvalid // a reload has left none of its secrets
	}
	if x.unknown != nil && (errors.Is(err, verifier.ErrWidgetUnknown) || errors.Is(err, verifier.ErrInvalid)) {
		return x.unknown // a secret that cannot be had may be the one that signed
	}
	return err
}

// refused reports whether the request is answered here.
func (x *exchange) refused() bool {
	return x.cause() != nil && (x.mode == widgets.ModeRequired || x.refusedAlways())
}

// refusedAlways reports whether optional mode refuses the request, too.
func (x *exchange) refusedAlways() bool {
	return x.conversation != nil || errors.Is(x.claim, body.ErrNoRoom) || x.plan.answers[verifier.ReasonOf(x.claim)].always
}
