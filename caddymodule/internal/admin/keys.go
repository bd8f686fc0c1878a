package admin

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// keys answers with the gateway's own signing keys.
func (c *call) keys() error {
	keys, err := c.SigningKeys(c.r.Context())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, adminapi.SigningKeys{Keys: keys})
}

// rotateKeys publishes a next signing key, unless there is one.
func (c *call) rotateKeys() error {
	replace, err := c.flag("replace")
	if err != nil {
		return err
	}
	done, err := c.RotateSigningKeys(c.r.Context(), replace)
	if err != nil {
		return err
	}
	c.notes = []zap.Field{zap.Bool("changed", *done.Changed), zap.String("newest", done.Keys[0].ID)}
	if done.Replaced != "" {
		c.notes = append(c.notes, zap.String("replaced_by", done.Replaced))
	}
	return c.answer(http.StatusOK, done)
}
