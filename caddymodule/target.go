package caddymodule

import (
	"cmp"

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
	// unreachable, or the handler does not accept its dialect. The request is counted as
	// the widget's.
	unserved string
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

// take makes w the request's widget, unless the handler does not accept its dialect.
func (x *exchange) take(w *widget) {
	if w.dialect != "" && w.dialect != x.plan.dialect {
		p := x.h.plans[w.dialect]
		if p == nil || p.cutOnly {
			x.unserved = w.id
			return
		}
		x.plan = p
	}
	x.widget, x.mode = w, x.h.modeFor(w)
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
	case found && cmp.Or(x.found.dialect, x.h.Dialect) == x.plan.dialect:
		x.widget = &x.found
	case found: // in another dialect than the claim was read in
		x.unserved = x.found.id
	case err != nil:
		x.unserved = x.h.app.traffic.Known(x.id)
	default: // it was deleted meanwhile
		x.stranger = x.id
	}
	x.mode = max(x.mode, x.h.modeFor(x.widget))
}
