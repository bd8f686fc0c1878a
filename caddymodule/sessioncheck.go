package caddymodule

import (
	"cmp"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// checkSessions finds directives whose sessions nobody gives, or do not count at another one.
func (a *App) checkSessions() {
	gives := func(h *Handler) bool { return h.Session != 0 && h.Identify != "" }
	for i, h := range a.deciders {
		var givers []*Handler // others, of the same widget
		for k, other := range a.deciders {
			if k != i && gives(other) && h.sharesWidget(other) {
				givers = append(givers, other)
			}
		}
		find := func(kind findings.Kind, text string) { a.report(findings.New(kind, text).At(h.Line, h.site)) }
		beside := func(other *Handler) bool {
			return slices.ContainsFunc(a.sites(), func(s *sites.Site) bool {
				return slices.Contains(s.Handlers, h.place) && slices.Contains(s.Handlers, other.place)
			})
		}
		differ := func(other *Handler) bool { return h.otherRules(other) != "" }
		moved := func(other *Handler) bool { return beside(other) && h.otherHeader(other) }
		switch {
		case h.Mode == widgets.ModeOff:
		case h.Session == 0 && !h.OneTime: // one_time demands a claim each time
			if at := slices.IndexFunc(givers, func(other *Handler) bool { return beside(other) && !differ(other) }); at >= 0 {
				find(findings.SessionUntaken, fmt.Sprintf("the sessions that %s gives for the same widget are not looked for here: a page that has one sends no claim, so it is 'missing'", givers[at].which()))
			}
		case h.Session == 0 || gives(h) && !slices.ContainsFunc(givers, beside):
		case len(givers) == 0:
			find(findings.SessionUngiven, "session: no directive with 'identify' and 'session' serves the same widget, so nobody is given a session that counts here")
		default:
			if gives(h) { // its own count, but a page of the site has only one, and one finding of two is enough
				givers = slices.DeleteFunc(givers, func(other *Handler) bool {
					return !beside(other) || !h.hasWidgetOf(other) || slices.Index(a.deciders, other) > i
				})
			} else if slices.ContainsFunc(givers, func(other *Handler) bool { return !differ(other) && !moved(other) }) {
				givers = nil
			}
			at := slices.IndexFunc(givers, differ)
			switch {
			case at >= 0:
				find(findings.SessionRules, fmt.Sprintf("the sessions that %s gives for the same widget are invalid here, since these differ: %s", givers[at].which(), h.otherRules(givers[at])))
			case len(givers) > 0 && !gives(h):
				find(findings.SessionRules, fmt.Sprintf("the sessions that %s gives for the same widget are not looked for here: they travel in %s there, and in %s here",
					givers[0].which(), givers[0].sessionsIn(), h.sessionsIn()))
			}
		}
	}
}

// otherHeader reports whether a session travels in a header at both, and nowhere at both.
func (h *Handler) otherHeader(other *Handler) bool {
	return len(h.place.Sessions) > 0 && len(other.place.Sessions) > 0 &&
		!slices.ContainsFunc(h.plan.policy.Places, func(p verifier.Place) bool {
			return p.Field == verifier.SessionField && slices.ContainsFunc(other.plan.policy.Places, func(q verifier.Place) bool {
				return q.Field == p.Field && q.Location == p.Location && hop.Fold(q.Name) == hop.Fold(p.Name)
			})
		})
}

// which names the directive to an operator.
func (h *Handler) which() string { return "the directive at " + cmp.Or(h.Line, h.where()) }

// sessionsIn names the first header in which the handler looks for a session.
func (h *Handler) sessionsIn() string {
	return textproto.CanonicalMIMEHeaderKey(string(h.place.Sessions[0]))
}

// sharesWidget reports whether requests of both can be those of one widget.
func (h *Handler) sharesWidget(other *Handler) bool {
	if h.single == nil && other.single == nil && (h.literal == nil || other.literal == nil) {
		return true
	}
	return h.hasWidgetOf(other)
}

// hasWidgetOf reports whether all requests of both are those of one widget.
func (h *Handler) hasWidgetOf(other *Handler) bool {
	if h.single != nil && other.single != nil {
		return h.single.id == other.single.id
	}
	return h.single == nil && other.single == nil && h.literal != nil && string(h.literal) == string(other.literal)
}

// otherRules names the options by which sessions of the same widget differ, "" if there are
// none for certain: in some dialect that the widget may have, both prove claims alike.
func (h *Handler) otherRules(other *Handler) string {
	dialects := []string{h.plan.dialect, other.plan.dialect}
	for dialect := range h.plans {
		dialects = append(dialects, dialect)
	}
	if h.single != nil {
		dialects = []string{h.single.dialect}
	}
	for _, dialect := range dialects {
		p, q := h.planIn(dialect), other.planIn(dialect)
		if p != nil && q != nil && !p.cutOnly && !q.cutOnly && p.rules == q.rules {
			return ""
		}
	}
	p, q := h.plan.policy, other.plan.policy
	q.Token.ID = p.Token.ID // which follows from one_time
	var names []string
	for _, rule := range []struct {
		name   string
		differ bool
	}{
		{"dialect", p.Name != q.Name}, {"message", p.Message != q.Message}, {"proof", cmp.Or(p.Proof, "any") != cmp.Or(q.Proof, "any")},
		{"token", fmt.Sprintf("%#v", p.Token) != fmt.Sprintf("%#v", q.Token)}, {"one_time", h.OneTime != other.OneTime}, {"max_age", p.MaxAge != q.MaxAge},
	} {
		if rule.differ {
			names = append(names, rule.name)
		}
	}
	return strings.Join(names, ", ")
}
