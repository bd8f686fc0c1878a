package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// maxRows is how many widgets one overview shows at most.
	maxRows = 200
	// usualRows is how many it shows unless told otherwise.
	usualRows = 50
)

func reachOf(err error) adminapi.Reach {
	if err != nil {
		return adminapi.Reach{Error: err.Error()}
	}
	return adminapi.Reach{Reachable: true}
}

// overview answers how things stand, and a page of widgets: the busiest, or
// all by id.
func (c *adminCall) overview() error {
	query, err := c.query("view", "prefix", "after", "limit")
	if err != nil {
		return err
	}
	limit, err := numberIn(query, "limit", usualRows, maxRows)
	if err != nil {
		return err
	}
	prefix, after := query.Get("prefix"), query.Get("after")
	for _, id := range []string{prefix, after} {
		if id != "" && !widgets.ValidID(id) {
			return adminError(http.StatusBadRequest, "prefix and after are a widget's id, or the beginning of one")
		}
	}
	v := adminapi.Overview{
		Now: time.Now().UTC(), Since: observed.Since().UTC(), Store: reachOf(c.store.Err()),
		MissingKeys: c.missingKeys(), Widgets: []adminapi.Row{}, AllowReveal: c.AllowReveal, Ledger: adminapi.Ledger{Reach: adminapi.Reach{Reachable: true}, Used: c.recorded},
	}
	if c.recorded {
		v.Ledger.Reach = reachOf(c.ledger.Err())
		v.Ledger.Lost = c.ledger.loss()
	}
	v.Total, v.Unknown = observed.Overview()
	var views []*adminapi.Widget
	switch view := query.Get("view"); {
	case view == "all":
		views, v.Next, err = c.page(c.r.Context(), after, prefix, limit)
		for _, one := range views {
			v.Widgets = append(v.Widgets, adminapi.Row{Widget: *one, Windows: observed.Of(one.ID)})
		}
	case view != "" && view != "busiest":
		return adminError(http.StatusBadRequest, "view is busiest or all")
	case after != "":
		return adminError(http.StatusBadRequest, "after goes with view=all: who is busiest changes from call to call")
	default:
		err = c.busiest(&v, prefix, limit)
	}
	if err != nil { // what the configuration has, and who was busy, is shown all the same
		v.Store = reachOf(err)
	}
	v.Writable = v.Store.Reachable
	return c.answer(http.StatusOK, v)
}

// busiest adds those that had requests in the last day, busiest first, and then
// others by id.
func (c *adminCall) busiest(v *adminapi.Overview, prefix string, limit int) (err error) {
	shown := make(map[string]bool, limit)
	for _, row := range observed.Busiest(prefix, traffic.MaxShown) {
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
	// All of those that are shown already may stand among the first.
	others, _, failed := c.page(c.r.Context(), "", prefix, limit+len(shown))
	for _, view := range others {
		if len(v.Widgets) < limit && !shown[view.ID] {
			v.Widgets = append(v.Widgets, adminapi.Row{Widget: *view, Windows: observed.Of(view.ID)})
		}
	}
	if failed != nil {
		err = failed
	}
	return err
}

// missingKeys are the ids of encryption keys that stored secrets need and that
// are not configured, as far as the store or the last census knows.
func (a *App) missingKeys() []string {
	needed := make(map[string]bool)
	for id := range a.store.KeyIDs() {
		needed[id] = true
	}
	if found := a.census.Load(); found != nil {
		maps.Copy(needed, found.keys)
	}
	missing := []string{}
	for _, id := range slices.Sorted(maps.Keys(needed)) {
		if !a.ring.Load().Has(id) {
			missing = append(missing, id)
		}
	}
	return missing
}
