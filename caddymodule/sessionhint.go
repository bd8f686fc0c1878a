package caddymodule

import (
	"errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Hints about a session that is invalid, for the operator alone.
var (
	noSession = traffic.Hint{
		ID:   "session_none",
		Text: "What was sent as a session is none: send the token exactly as identify gives it.",
	}
	sessionOfOther = traffic.Hint{
		ID:   "session_other_widget",
		Text: "The session is another widget's than the request's: name the same widget here and where identify gave it.",
	}
	sessionOfOtherRules = traffic.Hint{
		ID: "session_other_rules",
		Text: "The session was given under other rules, and none counts here that was: give both handlers the same dialect, message, proof, token block, " +
			"one_time and max_age, or widgets of their own.",
	}
	noSecretOfSession = traffic.Hint{
		ID: "session_invalid",
		Text: "No secret that the widget has now gives this session. After a rotation each page has such a session, and gets a new one by itself: " +
			"if it goes on, gateways have different keys, or sessions are forged. Once a minute, the log says of such a session whether a retired secret gives it.",
	}
)

// sessionHint tells why the session is invalid, and a detail that concerns it alone.
func (x *exchange) sessionHint() (traffic.Hint, string) {
	widget, _, readable := verifier.ReadSession(string(x.reading.Single(verifier.SessionField)))
	sessions := x.sessions()
	switch {
	case !readable:
		return noSession, ""
	case widget != sessions.Widget:
		return sessionOfOther, "it is one of widget " + unknownid.Text(widget)
	}
	for _, d := range x.h.app.deciders {
		p := d.planFor(x.widget)
		if d.Session == 0 || p == nil || p.rules == x.plan.rules {
			continue
		}
		sessions.Rules = p.rules
		if _, err := sessions.Verify(&x.reading, x.keys, p.policy.Time()); err == nil || errors.Is(err, verifier.ErrExpired) {
			return sessionOfOtherRules, "it was given by the handler at " + d.where()
		}
	}
	return noSecretOfSession, ""
}
