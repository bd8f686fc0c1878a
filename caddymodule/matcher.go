package caddymodule

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	caddy.RegisterModule(Matcher{})
}

// Matcher matches requests by what a `chat_identity` handler that ran earlier found out about them.
//
// The outcomes are `disabled`, `anonymous`, `verified`, `invalid`, `expired`, `replayed`, `unavailable` and
// `malformed`; the matcher matches if the request's is one of those listed. It matches nothing where no handler ran.
type Matcher []verifier.Outcome

// CaddyModule returns the Caddy module information.
func (Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.chat_identity",
		New: func() caddy.Module { return new(Matcher) },
	}
}

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
			*m = append(*m, verifier.Outcome(arg))
		}
		if d.NextBlock(0) {
			return d.Err("the chat_identity matcher has no block")
		}
	}
	if err := m.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Validate refuses what no request can be.
func (m Matcher) Validate() error {
	for _, o := range m {
		if !slices.Contains(verifier.Outcomes, o) {
			return fmt.Errorf("unknown outcome '%s': one of %v", o, verifier.Outcomes)
		}
	}
	return nil
}

// MatchWithError reports whether the request's outcome is one of those listed.
func (m Matcher) MatchWithError(r *http.Request) (bool, error) {
	s := stateOf(r)
	return s != nil && slices.Contains(m, s.outcome), nil
}

// Interface guards
var (
	_ caddyhttp.RequestMatcherWithError = (*Matcher)(nil)
	_ caddyfile.Unmarshaler             = (*Matcher)(nil)
	_ caddy.Validator                   = (*Matcher)(nil)
)
