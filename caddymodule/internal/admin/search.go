package admin

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// The limits of one search: an open dashboard repeats it every few seconds, with any
// number of widgets in the store.
const (
	maxSearched = 10_000
	searchTime  = 2 * time.Second
	searchPage  = 1000
)

// orders compare two widgets. Equal ones are by id.
var orders = map[string]func(a, b *adminapi.Row) int{
	"busiest": func(a, b *adminapi.Row) int { return cmp.Compare(b.Day.Requests, a.Day.Requests) },
	"id":      func(_, _ *adminapi.Row) int { return 0 },
	"rate": func(a, b *adminapi.Row) int { // lowest first; without requests there is none
		return cmp.Or(cmp.Compare(min(b.Day.Requests, 1), min(a.Day.Requests, 1)), cmp.Compare(a.Day.Rate, b.Day.Rate),
			cmp.Compare(b.Day.Requests, a.Day.Requests))
	},
	"newest": func(a, b *adminapi.Row) int { return b.Rotated.Compare(a.Rotated) },
	"oldest": func(a, b *adminapi.Row) int { // without a date last
		if a.Rotated.IsZero() != b.Rotated.IsZero() {
			return b.Rotated.Compare(a.Rotated)
		}
		return a.Rotated.Compare(b.Rotated)
	},
}

// states are what a search can ask for besides the mode.
var states = map[string]func(*adminapi.Row) bool{
	"failing":     failing,
	"grace":       func(f *adminapi.Row) bool { return len(f.Secrets) > 1 },
	"unavailable": func(f *adminapi.Row) bool { return f.Unavailable != "" },
}

// search is a question for widgets.
type search struct {
	prefix, after, mode string
	is                  func(*adminapi.Row) bool // nil for any
	order               func(a, b *adminapi.Row) int
	from, limit         int
}

// failing reports whether a claim of the last hour did not verify.
func failing(r *adminapi.Row) bool {
	for reason := range r.Hour.Reasons {
		if reason != judgment.Missing && reason != judgment.Reason(judgment.OutcomeDisabled) {
			return true
		}
	}
	return false
}

// wanted reads a search from the call's parameters.
func (c *call) wanted() (s search, err error) {
	query := c.query
	s.prefix, s.after, s.mode = query.Get("prefix"), query.Get("after"), query.Get("mode")
	for _, id := range []string{s.prefix, s.after} {
		if id != "" && !widgets.ValidID(id) {
			return s, adminError(http.StatusBadRequest, "prefix and after must be a widget id, or the beginning of one")
		}
	}
	if mode, err := widgets.ParseMode(s.mode); err != nil || query.Has("mode") && mode == widgets.ModeUnset {
		return s, adminError(http.StatusBadRequest, "mode must be off, optional or required")
	}
	known := false
	if s.order, known = orders[cmp.Or(query.Get("sort"), "busiest")]; !known {
		return s, adminError(http.StatusBadRequest, "sort must be busiest, id, rate, newest or oldest")
	}
	if s.is, known = states[query.Get("filter")]; !known && query.Has("filter") {
		return s, adminError(http.StatusBadRequest, "filter must be failing, grace or unavailable")
	}
	if s.limit, err = c.number("limit", defaultRows, maxRows); err != nil {
		return s, err
	}
	s.from, err = c.number("from", 1, math.MaxInt32)
	return s, err
}

// search adds to an overview the widgets that match, and what they were chosen from.
// Beyond its limits it stops and says where. With an error, it has what is known all the
// same.
func (c *call) search(v *adminapi.Overview, s search) error {
	began, busy, none := time.Now(), c.Traffic.Busy(s.prefix), c.Traffic.Of("")
	var matches []*adminapi.Row
	consider := func(view *adminapi.Widget) {
		windows, counted := busy[view.ID]
		if delete(busy, view.ID); !counted {
			windows = none
		}
		row := &adminapi.Row{Widget: *view, Windows: windows}
		if (s.mode == "" || row.EffectiveMode == s.mode) && (s.is == nil || s.is(row)) {
			matches = append(matches, row)
		}
	}
	of := &v.Found
	var err error
	for after := s.after; of.Stopped == ""; {
		var views []*adminapi.Widget
		views, after, err = c.page(c.r.Context(), after, s.prefix, searchPage)
		for _, view := range views {
			consider(view)
		}
		if of.Searched += len(views); after == "" {
			break
		}
		if of.Searched >= maxSearched || time.Since(began) > searchTime {
			of.Stopped = after
		}
	}
	if s.after == "" && (of.Stopped != "" || err != nil) {
		for id := range busy { // these are found wherever they are
			view, failed := c.view(c.r.Context(), id)
			if failed != nil {
				view = &adminapi.Widget{ID: id, Source: "stored", Unavailable: failed.Error()}
			}
			if view != nil { // else it was deleted
				consider(view)
			}
		}
	}
	slices.SortFunc(matches, func(a, b *adminapi.Row) int { return cmp.Or(s.order(a, b), strings.Compare(a.ID, b.ID)) })
	of.Matches = len(matches)
	first := s.from - 1
	if first >= len(matches) { // there were more before
		first = max(len(matches)-1, 0) / s.limit * s.limit
	}
	of.From = min(first+1, len(matches))
	for _, row := range matches[first:min(first+s.limit, len(matches))] {
		v.Widgets = append(v.Widgets, *row)
	}
	return err
}
