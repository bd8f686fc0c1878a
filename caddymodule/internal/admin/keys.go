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
	keys, rotated, err := c.RotateSigningKeys(c.r.Context())
	if err != nil {
		return err
	}
	c.notes = []zap.Field{zap.Bool("changed", rotated), zap.String("newest", keys[0].ID)}
	return c.answer(http.StatusOK, adminapi.SigningKeys{Keys: keys, Changed: &rotated})
}
