package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

func init() {
	caddy.RegisterModule(new(Matcher))
}

// Matcher matches requests by the outcome that a `chat_identity` handler found earlier.
//
// The outcomes are `disabled`, `anonymous`, `verified`, `invalid`, `expired`, `replayed`, `unavailable` and
// `malformed`; the matcher matches if the request's is one of those listed. It matches nothing where no handler has
// run yet, which is logged once. In JSON it is the list of outcomes, as in `["verified"]`.
type Matcher struct {
	// The outcomes to match, at least one.
	Outcomes []judgment.Outcome `json:"-"`

	log   *zap.Logger
	early sync.Once // the warning that no handler had run
}

// CaddyModule returns the Caddy module information.
func (*Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.chat_identity",
		New: func() caddy.Module { return new(Matcher) },
	}
}

// MarshalJSON implements [json.Marshaler].
func (m *Matcher) MarshalJSON() ([]byte, error) { return json.Marshal(m.Outcomes) }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *Matcher) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &m.Outcomes) }

// UnmarshalCaddyfile sets up the matcher. Syntax:
//
//	chat_identity <outcome>...
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.Err("chat_identity needs at least one outcome, as in 'chat_identity verified'")
		}
		for _, arg := range args {
			m.Outcomes = append(m.Outcomes, judgment.Outcome(arg))
		}
		if d.NextBlock(0) {
			return d.Err("the chat_identity matcher has no block")
		}
	}
	return wrap(d, m.Validate())
}

// Provision implements [caddy.Provisioner].
func (m *Matcher) Provision(ctx caddy.Context) error {
	m.log = ctx.Logger()
	return nil
}

// Validate refuses outcomes that do not exist.
func (m *Matcher) Validate() error {
	if len(m.Outcomes) == 0 {
		return errors.New("no outcome to match: list at least one, such as verified")
	}
	for _, o := range m.Outcomes {
		if slices.Contains(judgment.Outcomes, o) {
			continue
		}
		if reason, err := judgment.ParseReason(string(o)); err == nil {
			return fmt.Errorf("'%s' is a reason, not an outcome: match '%s', or use 'vars {http.chat_identity.reason} %s'", o, reason.Outcome(), o)
		}
		var names []string
		for _, known := range judgment.Outcomes {
			names = append(names, string(known))
		}
		return choice.Unknown("outcome", string(o), names)
	}
	return nil
}

// MatchWithError reports whether the request's outcome is one of those listed.
func (m *Matcher) MatchWithError(r *http.Request) (bool, error) {
	s := stateOf(r)
	if s == nil {
		m.warnEarly(r)
		return false, nil
	}
	return slices.Contains(m.Outcomes, s.outcome), nil
}

// warnEarly warns, once, that no handler had run. Caddy sorts directives, so the
// configuration's text does not show that. There is no warning in error routes, since an
// error may have kept the request from the handler.
func (m *Matcher) warnEarly(r *http.Request) {
	if r.Context().Value(caddyhttp.ErrorCtxKey) != nil {
		return
	}
	m.early.Do(func() {
		m.log.Warn("a chat_identity matcher was evaluated before any chat_identity handler had run, so it did not match: "+
			"use it with a directive that runs after chat_identity, or put both into a route block, chat_identity first; "+
			"if no chat_identity handles such requests, add one", zap.Any("outcomes", m.Outcomes), zap.String("host", r.Host))
	})
}

// Interface guards
var (
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddy.Provisioner                 = (*Matcher)(nil)
	_ caddyfile.Unmarshaler             = (*Matcher)(nil)
	_ caddy.Validator                   = (*Matcher)(nil)
	_ json.Marshaler                    = (*Matcher)(nil)
	_ json.Unmarshaler                  = (*Matcher)(nil)
)
