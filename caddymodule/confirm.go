package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// confirming resolves what is pending by the status of the answer.
type confirming struct {
	h        *Handler
	r        *http.Request
	pending  pending
	resolved bool
}

// safeMethods change nothing (RFC 9110 section 9.2.1).
var safeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}

// resolve keeps or releases what is pending by the status of the answer. Only the first
// call counts.
func (c *confirming) resolve(status int) {
	if c.resolved || c.pending == (pending{}) {
		return
	}
	c.resolved = true
	upgraded := status == http.StatusSwitchingProtocols
	accepted := status < 300 || upgraded
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), ledgerTimeout)
	defer cancel()
	if hold := c.pending.conversation; hold != nil {
		if accepted {
			c.keep(ctx, hold, "conversation")
		} else {
			c.release(ctx, hold)
		}
	}
	if hold := c.pending.visitor; hold != nil {
		switch {
		case accepted && (upgraded || !slices.Contains(safeMethods, c.r.Method)):
			c.keep(ctx, hold, "visitor")
		case status >= 400 && status < 500:
			c.release(ctx, hold) // refused; after a 5xx the client tries again
		}
	}
}

// keep confirms an entry. One that has expired meanwhile is created again, unless
// somebody else has claimed its key.
func (c *confirming) keep(ctx context.Context, hold *holding, what string) {
	until := time.Now().Add(hold.keep)
	entry, err := c.h.ledger.Keep(ctx, hold.key, hold.holder, until)
	if err == nil && entry.Holder == (ledger.Holder{}) {
		entry, err = c.h.ledger.Reserve(ctx, hold.key, hold.holder, until, hold.share)
	}
	if err != nil || entry.Holder != hold.holder {
		c.h.log.warn("the upstream has accepted a "+what+" that the ledger could not keep: another user may claim it", about(c.r), zap.Error(err))
	}
}

// release frees what the upstream has not accepted, so that nobody holds what no backend
// knows. An entry that was confirmed earlier stays.
func (c *confirming) release(ctx context.Context, hold *holding) {
	if hold.until.After(time.Now().Add(provisional + time.Minute)) {
		return
	}
	if err := c.h.ledger.Release(ctx, hold.key, hold.holder, hold.until); err != nil {
		c.h.log.zap.Debug("what the upstream did not accept could not be released, and expires by itself", zap.Error(err))
	}
}
