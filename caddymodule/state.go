package caddymodule

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// stateKey is the request variable that holds the state.
const stateKey = "http.handlers.chat_identity"

// state is what chat_identity knows about one request. Its handlers, the matcher and the
// placeholders share it.
type state struct {
	stripped http.Header    // the header that was stripped; nil before
	sessions http.Header    // of the headers that were stripped, those of sessions
	decider  *Handler       // the handler that decided the request; nil before
	unopened *body.Body     // memory for the body, if there may be one and it was not opened
	body     *body.Body     // the body, if there is one and it was read
	streamed *body.Streamed // the body, if it passes unread
	refused  bool           // the error routes answer the request

	outcome   judgment.Outcome
	reason    judgment.Reason
	mode      widgets.Mode
	dialect   string
	widget    string
	proof     string // of a verified user: signature, token or session
	proved    proof
	user      string
	signed    profile // what the user's token signs
	said      profile // what the browser says beside that
	mergeFrom string  // the visitor to merge into the user
	assertion string  // of the request, "" for none

	spent      *holding    // the one-time signature that the request has used
	pending    pending     // claims that wait for the upstream's answer
	confirming *confirming // and what resolves them
	forwarding bool        // the next handler is answering
	first      forwarding  // of this request, which error routes may forward again

	// values backs the headers that are set, which saves an allocation for each.
	values [numHeaders]string
}

// profile is what is known of a user beside the id.
type profile struct {
	email, name string
	attributes  string // as one JSON object in ASCII
}

// proof is what proves that a request is a user's. What it has opened ends with it.
type proof struct {
	widget, version string    // of the widget's secret; the thumbprint of its public key
	inline          bool      // the widget is the configuration's, not the store's
	expires         time.Time // of a token or session; zero if it does not expire
}

// stateOf returns the request's state, nil before the first handler.
func stateOf(r *http.Request) *state {
	s, _ := caddyhttp.GetVar(r.Context(), stateKey).(*state)
	return s
}

// ensureState returns the request's state. It registers the placeholders in any case,
// since Caddy sends an unknown placeholder to an upstream as it is written.
func ensureState(r *http.Request) *state {
	if s := stateOf(r); s != nil {
		return s
	}
	s := newState(r)
	caddyhttp.SetVar(r.Context(), stateKey, s)
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(s.placeholder)
	}
	return s
}

// newState returns the state of a request, and memory for its body with it. A request without
// one may become a stream, which would keep that memory.
func newState(r *http.Request) *state {
	if r.ContentLength == 0 {
		return new(state)
	}
	both := new(struct {
		state state
		body  body.Body
	})
	both.state.unopened = &both.body
	return &both.state
}

// endBody releases the body's memory or file once the request is over, and returns err.
// After an error, error routes may want the body.
func (s *state) endBody(err error) error {
	if err == nil && s.body != nil {
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
	case "proof":
		return s.proof, true
	case "email":
		return cmp.Or(s.signed.email, s.said.email), true
	case "name":
		return cmp.Or(s.signed.name, s.said.name), true
	}
	if name, ok := strings.CutPrefix(key, "attributes."); ok {
		return attributeOf(cmp.Or(s.signed.attributes, s.said.attributes), name), true
	}
	return nil, false
}

// attributeOf returns a member of the JSON of AppendAttributes: a string's text, any other
// value as JSON, "" if there is none.
func attributeOf(object, wanted string) string {
	var members map[string]jsontext.Value
	_ = json.Unmarshal([]byte(object), &members) // "" without attributes
	value := members[wanted]
	if value.Kind() != '"' {
		return string(value)
	}
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}
