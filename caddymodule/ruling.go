package caddymodule

import (
	"errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// ruling is what the checks of a request came to. Its errors stand for the reasons
// against it, see [judgment.ReasonOf]: what could not be checked is an error of who
// was asked.
type ruling struct {
	identity     verifier.Identity // whose the request is, where its claim is verified
	claim        error             // why the claim is not verified; nil where it is
	conversation error             // why it may not take part in the conversation that it names
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
	ctx, h := x.r.Context(), x.h
	x.verify()
	if x.claim == nil && h.OneTime {
		x.s.spent, x.claim = h.spend(ctx, x.widget, &x.identity)
	}
	if h.Conversation != nil && !x.refused() {
		x.s.pending.conversation, x.conversation = h.claimConversation(ctx, x.widget, &x.reading, &x.ruling)
	}
	if h.Visitor != nil && x.cause() == nil {
		var err error
		if x.s.pending.visitor, err = h.claimVisitor(ctx, x.widget, &x.reading, &x.ruling); err != nil {
			h.log.notMerged(x, err)
		} else if x.s.pending.visitor != nil {
			x.s.mergeFrom = string(x.reading.Unverified(verifier.Visitor))
		}
	}
}

// verify finds whose claim it is, or the first reason against it.
func (x *exchange) verify() {
	if x.claim = x.body.Err; x.claim != nil {
		return
	}
	x.identity, x.claim = x.plan.verifier.VerifyFunc(&x.reading, x.currentKeys)
	switch {
	case !errors.Is(x.claim, verifier.ErrInvalid):
	case x.unknown != nil: // a secret that cannot be had may be the one that signed
		x.claim = x.unknown
	case x.widget == nil:
		x.claim = judgment.ErrWidgetUnknown
	}
}

// currentKeys returns the keys that the widget has now.
func (x *exchange) currentKeys() []*verifier.Key {
	if x.renew(); x.widget != nil {
		x.keys, x.unknown = x.h.app.keys(x.keys, x.widget)
	}
	return x.keys
}

// refused reports whether the request is answered here.
func (x *exchange) refused() bool {
	return x.cause() != nil && (x.mode == widgets.ModeRequired || x.refusedAlways())
}

// refusedAlways reports whether optional mode refuses the request, too.
func (x *exchange) refusedAlways() bool {
	return x.conversation != nil || errors.Is(x.claim, body.ErrNoRoom) || x.plan.answers[judgment.ReasonOf(x.claim)].always
}
