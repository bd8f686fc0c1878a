package caddymodule

import (
	"context"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
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
func (x *exchange) strange() (fields []zap.Field) {
	if x.s.reason == judgment.Unavailable && x.s.widget == "" { // whether it exists is not known
		if x.h.literal != nil {
			return []zap.Field{zap.String("named", string(x.h.literal))}
		}
		return []zap.Field{zap.String("named", unknownid.Text(x.id))}
	}
	if len(x.stranger) == 0 || x.s.reason != judgment.WidgetUnknown && x.unreadHint().Text == "" {
		return nil
	}
	app, named := x.h.app, unknownid.Text(x.stranger)
	fields = append(fields, zap.String("named", named))
	if app.traffic.MayLookForNearest() {
		ctx, cancel := context.WithTimeout(x.r.Context(), nearestTimeout)
		defer cancel()
		if nearest := unknownid.Nearest(ctx, app.store, maps.Keys(app.inline), named); len(nearest) > 0 {
			fields = append(fields, zap.Strings("nearest", nearest))
		}
	}
	return fields
}

// unknownHint says why a request has no widget.
func (x *exchange) unknownHint() traffic.Hint {
	switch {
	case x.whyNot.ID != "":
		return x.whyNot
	case len(x.stranger) == 0:
		return traffic.Hint{ID: "no_widget", Text: "The request names no widget: this handler reads its id from " + x.h.widgetSource() + "."}
	case secrettext.Looks(string(x.stranger)):
		return traffic.Hint{ID: "secret_named", Text: "A secret or a signature seems to stand where the widget's id belongs: send the id, and replace the secret, which others can read, if it is one."}
	case string(x.stranger) == widgets.DefaultID:
		return traffic.Hint{ID: "default_named", Text: "No request can name the widget '" + widgets.DefaultID + "', which is what handlers call their own: send the id of another widget, or give the handler a 'widget' with a name."}
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

// unreadHint says why a request whose claim is not there, or not all of it, has no widget: in the
// dialect of that widget it may be there. The hint is empty if the request has one, or names none.
func (x *exchange) unreadHint() (h traffic.Hint) {
	if missing := x.s.reason == judgment.Missing || x.s.reason == judgment.Partial; !missing || x.widget != nil || len(x.stranger) == 0 && x.whyNot.ID == "" {
		return h
	}
	h = x.unknownHint()
	h.Text += " Until then, its claim is looked for by the names of the dialect " + x.s.dialect + "."
	return h
}

// widgetSource says where requests name their widget.
func (h *Handler) widgetSource() string {
	switch {
	case h.WidgetToken != "":
		return "the token, at " + h.WidgetToken
	case h.WidgetBody != "":
		return "the body, at " + h.WidgetBody
	case h.Widget != "":
		return h.Widget
	}
	return h.plan.fieldName(verifier.Widget)
}
