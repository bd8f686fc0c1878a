package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

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

// page returns up to limit widgets, sorted by id, that come after an id and begin
// with a prefix. If there are more, next is the last id. With an error, it returns
// the configuration's widgets.
func (g *Gateway) page(ctx context.Context, after, prefix string, limit int) (views []*adminapi.Widget, next string, err error) {
	after = max(after, widgets.BeforePrefix(prefix))
	records, err := g.Store.List(ctx, after, limit+1)
	if err != nil {
		records = nil
	}
	last := ""
	if len(records) > limit {
		last = records[limit].ID
	}
	views = make([]*adminapi.Widget, 0, len(records))
	for _, record := range records {
		if _, configured := g.Configured[record.ID]; !configured && strings.HasPrefix(record.ID, prefix) {
			views = append(views, g.stored(record))
		}
	}
	for id, configured := range g.Configured {
		// Those after the store's page must wait: stored ones may come before them.
		if id > after && strings.HasPrefix(id, prefix) && (last == "" || id < last) {
			views = append(views, g.inline(configured))
		}
	}
	slices.SortFunc(views, func(a, b *adminapi.Widget) int { return cmp.Compare(a.ID, b.ID) })
	// Each stored widget of the page is in views, or a configured one that hides it.
	if len(views) > limit || last != "" && strings.HasPrefix(last, prefix) {
		views = views[:limit]
		next = views[limit-1].ID
	}
	return views, next, err
}

// view returns a widget as the API shows it, or nil if it does not exist.
func (g *Gateway) view(ctx context.Context, id string) (*adminapi.Widget, error) {
	if configured, ok := g.Configured[id]; ok {
		return g.inline(configured), nil
	}
	record, err := g.Store.Lookup(ctx, []byte(id))
	if record == nil {
		return nil, err
	}
	return g.stored(record), nil
}

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
