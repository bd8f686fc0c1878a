package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// stored returns a stored widget as the API shows it.
func (g *Gateway) stored(r *widgets.Record) *adminapi.Widget {
	v := &adminapi.Widget{
		ID: r.ID, Source: "stored", Mode: r.Mode, Effect: g.Effect(r), Dialect: r.Dialect, Created: r.Created, Rotated: r.Rotated,
	}
	now, ring := time.Now(), g.Ring()
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if s.Kind != widgets.Secrets {
			g.showPublic(v, r)
			break
		}
		if !s.Live(now) {
			continue
		}
		v.Secrets = append(v.Secrets, adminapi.Secret{Version: s.Version, KeyID: s.KeyID, Until: s.Until})
		if _, err := ring.Open(r.ID, s); err != nil && v.Unavailable == "" {
			v.Unavailable = g.unavailability(v.ID, err)
		}
	}
	g.addUses(v)
	return v
}

// inline returns a widget of the configuration as the API shows it.
func (g *Gateway) inline(configured *adminapi.Widget) *adminapi.Widget {
	v := *configured
	v.Secrets, v.PublicKeys = slices.Clone(v.Secrets), slices.Clone(v.PublicKeys)
	if v.JWKS != "" && g.KeySet != nil {
		v.Unavailable = g.KeySet(v.JWKS)
	}
	g.addUses(&v)
	return &v
}

// list answers with a page of all widgets by id, and a link to the next (RFC 8288).
func (c *call) list() error {
	limit, err := c.number("limit", 1000, 10_000)
	if err != nil {
		return err
	}
	views, next, err := c.page(c.r.Context(), c.query.Get("after"), "", limit)
	if err != nil {
		return err
	}
	if loss := c.Store.Loss(); loss != "" && len(views) == 0 && c.query.Get("after") == "" {
		return fmt.Errorf("%w: %s", widgets.ErrUnavailable, loss)
	} else if loss != "" {
		c.Header().Set(adminapi.LossHeader, loss)
	}
	if next != "" {
		c.Header().Set("Link", fmt.Sprintf("<%swidgets?limit=%d&after=%s>; rel=\"next\"", adminapi.Path, limit, url.QueryEscape(next)))
	}
	return c.answer(http.StatusOK, views)
}

func (c *call) create() error {
	var asked adminapi.Creation
	if err := c.read(&asked); err != nil {
		return err
	}
	if !widgets.ValidID(asked.ID) {
		return adminError(http.StatusBadRequest, "a widget needs an id: 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
	}
	if c.id = asked.ID; c.id == widgets.DefaultID {
		return adminError(http.StatusBadRequest, "the id '%s' is reserved for handlers' own secrets: choose another", widgets.DefaultID)
	}
	if err := checkPolicy(asked.Mode, asked.Dialect); err != nil {
		return err
	}
	if err := c.writable(c.id); err != nil {
		return fmt.Errorf("%w, or choose another id", err)
	}
	public, err := c.public(asked.Public)
	if err != nil {
		return err
	}
	secret := widgets.NewSecret()
	if asked.Secret != nil {
		if public != nil {
			return adminError(http.StatusBadRequest, "a widget has either a secret or public keys: send one of the two")
		}
		if secret, err = secretOf(*asked.Secret); err != nil {
			return err
		}
	}
	// What is stored now is lost when the right widgets are put back, or in their way. The
	// look-up waits until the store knows of a loss.
	if _, err := c.Store.Lookup(c.r.Context(), []byte(c.id)); err != nil {
		return err
	}
	if loss := c.Store.Loss(); loss != "" {
		return adminError(http.StatusConflict, "nothing was created: %s", loss)
	}
	if err := c.needKey(); err != nil {
		return err
	}
	record, err := c.change(asked.ID, func(old *widgets.Record) (*widgets.Record, error) {
		if old != nil {
			return nil, fmt.Errorf("%w: rotate %s for a new secret, or delete it first", widgets.ErrExists, asked.ID)
		}
		if public != nil {
			return widgets.NewPublicRecord(asked.ID, asked.Mode, asked.Dialect, *public, c.Ring(), time.Now())
		}
		return widgets.NewRecord(asked.ID, asked.Mode, asked.Dialect, secret, c.Ring(), time.Now())
	})
	if err != nil {
		return err
	}
	view := c.stored(record)
	if public != nil {
		view.Note = c.keySetNote(public.JWKS)
	} else {
		view.Secret = secret.Reveal()
	}
	if view.EffectiveMode == "" {
		view.Note = strings.TrimSpace(view.Note + " No request can use it. " + view.ModeWhy)
	}
	if asked.Secret != nil {
		if err := secrettext.Doubt(*asked.Secret); err != nil {
			view.Note = strings.TrimSpace("The secret is used as it is, but may not be what was meant: " + err.Error() + ". " + view.Note)
		}
	}
	if secrettext.Looks(view.ID) {
		view.Note = strings.TrimSpace("The id looks like a secret, and ids are public: if it is one, delete the widget and replace the secret. " + view.Note)
	}
	c.Header().Set("Location", adminapi.Path+"widgets/"+asked.ID)
	return c.answer(http.StatusCreated, view)
}

// change changes a record and returns the one that is then stored.
func (c *call) change(id string, do func(old *widgets.Record) (*widgets.Record, error)) (*widgets.Record, error) {
	var now *widgets.Record
	err := c.Store.Update(c.r.Context(), []string{id}, func(_ string, old *widgets.Record) (_ *widgets.Record, err error) {
		c.changes = nil
		if now, err = do(old); err == nil {
			c.changes = []change{{old, now}}
		}
		return now, err
	})
	if errors.Is(err, widgets.ErrUnwritable) {
		c.changes = nil
	}
	return now, err
}

// changeKnown changes the record of the call's widget, which must exist.
func (c *call) changeKnown(do func(old *widgets.Record) (*widgets.Record, error)) (*widgets.Record, error) {
	if err := c.writable(c.id); err != nil {
		return nil, err
	}
	record, err := c.change(c.id, func(old *widgets.Record) (*widgets.Record, error) {
		if old == nil {
			return nil, widgets.ErrNotFound
		}
		return do(old)
	})
	if errors.Is(err, widgets.ErrNotFound) {
		err = c.unknown()
	}
	return record, err
}

func (c *call) unknown() error {
	if loss := c.Store.Loss(); loss != "" {
		return fmt.Errorf("%w: %s", widgets.ErrUnavailable, loss)
	}
	if c.id == widgets.DefaultID {
		return adminError(http.StatusNotFound, "there is no widget with that id: '%s' is the widget of a handler that has a secret and no widget line, "+
			"which this configuration does not have. It cannot be created here", c.id)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), nearestTimeout)
	defer cancel()
	advice := "'caddy chat-identity list' has the ids, and 'create' adds one"
	if nearest := unknownid.Nearest(ctx, c.Store, maps.Keys(c.Configured), c.id); len(nearest) > 0 {
		advice = "did you mean " + strings.Join(nearest, " or ") + "?"
	}
	return fmt.Errorf("%w: %s", widgets.ErrNotFound, advice)
}

func (c *call) show() error {
	view, err := c.known()
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, view)
}

// known returns the call's widget, which must exist.
func (c *call) known() (*adminapi.Widget, error) {
	view, err := c.view(c.r.Context(), c.id)
	if view == nil && err == nil {
		err = c.unknown()
	}
	return view, err
}

func (c *call) set() error {
	var asked adminapi.Change
	if err := c.read(&asked); err != nil {
		return err
	}
	public, err := c.public(asked.Public)
	if err != nil {
		return err
	}
	if asked.Mode == nil && asked.Dialect == nil && public == nil {
		return adminError(http.StatusBadRequest, "nothing to change: send mode, dialect, public_keys or jwks")
	}
	if public != nil {
		if err := c.needKey(); err != nil {
			return err
		}
	}
	var before adminapi.Effect
	record, err := c.changeKnown(func(old *widgets.Record) (*widgets.Record, error) {
		before = c.Effect(old)
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
		next, err := old.WithPolicy(mode, dialect, time.Now())
		if err == nil && public != nil {
			next, err = c.withPublic(next, public)
		}
		return next, err
	})
	if err != nil {
		return err
	}
	view := c.stored(record)
	view.Note = effectNote(before, view, asked.Mode != nil)
	if public != nil {
		view.Note = strings.TrimSpace(c.keySetNote(public.JWKS) + " " + view.Note)
	}
	return c.answer(http.StatusOK, view)
}

// effectNote says what a change does to requests, in case it is not what the widget's own
// mode says.
func effectNote(before adminapi.Effect, now *adminapi.Widget, setsMode bool) string {
	switch {
	case now.EffectiveMode == "":
		return "The change is stored but applies to no request. " + now.ModeWhy
	case now.EffectiveMode != before.EffectiveMode && now.Differs:
		return fmt.Sprintf("Requests are now treated as %s, though not everywhere. %s", now.EffectiveMode, now.ModeWhy)
	case now.EffectiveMode != before.EffectiveMode:
		return fmt.Sprintf("Requests are now treated as %s. %s", now.EffectiveMode, now.ModeWhy)
	case setsMode && now.Mode != "" && now.Mode != now.EffectiveMode:
		return fmt.Sprintf("The mode %s is stored but changes nothing: requests stay %s. %s", now.Mode, now.EffectiveMode, now.ModeWhy)
	}
	return ""
}

// checkPolicy refuses unknown modes and dialects. Empty ones leave the choice to the
// handler.
func checkPolicy(mode, dialect string) error {
	if _, err := widgets.ParseMode(mode); err != nil {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	if _, err := verifier.LookupDialect(dialect); err != nil && dialect != "" {
		return adminError(http.StatusBadRequest, "%w", err)
	}
	return nil
}

func (c *call) delete() error {
	if _, err := c.changeKnown(func(*widgets.Record) (*widgets.Record, error) { return nil, nil }); err != nil {
		return err
	}
	c.Traffic.Forget(c.id)
	c.WriteHeader(http.StatusNoContent)
	return nil
}

// writable refuses a widget of the configuration.
func (c *call) writable(id string) error {
	own, configured := c.Configured[id]
	if !configured {
		return nil
	}
	place := "in the global chat_identity block"
	if own.Source == "handler" {
		place = "as the own widget of a handler"
	}
	return adminError(http.StatusConflict, "widget %s is defined in the configuration, %s: change it there, then reload", id, place)
}
