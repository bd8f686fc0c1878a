package caddymodule

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// confirming passes an answer on, and resolves what is pending before the client sees any
// of it: what a client was told must survive kill -9.
type confirming struct {
	*caddyhttp.ResponseWriterWrapper
	h        *Handler
	r        *http.Request
	pending  pending
	resolved bool
}

func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, s *state) *confirming {
	s.confirming = &confirming{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		h:                     h, r: r, pending: s.pending,
	}
	return s.confirming
}

// safeMethods change nothing (RFC 9110 section 9.2.1).
var safeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}

// WriteHeader implements [http.ResponseWriter].
func (c *confirming) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		c.resolve(status)
	}
	c.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (c *confirming) Write(p []byte) (int, error) {
	c.resolve(http.StatusOK)
	return c.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (c *confirming) ReadFrom(r io.Reader) (int64, error) {
	c.resolve(http.StatusOK)
	return c.ResponseWriterWrapper.ReadFrom(r)
}

// serve has the next handler answer, and resolves what is pending if it wrote nothing.
// After a panic, provisional entries expire.
func (c *confirming) serve(next caddyhttp.Handler) error {
	err := next.ServeHTTP(c, c.r)
	if err != nil {
		c.resolve(http.StatusInternalServerError)
	}
	c.resolve(http.StatusOK) // as net/http answers then
	return err
}

// resolve keeps or releases what is pending by the status of the answer. Only the first
// call counts.
func (c *confirming) resolve(status int) {
	if c.resolved {
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

var _ io.ReaderFrom = (*confirming)(nil)
