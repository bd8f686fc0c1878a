package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// The limits of bodies, in bytes. One that is read under max_body is held in memory;
// more than largestMaxUpload is a typo.
const (
	defaultMaxBody   = 1 << 20
	largestMaxBody   = 1 << 30
	defaultMaxUpload = 64 << 20
	largestMaxUpload = 1 << 40
)

const (
	refuseProblem = "problem"
	refuseError   = "error"
	claimStrip    = "strip"
	claimKeep     = "keep"
)

// Provision fills in defaults and compiles the configuration. It has no side
// effects, since it also runs for `caddy validate`.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = newLogger(ctx.Logger())
	loaded, err := ctx.App("chat_identity")
	if err != nil {
		return err
	}
	h.app = loaded.(*App)
	h.app.hasHandlers = true
	h.site, h.address = sites.Where(ctx)
	h.answering = []*Handler{h}
	if err := h.provision(); err != nil {
		return fmt.Errorf("%w%s, site %s", err, atLine(h.Line), h.where())
	}
	h.app.usesAssertion = h.app.usesAssertion || h.asserts() || h.JWKSPath != ""
	h.app.decides(h)
	keepConns(ctx)
	h.checkValues()
	return nil
}

func (h *Handler) provision() error {
	if err := inOrder(h.checkGuard, h.provisionDefaults, h.provisionHeaders); err != nil {
		return err
	}
	if !h.Guard {
		return inOrder(h.provisionWidget, h.provisionNames, h.provisionPlans)
	}
	d, err := verifier.LookupDialect(h.Dialect)
	if err == nil {
		h.plan, err = h.newPlan(d) // its answers refuse a CONNECT
	}
	return err
}

// atLine ends a message by the place in a Caddyfile, if there is one, as the adapter's errors do.
func atLine(line string) string {
	if line == "" {
		return ""
	}
	return ", at " + line
}

// inOrder returns the first error of the steps, and does not run those behind it.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkGuard refuses options that a guard has no use for.
func (h *Handler) checkGuard() error {
	if !h.Guard {
		return nil
	}
	used, err := json.Marshal(&Handler{Guard: true, Headers: h.Headers, Dialect: h.Dialect, Line: h.Line})
	if err != nil {
		return err
	}
	if given, err := json.Marshal(h); err != nil || string(given) != string(used) {
		return errors.New("a handler with \"guard\": true takes only the options headers and dialect: identify and jwks_path belong to the handler beside it")
	}
	return nil
}

func (h *Handler) provisionDefaults() error {
	h.Dialect, h.Refuse = cmp.Or(h.Dialect, verifier.DefaultDialect), cmp.Or(h.Refuse, refuseProblem)
	h.MaxBody, h.MaxUpload = cmp.Or(h.MaxBody, defaultMaxBody), cmp.Or(h.MaxUpload, defaultMaxUpload)
	switch {
	case h.Refuse != refuseProblem && h.Refuse != refuseError:
		return fmt.Errorf("refuse: '%s' is neither problem nor error", h.Refuse)
	case h.MaxBody < 0 || h.MaxBody > largestMaxBody:
		return fmt.Errorf("max_body: %d bytes is not from 1 byte to 1 GiB", h.MaxBody)
	case h.MaxUpload < 0 || h.MaxUpload > largestMaxUpload:
		return fmt.Errorf("max_upload: %d bytes is not from 1 byte to 1 TiB", h.MaxUpload)
	case h.StreamLifetime < 0:
		return errors.New("stream_lifetime must not be negative")
	case h.MaxAge < 0:
		return errors.New("max_age must be positive")
	case h.Skew != nil && *h.Skew < 0:
		return errors.New("skew must not be negative")
	case h.NonceLength < 0 || h.NonceLength > 512:
		return fmt.Errorf("nonce_length: %d is not from 1 to 512", h.NonceLength)
	}
	return inOrder(func() error { return checkOwnPath("identify", h.Identify) }, h.checkSession, h.CORS.Check, h.checkAssertion, h.provisionUnverified)
}

// unreplaced refuses a placeholder in an option where nothing would replace it.
func unreplaced(option, text string) error {
	if !strings.ContainsAny(text, "{}") {
		return nil
	}
	return fmt.Errorf("%s: '%s' has a placeholder, which nothing replaces here: write the text itself, or {$NAME}, which is replaced when the Caddyfile is read", option, text)
}

// checkOwnPath checks a path whose requests the handler answers itself.
func checkOwnPath(option, path string) error {
	why := "it begins with a slash, without scheme, host, wildcards, placeholders and percent escapes, and is matched as a whole"
	if i := strings.IndexAny(path, "?#"); i > 0 && path[0] == '/' {
		why = fmt.Sprintf("'%s' is a query or a fragment, which no path has", path[i:])
	} else if path == "" || path[0] == '/' && !strings.ContainsAny(path, "{}*%") {
		return nil
	}
	return ofOption(option, cmp.Or(unreplaced(option, path), fmt.Errorf("%s: '%s' is not a path: %s", option, path, why)))
}

// provisionUnverified determines which fields are cut out of an unverified claim.
func (h *Handler) provisionUnverified() error {
	h.Unverified = cmp.Or(h.Unverified, claimStrip)
	switch {
	case h.Unverified != claimStrip && h.Unverified != claimKeep:
		return fmt.Errorf("unverified: '%s' is neither strip nor keep", h.Unverified)
	case h.Unverified == claimKeep && len(h.UnverifiedFields) > 0:
		return fmt.Errorf("unverified: keep cuts nothing out, so no field can follow it, as '%s' does: write 'unverified strip %[1]s'", h.UnverifiedFields[0])
	}
	h.stripped = nil
	for _, name := range h.UnverifiedFields {
		var field verifier.Field
		err := field.UnmarshalText([]byte(name))
		switch {
		case err != nil:
			return fmt.Errorf("unverified: %w", choice.Unknown("field", name, strippableFields()))
		case field.Proves():
			return fmt.Errorf("unverified: %s is always cut out: list others, of %s", name, strings.Join(strippableFields(), ", "))
		case slices.Contains(h.stripped, field):
			return fmt.Errorf("unverified: %s is repeated", name)
		}
		h.stripped = append(h.stripped, field)
	}
	return nil
}

// strippableFields are the fields that unverified can list, for its errors.
func strippableFields() (names []string) {
	for f := verifier.UserID; f < verifier.Widget; f++ {
		if !f.Proves() {
			names = append(names, f.String())
		}
	}
	return names
}

// provisionPlans compiles the handler for its own dialect and for those that
// its widgets may have.
func (h *Handler) provisionPlans() error {
	dialect, err := verifier.LookupDialect(h.Dialect)
	if err != nil {
		return err
	}
	if h.plan, err = h.newPlan(dialect); err != nil {
		return err
	}
	if err := inOrder(h.checkRenamed, h.checkTimes, h.checkKeys, h.provisionWidgetText); err != nil {
		return err
	}
	h.rememberFor(h.plan)
	if err := h.checkFit(); err != nil {
		return err
	}
	if h.app != nil && h.own != "" && h.single == nil { // else the Caddyfile is read
		if err := h.provisionSingle(); err != nil {
			return err
		}
	}
	if h.ownClaim() {
		if h.single != nil && h.single.dialect != "" && h.single.dialect != h.Dialect {
			return fmt.Errorf("widget %s has the dialect %s, but this handler has a claim of its own in the dialect %s", h.single.id, h.single.dialect, h.Dialect)
		}
		return nil
	}
	h.plans = map[string]*plan{h.Dialect: h.plan}
	for _, d := range verifier.Dialects {
		if d.Name == h.Dialect || h.app == nil || h.single != nil && d.Name != h.single.dialect {
			continue // no request comes here in that dialect
		}
		p, err := h.newPlan(d)
		if err != nil {
			return err
		}
		h.plans[d.Name] = p
		h.rememberFor(p)
	}
	if w := h.single; w != nil && w.dialect != "" && h.plans[w.dialect].cutOnly {
		return fmt.Errorf("widget %s has the dialect %s, whose claims this handler cannot accept with its one_time or proof", w.id, w.dialect)
	}
	return nil
}

// checkKeys refuses secrets that are not written as the handler expects them.
func (h *Handler) checkKeys() error {
	if h.single == nil || h.single.inline == nil {
		return nil
	}
	return ofOption("key_encoding", h.single.decodes(h.plan))
}

func (h *Handler) provisionWidgetText() (err error) {
	if h.WidgetToken != "" {
		h.widgetText, err = verifier.NewTokenText(h.WidgetToken)
	}
	return ofOption("widget token", err)
}

// checkTimes refuses options about fields that no claim here signs, in the handler's
// dialect or in that of a widget that its requests may name.
func (h *Handler) checkTimes() error {
	if !h.ownClaim() && h.own == "" && (h.single == nil || h.single.dialect != "") {
		return nil
	}
	for _, o := range [...]struct {
		option string
		given  bool
		needs  verifier.Field
	}{
		{"max_age", h.MaxAge != 0, verifier.Timestamp}, {"skew", h.Skew != nil, verifier.Timestamp},
		{"timestamp_unit", h.TimestampUnit != "", verifier.Timestamp}, {"nonce_length", h.NonceLength != 0, verifier.Nonce},
	} {
		if o.option == "skew" && h.plan.policy.TakesToken() {
			continue
		}
		switch p := &h.plan.policy; {
		case !o.given || h.plan.verifier.Signs(o.needs):
		case p.Message == "" && o.option == "max_age":
			return ofOption(o.option, fmt.Errorf("max_age: the dialect %s has tokens alone, which say themselves until when they are good: "+
				"bound that by 'max_lifetime' in the token block", h.Dialect))
		case p.Message == "":
			return ofOption(o.option, fmt.Errorf("%s: the dialect %s has tokens alone, in which it has no meaning", o.option, h.Dialect))
		default:
			return ofOption(o.option, fmt.Errorf("%s needs a signed %s, which the message %q does not have", o.option, o.needs, p.Message))
		}
	}
	return nil
}
