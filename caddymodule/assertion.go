package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
)

// Assertion is what all assertions of a gateway have in common.
type Assertion struct {
	// Who says that it is the gateway: the claim `iss`. Default: `chat-identity`.
	Issuer string `json:"issuer,omitempty"`

	// How long an assertion is good for, 1s to 1h in whole seconds. Default: 1m.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// Bounds and defaults of assertions.
const (
	defaultIssuer      = "chat-identity"
	defaultLifetime    = time.Minute
	maxLifetime        = time.Hour
	maxAssertionText   = 255 // of issuer and audience, in bytes
	assertionLifetimes = "from 1s to 1h, in whole seconds"
)

// errNoAssertion refuses a request in every mode: a backend that demands an assertion would
// refuse it without saying why.
var errNoAssertion = errors.New("no assertion can be signed")

func (o *Assertion) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return fmt.Errorf("unexpected '%s': the global assertion takes a block; its audience goes into the directive of a site, as in 'assertion %[1]s'", d.Val())
	}
	return assertionBlock.each(d, func(name string) error {
		if name == "issuer" {
			if err := oneArg(d, &o.Issuer, "a name of the gateway, as in 'issuer https://chat.example.com'"); err != nil {
				return err
			}
			return checkAssertionText(name, o.Issuer)
		}
		return durationArg(d, &o.Lifetime, caddy.Duration(time.Second), o.checkLifetime)
	})
}

// checkLifetime checks the lifetime of assertions, which was written so.
func (o *Assertion) checkLifetime(written string) error {
	if l := time.Duration(o.Lifetime); l < 0 || l > maxLifetime || l%time.Second != 0 {
		return fmt.Errorf("lifetime: '%s' is not a lifetime of assertions: it is %s", written, assertionLifetimes)
	}
	return nil
}

// checkAssertionText refuses a text that backends could not compare with their own, or that
// was not meant.
func checkAssertionText(option, text string) error {
	switch {
	case unreplaced(option, text) != nil:
		return unreplaced(option, text)
	case len(text) > maxAssertionText:
		return fmt.Errorf("%s: the text is longer than %d bytes", option, maxAssertionText)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }):
		return fmt.Errorf("%s: the text has a control character or is not UTF-8", option)
	}
	return nil
}

// provisionAssertion fills in defaults. A reload that changes none of them keeps what was
// minted.
func (a *App) provisionAssertion() error {
	if a.Assertion == nil {
		a.Assertion = new(Assertion)
	}
	o := a.Assertion
	if o.Issuer == "" {
		o.Issuer = defaultIssuer
	}
	if o.Lifetime == 0 {
		o.Lifetime = caddy.Duration(defaultLifetime)
	}
	if err := cmp.Or(o.checkLifetime(period.Text(time.Duration(o.Lifetime))), checkAssertionText("issuer", o.Issuer)); err != nil {
		return fmt.Errorf("assertion: %w", err)
	}
	lifetime := time.Duration(o.Lifetime)
	return a.sharedMinter.take(lifetime.String()+" "+o.Issuer, func() (*assertion.Minter, error) {
		return assertion.NewMinter(o.Issuer, lifetime, time.Now), nil
	})
}

// checkAssertion checks the handler's options.
func (h *Handler) checkAssertion() error {
	if h.Assertion == "off" {
		return ofOption("assertion", errors.New("assertion: 'off' is not an audience: for requests without an assertion, omit the line"))
	}
	if err := ofOption("assertion", checkAssertionText("assertion", h.Assertion)); err != nil {
		return err
	}
	if h.JWKSPath != "" && h.JWKSPath == h.Identify {
		return ofOption("jwks_path", fmt.Errorf("jwks_path: %s is the path of identify, too: choose another one", h.JWKSPath))
	}
	return checkOwnPath("jwks_path", h.JWKSPath)
}

// asserts reports whether requests go on with an assertion.
func (h *Handler) asserts() bool { return h.Assertion != "" && h.names[headerAssertion] != "" }

// findSigner finds the key for a request that would be forwarded, or refuses the request.
// It comes before the ledger, so that a request which is refused for that uses nothing up.
func (x *exchange) findSigner() bool {
	var err error
	if x.signer, err = x.h.app.signer(x.r.Context()); x.signer == nil {
		x.notAsserted(err)
	}
	return x.signer != nil
}

// assert mints the request's assertion.
func (x *exchange) assert() {
	reason := judgment.ReasonOf(x.claim)
	s := assertion.Statement{Audience: x.h.Assertion, Outcome: string(reason.Outcome()), Reason: string(reason)}
	if i := &x.identity; x.claim == nil {
		s.User, s.Widget, s.Dialect, s.SignedAt = i.User(), x.widget.id, x.plan.dialect, i.SignedAt()
		if i.ByToken() {
			s.Email, s.Name, s.Attributes = i.Email(), i.Name(), i.Attributes()
		}
	}
	var err error
	if x.s.assertion, err = x.h.app.sharedMinter.shared.Mint(x.signer, &s); err != nil {
		x.notAsserted(err)
	}
}

// notAsserted refuses the request for want of an assertion. The log has the error.
func (x *exchange) notAsserted(err error) { x.claim = fmt.Errorf("%w: %v", errNoAssertion, err) }
