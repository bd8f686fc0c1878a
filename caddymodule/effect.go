package caddymodule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// decides notes that a handler decides requests of widgets.
func (a *App) decides(h *Handler) {
	if h.Guard || h.widgetless() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deciders = append(a.deciders, h)
}

// where names where the handler is.
func (h *Handler) where() string { return cmp.Or(h.site, h.Line, "this configuration") }

// serves reports whether the handler's requests can name the widget, and whether it
// takes the widget's dialect and keys.
func (h *Handler) serves(w *widget) (named, accepted bool) {
	switch {
	case h.single != nil:
		named = h.single.id == w.id
	case h.app.inline[w.id] == nil && h.app.owners[w.id] != nil: // see lookup
	case h.literal != nil:
		named = string(h.literal) == w.id
	default:
		named = true
	}
	return named, named && h.planFor(w) != nil
}

// effect determines how a widget's requests are treated.
func (a *App) effect(w *widget) adminapi.Effect {
	var serving []*Handler
	named, why := false, ""
	for _, d := range a.deciders {
		names, accepts := d.serves(w)
		if accepts {
			serving = append(serving, d)
		} else if names {
			_, why = d.whyNot(w)
		}
		named = named || names
	}
	switch {
	case !named:
		return adminapi.Effect{ModeWhy: fmt.Sprintf("No handler's requests can name this widget, so nothing is verified with it: "+
			"add 'widget %s' to a chat_identity block, or have requests name theirs, as with 'widget {header.X-Widget}'.", w.id)}
	case len(serving) == 0:
		return adminapi.Effect{ModeWhy: "No handler takes this widget, so nothing is verified with it. " + why}
	}
	slices.SortStableFunc(serving, func(a, b *Handler) int { return cmp.Compare(a.modeFor(w), b.modeFor(w)) })
	e := adminapi.Effect{EffectiveMode: serving[0].modeFor(w).String(), Differs: serving[len(serving)-1].modeFor(w) != serving[0].modeFor(w)}
	switch {
	case w.mode != widgets.ModeUnset && w.mode == serving[0].modeFor(w):
		e.ModeFrom = adminapi.FromWidget
	case slices.ContainsFunc(serving, func(d *Handler) bool { return d.Mode == serving[0].modeFor(w) }):
		e.ModeFrom = adminapi.FromHandler
	default:
		e.ModeFrom = adminapi.FromDefault
	}
	e.ModeWhy = whyMode(w, serving, e)
	return e
}

// whyMode explains the effect of the serving handlers, the laxest of which comes first.
func whyMode(w *widget, serving []*Handler, e adminapi.Effect) string {
	own := "The widget has no mode of its own"
	if w.mode != widgets.ModeUnset {
		own = "The widget's own mode is " + w.mode.String()
	}
	var written []string
	for mode := range widgets.Mode(widgets.NumModes) {
		var places []string
		for _, d := range serving {
			if d.Mode == mode && !slices.Contains(places, d.where()) {
				places = append(places, d.where())
			}
		}
		if len(places) > 0 {
			written = append(written, handlersIn(places)+cmp.Or(mode.String(), "none"))
		}
	}
	text := own + ", and " + strings.Join(written, ", ")
	switch {
	case e.Differs:
		var held []string
		for _, d := range serving {
			if in := d.modeFor(w).String() + " in " + d.where(); !slices.Contains(held, in) {
				held = append(held, in)
			}
		}
		if more := len(held) - maxSites; more > 0 {
			held = append(held[:maxSites], fmt.Sprintf("stricter in %d more places", more))
		}
		text += ": so requests are treated as " + strings.Join(held, ", ") + ". The laxest mode is shown"
	case e.ModeFrom == adminapi.FromDefault:
		text += ", so the default applies"
	case e.ModeFrom == adminapi.FromHandler && w.mode != widgets.ModeUnset:
		text += ", which is the minimum"
	}
	return text + "."
}

// maxSites is how many sites a sentence names.
const maxSites = 3

// handlersIn names the handlers of those sites as the subject of a sentence.
func handlersIn(places []string) string {
	switch n := len(places); {
	case n == 1:
		return "the handler in " + places[0] + " has "
	case n > maxSites:
		places = append(places[:maxSites:maxSites], fmt.Sprintf("%d more places", n-maxSites))
	}
	last := len(places) - 1
	return "the handlers in " + strings.Join(places[:last], ", ") + " and " + places[last] + " have "
}
