package admin

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// The limits of an overview.
const (
	maxRows     = 200
	defaultRows = 50
)

// nearestTimeout is how long an overview waits for the ids that may have been meant.
const nearestTimeout = 2 * time.Second

func reachOf(err error) adminapi.Reach {
	if err != nil {
		return adminapi.Reach{Error: Plain(err)}
	}
	return adminapi.Reach{Reachable: true}
}

// overview answers with the gateway's state and a page of widgets, the busiest or
// all by id.
func (c *call) overview() error {
	query, err := c.query("view", "prefix", "after", "limit")
	if err != nil {
		return err
	}
	limit, err := numberIn(query, "limit", defaultRows, maxRows)
	if err != nil {
		return err
	}
	prefix, after := query.Get("prefix"), query.Get("after")
	for _, id := range []string{prefix, after} {
		if id != "" && !widgets.ValidID(id) {
			return adminError(http.StatusBadRequest, "prefix and after must be a widget id, or the beginning of one")
		}
	}
	v := adminapi.Overview{
		Now: time.Now().UTC(), Since: c.Traffic.Since().UTC(), Gateway: thisGateway(), Health: c.Health(),
		Store:       adminapi.Store{Reach: reachOf(c.Store.Err()), Lost: c.Store.Loss()},
		MissingKeys: c.MissingKeys(), Widgets: []adminapi.Row{}, AllowReveal: c.AllowReveal, Ledger: adminapi.Ledger{Reach: adminapi.Reach{Reachable: true}},
	}
	if c.Ledger != nil {
		v.Ledger = adminapi.Ledger{Reach: reachOf(c.Ledger.Err()), Used: true, Lost: c.Ledger.Loss()}
	}
	v.Total, v.Unknown = c.Traffic.Overview()
	v.UnknownWidgets = c.unknownWidgets()
	var views []*adminapi.Widget
	switch view := query.Get("view"); {
	case view == "all":
		views, v.Next, err = c.page(c.r.Context(), after, prefix, limit)
		for _, one := range views {
			v.Widgets = append(v.Widgets, adminapi.Row{Widget: *one, Windows: c.Traffic.Of(one.ID)})
		}
	case view != "" && view != "busiest":
		return adminError(http.StatusBadRequest, "view must be busiest or all")
	case after != "":
		return adminError(http.StatusBadRequest, "after needs view=all: which widgets are busiest changes from call to call")
	default:
		err = c.busiest(&v, prefix, limit)
	}
	if err != nil && v.Store.Lost == "" { // configured and busy widgets are shown all the same
		v.Store.Reach = reachOf(err)
	}
	v.Writable = v.Store.Reachable
	return c.answer(http.StatusOK, v)
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

// busiest adds the widgets that had requests in the last day, busiest first, and then
// others by id.
func (c *call) busiest(v *adminapi.Overview, prefix string, limit int) (err error) {
	shown := make(map[string]bool, limit)
	for _, row := range c.Traffic.Busiest(prefix, traffic.MaxShown) {
		if len(v.Widgets) == limit {
			return err
		}
		view, failed := c.view(c.r.Context(), row.ID)
		if failed != nil {
			err = failed
			view = &adminapi.Widget{ID: row.ID, Source: "stored", Unavailable: failed.Error()}
		}
		if view == nil {
			continue // deleted meanwhile
		}
		shown[row.ID] = true
		v.Widgets = append(v.Widgets, adminapi.Row{Widget: *view, Windows: row.Windows})
	}
	// The first ones may all be shown already.
	others, _, failed := c.page(c.r.Context(), "", prefix, limit+len(shown))
	for _, view := range others {
		if len(v.Widgets) < limit && !shown[view.ID] {
			v.Widgets = append(v.Widgets, adminapi.Row{Widget: *view, Windows: c.Traffic.Of(view.ID)})
		}
	}
	if failed != nil {
		err = failed
	}
	return err
}

// stats answers with the counts since counting began.
func (c *call) stats() error {
	query, err := c.query("top")
	if err != nil {
		return err
	}
	top, err := numberIn(query, "top", 0, traffic.MaxShown)
	if err != nil {
		return err
	}
	stats := c.Traffic.Stats(top)
	for i := range stats.Widgets {
		counts := &stats.Widgets[i]
		view, err := c.view(c.r.Context(), counts.ID)
		if err != nil {
			break // the store is unreachable, and what was counted is shown all the same
		}
		if view != nil {
			counts.Grace = view.Grace
		}
	}
	return c.answer(http.StatusOK, stats)
}

// history answers with the requests of all widgets over time.
func (c *call) history() error {
	if _, err := c.query(); err != nil {
		return err
	}
	return c.answer(http.StatusOK, c.Traffic.History())
}
