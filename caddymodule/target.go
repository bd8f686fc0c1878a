package caddymodule

import (
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// target is the widget that a request names. It determines how the claim is read and what
// happens if that does not verify.
type target struct {
	widget *widget // nil if the request has none
	plan   *plan
	mode   widgets.Mode
	// unknown is why it is currently unknown whether there is such a widget, or what its
	// secrets are.
	unknown error
	// unserved is the id of a widget that exists but cannot be used: its store is
	// unreachable, or the handler does not take its dialect or keys. The request is counted
	// as the widget's.
	unserved string
	whyNot   traffic.Hint // why the handler does not take it
	// stranger is the id that the request names and that no widget has.
	stranger []byte

	found widget // the memory of a widget that was looked up
}

// find finds the widget, unless it is named in the claim.
func (x *exchange) find() {
	x.mode = x.h.modeFor(nil)
	switch {
	case x.h.single != nil:
		x.take(x.h.single)
	case x.h.literal != nil:
		x.lookup(x.h.literal)
	case x.h.named != nil:
		x.id = append(x.id[:0], x.h.named.Of(x.r, &x.reading)...)
		x.lookup(x.id)
	}
}

func (x *exchange) lookup(id []byte) {
	if x.stranger = id; len(id) == 0 || string(id) == defaultWidget || !widgets.ValidID(id) {
		return
	}
	found, err := x.h.app.lookup(x.r.Context(), id, &x.found)
	if x.unknown = err; found || err != nil {
		x.stranger = nil
	}
	if found {
		x.take(&x.found)
	} else if err != nil {
		x.unserved = x.h.app.traffic.Known(id)
	}
}

// take makes w the request's widget, unless the handler does not take its dialect or keys.
func (x *exchange) take(w *widget) {
	p := x.h.planFor(w)
	if p == nil {
		x.refuseWidget(w)
		return
	}
	x.plan, x.widget, x.mode = p, w, x.h.modeFor(w)
}

// refuseWidget notes that the handler does not take a widget.
func (x *exchange) refuseWidget(w *widget) {
	x.unserved = w.id
	x.whyNot.ID, x.whyNot.Text = x.h.whyNot(w)
}

// renew looks the widget up again. The body arrived at the client's pace, and secrets that
// a rotation or a reload has retired meanwhile must not verify it.
func (x *exchange) renew() {
	if x.widget == nil {
		return
	}
	x.found = *x.widget
	x.id, x.widget = append(x.id[:0], x.found.id...), nil
	found, err := x.h.app.renew(x.r.Context(), x.id, x.h.single != nil, &x.found)
	x.unknown = err
	switch {
	case found && x.h.planFor(&x.found) == x.plan:
		x.widget = &x.found
	case found: // in another dialect than the claim was read in, or with keys of another kind
		x.refuseWidget(&x.found)
	case err != nil:
		x.unserved = x.h.app.traffic.Known(x.id)
	default: // it was deleted meanwhile
		x.stranger = x.id
	}
	x.mode = max(x.mode, x.h.modeFor(x.widget))
}
