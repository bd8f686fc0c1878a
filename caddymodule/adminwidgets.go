package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// maxGrace is the longest grace: a secret that is to live longer was not rotated.
const maxGrace = 366 * 24 * time.Hour

func (a *App) viewStored(r *widgets.Record) *adminapi.Widget {
	v := &adminapi.Widget{
		ID: r.ID, Source: "stored", Mode: r.Mode, Dialect: r.Dialect, Created: r.Created, Rotated: r.Rotated,
	}
	now, ring := time.Now(), a.ring.Load()
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if !s.Live(now) {
			continue
		}
		v.Secrets = append(v.Secrets, adminapi.Secret{Version: s.Version, KeyID: s.KeyID, Until: s.Until})
		if _, err := ring.Open(r.ID, s); err != nil && v.Unavailable == "" {
			v.Unavailable = a.unavailability(err)
		}
	}
	return v
}

// viewDeclared shows a widget of the configuration.
func (a *App) viewDeclared(w *widget) *adminapi.Widget {
	if a.inline[w.id] != nil {
		return &adminapi.Widget{ID: w.id, Source: "inline", Mode: w.mode.String(), Dialect: w.dialect}
	}
	own := a.owners[w.id] // nothing else says how it is treated
	return &adminapi.Widget{ID: w.id, Source: "handler", Mode: own.mode.String(), Dialect: own.dialect}
}

// declaration returns the widget of that id that the configuration has.
func (a *App) declaration(id string) *widget {
	if w := a.inline[id]; w != nil {
		return w
	}
	if own := a.owners[id]; own != nil {
		return own.w
	}
	return nil
}

// list answers a page of all widgets by id, and where the next one is (RFC 8288).
func (c *adminCall) list() error {
	query := c.r.URL.Query()
	after, limit := query.Get("after"), 1000
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return adminError(http.StatusBadRequest, "limit is a number from 1 to 10000")
		}
		limit = n
	}
	views, next, err := c.page(c.r.Context(), after, "", limit)
	if err != nil {
		return err
	}
	if next != "" {
		c.w.Header().Set("Link", fmt.Sprintf("<%swidgets?limit=%d&after=%s>; rel=\"next\"", adminapi.Path, limit, url.QueryEscape(next)))
	}
	return c.answer(http.StatusOK, views)
}

func (c *adminCall) create() error {
	var asked adminapi.Creation
	if err := c.read(&asked); err != nil {
		return err
	}
	if !widgets.ValidID(asked.ID) {
		return adminError(http.StatusBadRequest, "a widget needs an id: 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
	}
	if asked.ID == defaultWidget {
		return adminError(http.StatusBadRequest, "the id '%s' is reserved for handlers' own secrets: choose another", defaultWidget)
	}
	if err := checkPolicy(asked.Mode, asked.Dialect); err != nil {
		return err
	}
	if err := c.writable(asked.ID); err != nil {
		return err
	}
	secret := widgets.NewSecret()
	if asked.Secret != nil {
		var err error
		if secret, err = secretOf(*asked.Secret); err != nil {
			return err
		}
	}
	if err := c.ensureRing(); err != nil {
		return fmt.Errorf("%w: %w", widgets.ErrNoKey, err)
	}
	made, err := c.change(asked.ID, func(old *widgets.Record) (*widgets.Record, error) {
		if old != nil {
			return nil, fmt.Errorf("%w: rotate %s for a new secret, or delete it first", widgets.ErrExists, asked.ID)
		}
		return widgets.NewRecord(asked.ID, asked.Mode, asked.Dialect, secret, c.ring.Load(), time.Now())
	})
	if err != nil {
		return err
	}
	view := c.viewStored(made)
	view.Secret = secret.Reveal()
	c.w.Header().Set("Location", adminapi.Path+"widgets/"+asked.ID)
	return c.answer(http.StatusCreated, view)
}

// change changes one record and returns what is stored then.
func (c *adminCall) change(id string, change func(old *widgets.Record) (*widgets.Record, error)) (made *widgets.Record, err error) {
	err = c.store.Update(c.r.Context(), []string{id}, func(_ string, old *widgets.Record) (*widgets.Record, error) {
		made, err = change(old)
		return made, err
	})
	return made, err
}

// changeKnown changes the record of the call's widget, which must be there.
func (c *adminCall) changeKnown(change func(old *widgets.Record) (*widgets.Record, error)) (*widgets.Record, error) {
	if err := c.writable(c.id); err != nil {
		return nil, err
	}
	return c.change(c.id, func(old *widgets.Record) (*widgets.Record, error) {
		if old == nil {
			return nil, c.unknown()
		}
		return change(old)
	})
}

func (c *adminCall) unknown() error {
	return fmt.Errorf("%w: 'caddy chat-identity create %s' makes it", widgets.ErrNotFound, c.id)
}

func (c *adminCall) show() error {
	view, err := c.view(c.r.Context(), c.id)
	if err != nil {
		return err
	}
	if view == nil {
		return c.unknown()
	}
	return c.answer(http.StatusOK, view)
}

func (c *adminCall) set() error {
	var asked adminapi.Change
	if err := c.read(&asked); err != nil {
		return err
	}
	if asked.Mode == nil && asked.Dialect == nil {
		return adminError(http.StatusBadRequest, "nothing to change: give mode, dialect or both")
	}
	made, err := c.changeKnown(func(old *widgets.Record) (*widgets.Record, error) {
		mode, dialect := old.Mode, old.Dialect
		if asked.Mode != nil {
			mode = *asked.Mode
		}
		if asked.Dialect != nil {
			dialect = *asked.Dialect
		}
		if err := checkPolicy(mode, dialect); err != nil {
			return nil, err
		}
		return old.WithPolicy(mode, dialect, time.Now())
	})
	if err != nil {
		return err
	}
	observed.ForgetMode(c.id)
	return c.answer(http.StatusOK, c.viewStored(made))
}

// checkPolicy refuses a mode or a dialect that there is not. Empty ones leave
// it to the handler.
func checkPolicy(mode, dialect string) error {
	if err := adminapi.CheckMode(mode); err != nil && mode != "" {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	if err := adminapi.CheckDialect(dialect); err != nil && dialect != "" {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	return nil
}

func (c *adminCall) delete() error {
	if _, err := c.changeKnown(func(*widgets.Record) (*widgets.Record, error) { return nil, nil }); err != nil {
		return err
	}
	observed.Forget(c.id)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *adminCall) rotate() error {
	var asked struct {
		Grace jsontext.Value `json:"grace"`
	}
	if err := c.read(&asked); err != nil {
		return err
	}
	var grace time.Duration
	if len(asked.Grace) > 0 {
		// An empty one is a script's unset variable, and must not end the secret
		// that is in use.
		var text string
		err := jsonv2.Unmarshal(asked.Grace, &text)
		if err == nil {
			grace, err = caddy.ParseDuration(text)
		}
		if err != nil || grace <= 0 || grace > maxGrace {
			return adminError(http.StatusBadRequest, "grace is a duration up to a year, such as 24h or 7d: "+
				"leave it out to end every earlier secret at once")
		}
	}
	if err := c.ensureRing(); err != nil {
		return fmt.Errorf("%w: %w", widgets.ErrNoKey, err)
	}
	secret := widgets.NewSecret()
	made, err := c.changeKnown(func(old *widgets.Record) (*widgets.Record, error) {
		return old.Rotate(secret, grace, c.ring.Load(), time.Now())
	})
	if err != nil {
		return err
	}
	view := c.viewStored(made)
	view.Secret = secret.Reveal()
	return c.answer(http.StatusOK, view)
}

func (c *adminCall) reveal() error {
	if !c.AllowReveal {
		return adminError(http.StatusForbidden, "secrets are not shown again: rotate the widget for a new one, or write allow_reveal "+
			"into the global chat_identity block")
	}
	if err := c.writable(c.id); err != nil {
		return err
	}
	record, err := c.store.Lookup(c.r.Context(), []byte(c.id))
	if err != nil {
		return err
	}
	if record == nil {
		return c.unknown()
	}
	secret, err := c.ring.Load().Open(record.ID, &record.Secrets[0])
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}{c.id, secret.Reveal()})
}
