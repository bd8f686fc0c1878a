package admin

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// acceptStoreLoss goes on with the widgets that the store has now.
func (c *call) acceptStoreLoss() error {
	accepted, err := c.acceptLostWidgets("through the admin API")
	if err != nil {
		return err
	}
	c.notes = []zap.Field{zap.Bool("accepted", accepted)}
	return c.answer(http.StatusOK, adminapi.Acceptance{Accepted: accepted})
}

func (c *call) acceptLostWidgets(how string) (bool, error) {
	accepted, err := c.Store.AcceptLoss(c.r.Context())
	if accepted {
		c.Log.Warn("the loss of the widgets was accepted " + how)
	}
	return accepted, err
}

// acceptLoss makes the current ledger the gateway's own.
func (c *call) acceptLoss() error {
	if c.Ledger == nil {
		return adminError(http.StatusConflict, "no handler of the running configuration uses the ledger, so it is not known whether it was lost")
	}
	a, err := c.Ledger.Accept(c.r.Context())
	if err != nil {
		return err
	}
	c.notes = []zap.Field{zap.Bool("accepted", a.Accepted), zap.String("ledger", a.Ledger), zap.String("lost", a.Lost)}
	if a.Accepted {
		c.Log.Warn("the loss of the ledger was accepted through the admin API: conversations and visitors that had been claimed can be claimed again",
			zap.String("lost", a.Lost), zap.String("ledger", a.Ledger), zap.Time("one_time_from", a.From))
	}
	return c.answer(http.StatusOK, a)
}
