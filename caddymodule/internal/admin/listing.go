package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

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
