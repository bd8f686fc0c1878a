package admin

import (
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

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
	wanted, err := c.wanted()
	if err != nil {
		return err
	}
	id := c.query.Get("widget")
	if c.query.Has("widget") && (len(c.query) > 1 || !widgets.ValidID(id)) {
		return adminError(http.StatusBadRequest, "widget must be the id of one, and the only parameter")
	}
	v := adminapi.Overview{
		Now: time.Now().UTC(), Since: c.Traffic.Since().UTC(), Gateway: thisGateway(), Health: c.Health(), OpenStreams: c.OpenStreams(),
		Store:       adminapi.Store{Reach: reachOf(c.Store.Err()), Lost: c.Store.Loss()},
		MissingKeys: c.MissingKeys(), Widgets: []adminapi.Row{}, AllowReveal: c.AllowReveal, Ledger: adminapi.Ledger{Reach: adminapi.Reach{Reachable: true}},
	}
	if c.Ledger != nil {
		v.Ledger = adminapi.Ledger{Reach: reachOf(c.Ledger.Err()), Used: true, Lost: c.Ledger.Loss()}
	}
	v.Total, v.Unknown = c.Traffic.Overview()
	v.UnknownWidgets = c.unknownWidgets()
	v.SigningKeys, _ = c.SigningKeys(c.r.Context()) // health says why there are none
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
	top, err := c.number("top", 0, traffic.MaxShown)
	if err != nil {
		return err
	}
	stats := c.Traffic.Stats(top)
	stats.OpenStreams = c.OpenStreams()
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
	return c.answer(http.StatusOK, c.Traffic.History())
}

// health answers a readiness probe from what is known, without asking anybody.
func (c *call) health() error {
	h, status := c.Health(), http.StatusOK
	if h.Status == adminapi.Down {
		status = http.StatusServiceUnavailable
	}
	return c.answer(status, h)
}

// thisGateway says on which host this is, and its versions.
var thisGateway = sync.OnceValue(func() adminapi.Gateway {
	g := adminapi.Gateway{Version: adminapi.Version()}
	g.Name, _ = os.Hostname()
	g.Caddy, _ = caddy.Version()
	return g
})
