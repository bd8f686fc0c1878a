package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// errVisitorTaken refuses a visitor whom another user has brought along.
var errVisitorTaken = errors.New("the visitor is another user's")

// claimVisitor returns the anonymous visitor whom the verified user was, where the
// upstream is to be told of him: until it has confirmed that. A visitor is merged into
// one user: the first to bring him along, unless the upstream refuses that.
func (h *Handler) claimVisitor(ctx context.Context, w *widget, c *verifier.Claim) (*holding, error) {
	visitor := c[verifier.Visitor]
	if len(visitor) == 0 {
		return nil, nil
	}
	hold := newHolding(kindVisitor, w, visitor, c[verifier.UserID], defaultLimit, defaultKeep)
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	now := time.Now()
	entry, err := h.ledger.Reserve(ctx, hold.key, hold.holder, now.Add(provisional), hold.share)
	switch {
	case err != nil: // it is delivered at least once, and so with a later request
		return nil, err
	case entry.Holder != hold.holder:
		return nil, errVisitorTaken
	case entry.Until.After(now.Add(provisional + time.Minute)):
		return nil, nil // confirmed before
	}
	hold.until = entry.Until
	return hold, nil
}
