package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// ledgerTimeout is how long a request waits for the ledger.
const ledgerTimeout = 5 * time.Second

// checkOneTime refuses one_time if signatures never expire: used ones would have to be
// remembered forever.
func (h *Handler) checkOneTime(d *verifier.Dialect) error {
	if !h.OneTime || acceptedOnce(d) {
		return nil
	}
	if d.TakesToken() && d.Proof != "signature" && d.Token.NoExpiry {
		return ofOption("one_time", errors.New("one_time needs tokens that expire, or used ones would have to be remembered forever: remove no_expiry, "+
			"or choose a dialect whose tokens have an exp"))
	}
	if d.TakesToken() && d.Proof != "signature" {
		return ofOption("one_time", fmt.Errorf("one_time needs a signed timestamp, which the message %q does not have: add 'proof token', "+
			`or write a message such as "{user_id}:{timestamp}"`, d.Message))
	}
	return ofOption("one_time", fmt.Errorf("one_time needs a signed timestamp, which the message %q does not have: the dialect snapengage has one, "+
		`or write a message such as "{user_id}:{timestamp}"`, d.Message))
}

// acceptedOnce reports whether every claim of a dialect ends, so that a used one need not be
// remembered forever: a signature by its timestamp, a token by its exp.
func acceptedOnce(d *verifier.Dialect) bool {
	signatures := d.Proof == "token" || d.Message == "" || strings.Contains(d.Message, "{timestamp}")
	return signatures && (d.Proof == "signature" || !d.Token.NoExpiry)
}

// rememberFor has used signatures remembered for as long as a plan's claims are fresh.
func (h *Handler) rememberFor(p *plan) {
	if h.OneTime && h.app != nil && !p.cutOnly {
		longest := p.policy.MaxAge
		if p.policy.Proof != "signature" && p.policy.TakesToken() {
			longest = max(longest, p.policy.Token.MaxLifetime)
		}
		h.app.serve(ledger.Window{MaxAge: longest, Skew: p.policy.Skew})
	}
}

// serve widens the ledger's window. A signature that one handler has accepted may be sent
// to another that accepts older ones.
func (a *App) serve(w ledger.Window) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.window = ledger.Window{MaxAge: max(a.window.MaxAge, w.MaxAge), Skew: max(a.window.Skew, w.Skew)}
}

// spend accepts a signature once. The claim must be verified, or a stranger could use up
// other users' signatures.
func (h *Handler) spend(ctx context.Context, w *widget, of *verifier.Identity) (*holding, error) {
	digest := of.Digest() // the same for all spellings, and for all splits of the message
	hold := &holding{key: ledgerDigest(kindSignature, w.id, digest[:])}
	_, _ = rand.Read(hold.holder[:]) // never fails: it ends the process first
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	signed := ledger.Signed{At: of.SignedAt(), Expires: of.Expires()}
	entry, err := h.ledger.Spend(ctx, hold.key, hold.holder, signed, h.app.window)
	switch {
	case errors.Is(err, ledger.ErrTooOld):
		return nil, fmt.Errorf("%w: %w", verifier.ErrExpired, err)
	case err != nil:
		return nil, err
	case entry.Holder != hold.holder:
		return nil, judgment.ErrReplayed
	}
	hold.until = entry.Until
	return hold, nil
}
