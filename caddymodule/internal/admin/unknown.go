package admin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// nearestTimeout is how long an overview waits for the ids that may have been meant.
const nearestTimeout = 2 * time.Second

// one adds to an overview a widget, or, if it does not exist, those that may be meant.
func (c *call) one(v *adminapi.Overview, id string) error {
	view, err := c.view(c.r.Context(), id)
	if view != nil {
		v.Widgets = append(v.Widgets, adminapi.Row{Widget: *view, Windows: c.Traffic.Of(id)})
	} else if err == nil {
		ctx, cancel := context.WithTimeout(c.r.Context(), nearestTimeout)
		defer cancel()
		v.Nearest = unknownid.Nearest(ctx, c.Store, maps.Keys(c.Configured), id)
	}
	return err
}

// unknownWidgets returns the ids that requests named and that no widget has, without those
// that were created meanwhile.
func (c *call) unknownWidgets() []adminapi.UnknownWidget {
	ctx, cancel := context.WithTimeout(c.r.Context(), nearestTimeout)
	defer cancel()
	inline := maps.Clone(c.Configured)
	maps.DeleteFunc(inline, func(_ string, w *adminapi.Widget) bool { return w.Source != "inline" }) // requests name no other
	all := []adminapi.UnknownWidget{}
	for _, named := range c.Traffic.UnknownWidgets() {
		if found, _ := c.view(ctx, named.ID); found == nil || found.Source == "handler" {
			nearest := unknownid.Nearest(ctx, c.Store, maps.Keys(inline), named.ID)
			all = append(all, adminapi.UnknownWidget{ID: named.ID, Requests: named.Requests, Last: named.Last, Nearest: nearest})
		}
	}
	return all
}

// unknown is the error for a widget that does not exist.
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
