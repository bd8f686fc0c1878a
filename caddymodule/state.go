package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// stateKey is the request variable that holds the state.
const stateKey = "http.handlers.chat_identity"

// state is what chat_identity knows of one request. All handlers that the
// request passes share it, as do the matcher and the placeholders.
type state struct {
	// stripped is the header from which a handler has removed what clients may not
	// send; nil before.
	stripped http.Header
	// decider is the handler that took the request, nil until one has.
	decider *Handler
	// body is the body, where it was read; streamed is it where it passes unread.
	body     body.Body
	streamed *body.Streamed
	// refused says that the request is on its way through the error routes.
	refused bool

	outcome    judgment.Outcome
	reason     judgment.Reason
	mode       widgets.Mode
	dialect    string
	widget     string
	user       string
	email      string
	name       string
	attributes string // as AppendAttributes makes them
	mergeFrom  string // the visitor that is to be merged into the user

	spent      *holding    // the one-time signature that the request has used
	pending    pending     // what waits for the upstream's answer
	confirming *confirming // what waits

	// values backs the headers that are set, so that each needs no memory of its own.
	values [numHeaders]string
}

// stateOf returns the request's state, nil before the first handler.
func stateOf(r *http.Request) *state {
	s, _ := caddyhttp.GetVar(r.Context(), stateKey).(*state)
	return s
}

// ensureState returns the request's state. It makes the placeholders known in
// every case: Caddy sends an unknown one to an upstream as it is written.
func ensureState(r *http.Request) *state {
	if s := stateOf(r); s != nil {
		return s
	}
	s := new(state)
	caddyhttp.SetVar(r.Context(), stateKey, s)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(s.placeholder)
	}
	return s
}

// endBody gives back what the body lies in once the request is over, and returns
// the error with which it is: with one, error routes may want the body.
func (s *state) endBody(err error) error {
	if err == nil {
		s.body.End()
	}
	return err
}

// String makes the request variable print as the outcome.
func (s *state) String() string { return string(s.outcome) }

// placeholder implements [caddy.ReplacerFunc].
func (s *state) placeholder(key string) (any, bool) {
	key, ok := strings.CutPrefix(key, "http.chat_identity.")
	if !ok {
		return nil, false
	}
	switch key {
	case "outcome":
		return string(s.outcome), true
	case "reason":
		return string(s.reason), true
	case "user":
		return s.user, true
	case "widget":
		return s.widget, true
	case "mode":
		return s.mode.String(), true
	case "dialect":
		return s.dialect, true
	case "email":
		return s.email, true
	case "name":
		return s.name, true
	}
	if name, ok := strings.CutPrefix(key, "attributes."); ok {
		return attributeOf(s.attributes, name), true
	}
	return nil, false
}

// attributeOf returns one member of an object that AppendAttributes made: a string's
// text, anything else as JSON. It is "" where there is none.
func attributeOf(object, wanted string) string {
	d := jsontext.NewDecoder(strings.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return ""
	}
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != '"' {
			return ""
		}
		found := name.String() == wanted
		value, err := d.ReadValue()
		switch {
		case err != nil:
			return ""
		case found && value.Kind() == '"':
			text, _ := jsontext.AppendUnquote(nil, value)
			return string(text)
		case found:
			return string(value)
		}
	}
}
