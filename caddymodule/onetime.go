package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// ledgerPatience is how long a request waits for the ledger.
const ledgerPatience = 5 * time.Second

// checkOneTime refuses one_time where a signature has no end: what was used
// would have to be remembered for ever.
func (h *Handler) checkOneTime() error {
	switch {
	case !h.OneTime:
		return nil
	case !h.plan.verifier.Signs(verifier.Timestamp):
		return ofOption("one_time", fmt.Errorf("one_time needs a signed timestamp, which the message %q does not have: the dialect snapengage has one, "+
			`or write a message such as "{user_id}:{timestamp}"`, h.plan.policy.Message.String()))
	}
	return nil
}

// forgetful is a ledger that can lose what it held, and knows since when it
// remembers. Whether an older token was used, nobody can tell.
type forgetful interface{ Since() time.Time }

var errForgotten = errors.New("the ledger has lost what it held when this was signed")

// rememberFor has what is used up be remembered for as long as a plan's claims
// are fresh: a token may be signed a skew ahead of this clock, and be shown to a
// gateway whose clock is a skew behind.
func (h *Handler) rememberFor(p *plan) {
	if h.OneTime && h.app != nil {
		h.app.remember(p.policy.MaxAge + 2*p.policy.Skew + time.Second)
	}
}

// remember has used tokens be remembered that long at least. One that a handler
// has accepted may be shown to another that takes it for fresh for longer.
func (a *App) remember(age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remembered = max(a.remembered, age)
}

// spend accepts a verified signature once. Only what is verified comes here: a
// stranger must not be able to use up a token with a forged signature.
func (x *exchange) spend() error {
	v, c := x.plan.verifier, &x.reading.Claim
	signed := v.Digest(c) // one for all spellings, and for all splits of the message
	var holder ledger.Holder
	_, _ = rand.Read(holder[:]) // never fails: it ends the process first
	until := time.Now().Add(x.h.app.remembered)
	ctx, cancel := context.WithTimeout(x.r.Context(), ledgerPatience)
	defer cancel()
	entry, err := x.h.ledger.Reserve(ctx, ledgerDigest(kindSignature, x.widget.id, signed[:]), holder, until, ledger.Share{})
	if err != nil {
		x.widgetErr = err
		return verifier.ErrUnavailable
	}
	if entry.Holder != holder {
		return verifier.ErrReplayed
	}
	// Asked after the reservation, which may be what has found it out. What a
	// clock ahead of ours has signed may have been used before its time.
	if l, ok := x.h.ledger.(forgetful); ok && v.SignedAt(c).Before(l.Since().Add(x.plan.policy.Skew)) {
		x.widgetErr = errForgotten
		return verifier.ErrUnavailable
	}
	return nil
}
