package caddymodule

import (
	"context"
	"maps"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// nearestTimeout is how long a request's log line waits for the ids that may have been
// meant.
const nearestTimeout = time.Second / 4

// strange is what a line says about a request's widget that does not exist, as far as is known:
// the id that was named and those that may have been meant.
func (x *exchange) strange() (named string, nearest []string) {
	if x.s.reason == judgment.Unavailable && x.s.widget == "" { // whether it exists is not known
		if x.h.literal != nil {
			return string(x.h.literal), nil
		}
		return unknownid.Text(x.id), nil
	}
	if x.s.reason != judgment.WidgetUnknown || len(x.stranger) == 0 {
		return "", nil
	}
	app := x.h.app
	named = unknownid.Text(x.stranger)
	if app.traffic.MayLookForNearest() {
		ctx, cancel := context.WithTimeout(x.r.Context(), nearestTimeout)
		defer cancel()
		nearest = unknownid.Nearest(ctx, app.store, maps.Keys(app.inline), named)
	}
	return named, nearest
}

// unknownHint says why a request has no widget.
func (x *exchange) unknownHint() traffic.Hint {
	switch {
	case x.unserved != "":
		return otherDialect
	case len(x.stranger) == 0:
		return traffic.Hint{ID: "no_widget", Text: "The request names no widget: this handler reads its id from " + x.h.widgetSource() + "."}
	case x.h.app.owners[string(x.stranger)] != nil:
		return traffic.Hint{ID: "own_widget", Text: "The widget that is named belongs to another handler, which has its secret: define it in the global chat_identity block, for all handlers."}
	case !widgets.ValidID(x.stranger):
		return traffic.Hint{ID: "no_widget_id", Text: "What is named is not an id of a widget: 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit."}
	}
	if loss := x.h.app.store.Loss(); loss != "" {
		return traffic.Hint{ID: "widgets_lost", Text: "No widget has the id that is named, but " + loss + "."}
	}
	return traffic.Hint{ID: "no_such_widget", Text: "No widget has the id that is named: correct it in the page, or create the widget."}
}

// widgetSource says where requests name their widget.
func (h *Handler) widgetSource() string {
	switch {
	case h.WidgetBody != "":
		return "the body, at " + h.WidgetBody
	case h.Widget != "":
		return h.Widget
	}
	return h.plan.fieldName(verifier.Widget)
}
