package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	maxGrace  = 366 * 24 * time.Hour
	maxSecret = 1024 // bytes of a stored secret
)

func (c *call) rotate() error {
	var asked struct {
		Grace    jsontext.Value `json:"grace"`
		EndGrace bool           `json:"end_grace"`
	}
	if err := c.read(&asked); err != nil {
		return err
	}
	if asked.EndGrace {
		if len(asked.Grace) > 0 {
			return adminError(http.StatusBadRequest, "end_grace creates no secret, so there is nothing for grace to do: send one of the two")
		}
		return c.endGrace()
	}
	var grace time.Duration
	if len(asked.Grace) > 0 {
		// An empty one comes from an unset variable of a script, and must not end the
		// secret that is in use.
		var text string
		err := jsonv2.Unmarshal(asked.Grace, &text)
		if err == nil {
			grace, err = caddy.ParseDuration(text)
		}
		if err != nil || grace <= 0 || grace > maxGrace {
			return adminError(http.StatusBadRequest, "grace must be a duration up to a year, such as 24h or 7d: "+
				"leave it out to end every earlier secret at once")
		}
	}
	if err := c.needKey(); err != nil {
		return err
	}
	secret := widgets.NewSecret()
	record, err := c.changeKnown(func(old *widgets.Record) (*widgets.Record, error) {
		if err := noSecret(old); err != nil {
			return nil, err
		}
		return old.Rotate(secret, grace, c.Ring(), time.Now())
	})
	if err != nil {
		return err
	}
	view := c.stored(record)
	view.Secret = secret.Reveal()
	return c.answer(http.StatusOK, view)
}

// endGrace ends every secret but the current one, which stays.
func (c *call) endGrace() error {
	c.action = "end-grace"
	ended := 0
	record, err := c.changeKnown(func(old *widgets.Record) (*widgets.Record, error) {
		if err := noSecret(old); err != nil {
			return nil, err
		}
		ended = len(c.stored(old).Secrets) - 1 // those that still verify
		return old.EndGrace()
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, adminapi.GraceEnded{Widget: *c.stored(record), Ended: ended})
}

func (c *call) reveal() error {
	record, failed := c.Store.Lookup(c.r.Context(), []byte(c.id))
	if record != nil {
		if err := noSecret(record); err != nil {
			return err
		}
	}
	if !c.AllowReveal {
		return adminError(http.StatusForbidden, "secrets are not shown again: rotate the widget to get a new one, or set allow_reveal "+
			"in the global chat_identity block")
	}
	if err := c.writable(c.id); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if record == nil {
		return c.unknown()
	}
	c.notes = []zap.Field{zap.String("version", record.Secrets[0].Version)}
	secret, err := c.Ring().Open(record.ID, &record.Secrets[0])
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}{c.id, secret.Reveal()})
}

// needKey makes sure that there is an encryption key.
func (c *call) needKey() error {
	err := c.EnsureRing()
	if err == nil || errors.Is(err, widgets.ErrNoKey) || errors.Is(err, widgets.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", widgets.ErrNoKey, err)
}

// secretOf checks a secret that the client chose.
func secretOf(text string) (verifier.Secret, error) {
	if len(text) > maxSecret {
		return verifier.Secret{}, adminError(http.StatusBadRequest, "the secret is longer than %d bytes", maxSecret)
	}
	if err := secrettext.CheckReplaced(text); err != nil {
		return verifier.Secret{}, adminError(http.StatusBadRequest, "%w: send the secret itself", err)
	}
	secret, err := verifier.NewSecret(text)
	if err != nil {
		return secret, adminError(http.StatusBadRequest, "the secret is shorter than %d bytes: leave it out to have one generated", verifier.MinSecret)
	}
	return secret, nil
}
