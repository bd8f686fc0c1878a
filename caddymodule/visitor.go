package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// merge tells the upstream which anonymous visitor the verified user was, until
// the upstream has confirmed it. A visitor is merged into one user: the first
// to bring him along, unless the upstream refuses that.
func (x *exchange) merge() {
	visitor := x.reading.Unverified(verifier.Visitor)
	if len(visitor) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), ledgerPatience)
	defer cancel()
	user := []byte(x.identity.User())
	hold := &holding{
		key:    ledgerDigest(kindVisitor, x.widget.id, x.reading.AppendID(nil, verifier.Visitor)),
		holder: ledgerDigest(kindUser, x.widget.id, user), keep: defaultKeep,
		share: ledger.Share{Owner: ledgerDigest(kindVisitors, x.widget.id, user), Limit: defaultLimit},
	}
	now := time.Now()
	entry, err := x.h.ledger.Reserve(ctx, hold.key, hold.holder, now.Add(provisional), hold.share)
	switch {
	case errors.Is(err, ledger.ErrShare):
		x.h.log.notMerged(x, "the user has brought along as many visitors as may be", nil)
	case err != nil:
		// It is delivered at least once, and so with a later request.
		x.h.log.notMerged(x, "the ledger cannot tell whether this visitor was merged before", err)
	case entry.Holder != hold.holder:
		x.h.log.notMerged(x, "a visitor whom another user has brought along is not merged", nil)
	case entry.Until.After(now.Add(provisional + time.Minute)):
		// confirmed before
	default:
		hold.until = entry.Until
		x.s.pending.visitor = hold
		x.s.mergeFrom = string(visitor)
	}
}
