package admin

import (
	"net/http"

	"go.uber.org/zap"
)

// acceptLoss has the ledger that is there be this gateway's own from now on.
func (c *call) acceptLoss() error {
	if c.Ledger == nil {
		return adminError(http.StatusConflict, "no handler of the running configuration needs the ledger, so it is not known whether it was lost")
	}
	a, err := c.Ledger.Accept(c.r.Context())
	if err != nil {
		return err
	}
	if a.Accepted {
		c.Log.Warn("the loss of the ledger was accepted through the admin API: conversations and visitors that were taken are free to take",
			zap.String("lost", a.Lost), zap.String("ledger", a.Ledger), zap.String("remote_addr", c.r.RemoteAddr))
	}
	return c.answer(http.StatusOK, a)
}
