package admin

import (
	"net/http"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// The limits of an overview.
const (
	maxRows     = 200
	defaultRows = 50
)

func reachOf(err error) adminapi.Reach {
	if err != nil {
		return adminapi.Reach{Error: Plain(err)}
	}
	return adminapi.Reach{Reachable: true}
}

// overview answers with the gateway's state and a page of widgets, or one of them.
func (c *call) overview() error {
	query, err := c.query("widget", "prefix", "mode", "filter", "sort", "after", "from", "limit")
	if err != nil {
		return err
	}
	wanted, err := searchIn(query)
	if err != nil {
		return err
	}
	id := query.Get("widget")
	if query.Has("widget") && (len(query) > 1 || !widgets.ValidID(id)) {
		return adminError(http.StatusBadRequest, "widget must be the id of one, and the only parameter")
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
	if id != "" {
		err = c.one(&v, id)
	} else {
		v.Found.Stored, v.Found.Counted = c.Census()
		err = c.search(&v, wanted)
	}
	if err != nil && v.Store.Lost == "" { // configured and busy widgets are shown all the same
		v.Store.Reach = reachOf(err)
	}
	v.Writable = v.Store.Reachable
	return c.answer(http.StatusOK, v)
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
