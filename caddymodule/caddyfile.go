package caddymodule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	httpcaddyfile.RegisterDirective("chat_identity", parseDirective)
	// After request_header, so that an operator's "request_header -X-Verified-*"
	// does not remove what this module sets.
	httpcaddyfile.RegisterDirectiveOrder("chat_identity", httpcaddyfile.After, "request_header")
}

// parseDirective returns the directive's routes. One has its matcher, by which
// Caddy sorts it among its siblings, the more specific path first. Behind a
// matcher comes one without: it guards every request of the site.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	at := *h.Dispenser // the directive's line
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, wrap(h.Dispenser, err)
	}
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if matcher == nil {
		return h.NewRoute(nil, handler), nil
	}
	if err := handler.checkMatcher(matcher); err != nil {
		return nil, at.WrapErr(err)
	}
	return append(h.NewRoute(matcher, handler), h.NewRoute(nil, handler.guard())...), nil
}

// guard returns the handler of the requests that the matcher leaves out: all of
// it where there are identify() calls to answer.
func (h *Handler) guard() *Handler {
	g := &Handler{Headers: h.Headers, Dialect: h.Dialect}
	if h.Identify != "" {
		*g = *h
	}
	g.Guard = true
	return g
}

// checkMatcher refuses a matcher that reads what this directive finds, or a header
// of ours: it is evaluated before that is removed, so that the client would choose
// what is verified.
func (h *Handler) checkMatcher(matcher caddy.ModuleMap) error {
	if anyWritten(matcher, readsOutcome) {
		return errOwnOutcome
	}
	named := &Handler{Headers: h.Headers}
	if err := named.provisionHeaders(); err != nil {
		return err
	}
	read := ""
	anyWritten(matcher, func(name, text string) bool {
		read = readsHeader(name, text, named.renamed)
		return read != ""
	})
	if read != "" {
		return fmt.Errorf("the matcher reads %s headers, which have not been stripped yet when it is evaluated: match something else", read)
	}
	return nil
}

// UnmarshalCaddyfile sets up the handler. Syntax:
//
//	chat_identity [<matcher>] [off|optional|required] {
//	    dialect      <name>
//	    widget       <text with placeholders>
//	    widget       body <json-pointer>
//	    secret       <secret>...
//	    claim        <field> body|query|header|cookie <name> [else <location> <name>]...
//	    at           <json-pointer>
//	    message      <template>
//	    encoding     hex|base64|base64url
//	    max_age      <duration>
//	    skew         <duration>
//	    one_time
//	    nonce_length <n>
//	    timestamp_unit seconds|milliseconds
//	    conversation <location> <name>|<text with placeholders> {
//	        keep <duration>
//	        limit <n>
//	    }
//	    visitor      <location> <name>|<text with placeholders>
//	    identify     <path>
//	    refuse       problem|error
//	    unverified   strip [<field>...]|keep
//	    max_body     <size>
//	    max_upload   <size>
//	    reject       <reason> <status>
//	    header       <name> <header>|off
//	    cors         <origin>...
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		if err := h.Mode.UnmarshalText([]byte(d.Val())); err != nil || h.Mode == widgets.ModeUnset {
			if strings.Contains(d.Val(), "/") {
				return d.Errf("'%s' is neither a mode nor a path matcher, which begins with a slash, as in '/chat/*'", d.Val())
			}
			return d.Errf("'%s' is no mode: one of off, optional, required", d.Val())
		}
	}
	if d.NextArg() {
		if strings.IndexAny(d.Val(), "/@*") == 0 {
			return d.Errf("unexpected '%s': the matcher goes before the mode, as in 'chat_identity %s %s'", d.Val(), d.Val(), h.Mode)
		}
		return d.Errf("unexpected '%s': after the mode only a block follows", d.Val())
	}
	seen := make(map[string]caddyfile.Dispenser) // each where its option is
	for d.NextBlock(0) {
		name := d.Val()
		if _, twice := seen[name]; twice && name != "claim" && name != "reject" && name != "header" {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = *d
		if err := h.unmarshalOption(d, name); err != nil {
			return err
		}
		if name != "conversation" && (d.NextBlock(1) || d.Val() == "}") {
			return d.Errf("%s has no block", name)
		}
	}
	err := h.check()
	var fault *optionError
	if errors.As(err, &fault) {
		if at, written := seen[fault.option]; written {
			return at.WrapErr(err)
		}
	}
	return wrap(d, err)
}

// optionError is an error of one option that only the handler's other options
// show, or that JSON can hold as well. It says which one, for the line.
type optionError struct {
	option string
	error
}

func (e *optionError) Unwrap() error { return e.error }

// ofOption says which option an error is of, if there is one.
func ofOption(option string, err error) error {
	if err == nil {
		return nil
	}
	return &optionError{option, err}
}

// check finds what is wrong with the options taken together while file and
// line are known. What depends on the environment is left to Provision.
func (h *Handler) check() error {
	dry := *h
	if h.Conversation != nil {
		dry.Conversation = new(*h.Conversation) // whose defaults are not to be written out
	}
	for _, check := range []func() error{dry.provisionDefaults, dry.provisionHeaders, dry.checkWidget, dry.provisionNames} {
		if err := check(); err != nil {
			return err
		}
	}
	if _, err := dry.newNamedText(verifier.Widget, dry.Widget); err != nil {
		return ofOption("widget", err)
	}
	return dry.provisionPlans()
}

func (h *Handler) unmarshalOption(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "dialect":
		return dialectArg(d, &h.Dialect)
	case "widget":
		return h.widgetOption(d)
	case "secret":
		if h.Secrets = d.RemainingArgs(); len(h.Secrets) == 0 {
			return d.Err("secret needs at least one secret, as in 'secret {env.CHAT_IDENTITY_SECRET}'")
		}
		return wrap(d, checkLiterals(h.Secrets))
	case "claim":
		return h.claimOption(d)
	case "at":
		if err := oneArg(d, &h.At, "a JSON pointer, as in 'at /message/sender'"); err != nil {
			return err
		}
		return pointerArg(d, name, h.At)
	case "message":
		if err := oneArg(d, &h.Message, `a template, as in 'message "{user_id}{nonce}{timestamp}"'`); err != nil {
			return err
		}
		return wrap(d, checkClaim(func(c *verifier.Dialect) { c.Message = h.Message }))
	case "encoding":
		if err := oneArg(d, &h.Encoding, "hex, base64 or base64url"); err != nil {
			return err
		}
		return wrap(d, checkClaim(func(c *verifier.Dialect) { c.Encoding = h.Encoding }))
	case "max_age":
		return durationArg(d, &h.MaxAge, 1)
	case "skew":
		h.Skew = new(caddy.Duration)
		return durationArg(d, h.Skew, 0)
	case "one_time":
		if h.OneTime = true; d.NextArg() {
			return d.Errf("unexpected '%s': one_time takes no argument", d.Val())
		}
		return nil
	case "conversation":
		return h.conversationOption(d)
	case "visitor":
		h.Visitor = new(Naming)
		return h.Visitor.unmarshal(d)
	case "identify":
		return oneArg(d, &h.Identify, "a path, as in 'identify /chat/identify'")
	case "nonce_length":
		return numberArg(d, &h.NonceLength, 1, 512)
	case "timestamp_unit":
		return enumArg(d, &h.TimestampUnit, "seconds", "milliseconds")
	case "refuse":
		return enumArg(d, &h.Refuse, refuseProblem, refuseError)
	case "unverified":
		return h.unverifiedOption(d)
	case "max_body":
		return sizeArg(d, &h.MaxBody, 1, largestMaxBody)
	case "max_upload":
		return sizeArg(d, &h.MaxUpload, 1, largestMaxUpload)
	case "reject":
		return h.rejectOption(d)
	case "header":
		return h.headerOption(d)
	case "cors":
		return h.corsOption(d)
	}
	if name == "mode" {
		return d.Err("the mode goes on the directive's own line, as in 'chat_identity required {'")
	}
	return d.Errf("unknown option '%s': one of dialect, widget, secret, claim, at, message, encoding, max_age, skew, "+
		"one_time, nonce_length, timestamp_unit, conversation, visitor, identify, refuse, unverified, max_body, max_upload, reject, header, cors", name)
}

func (h *Handler) widgetOption(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "body":
		return d.Err("widget body needs a JSON pointer, as in 'widget body /widget_key'")
	case len(args) == 1 && args[0] != "":
		h.Widget = args[0]
	case len(args) == 2 && args[0] == "body":
		h.WidgetBody = args[1]
		return pointerArg(d, "widget body", h.WidgetBody)
	default:
		return d.Err("widget takes an id, as in 'widget shop', a text with placeholders, as in 'widget {header.X-Widget-Key}', or a place, as in 'widget body /widget_key'")
	}
	return nil
}

func (h *Handler) claimOption(d *caddyfile.Dispenser) error {
	var c ClaimPlace
	if !d.Args(&c.Field, &c.Location, &c.Name) {
		return d.Err("claim needs a field, a location and a name, as in 'claim user_id header X-User-Id'")
	}
	for d.NextArg() {
		var e ElsePlace
		if d.Val() != "else" {
			return d.Errf("claim %s: unexpected '%s': behind a field, a location and a name come further places, as in 'claim user_id body /id else body /email'", c.Field, d.Val())
		}
		if !d.Args(&e.Location, &e.Name) {
			return d.Errf("claim %s: else needs a location and a name, as in 'claim user_id body /id else body /email'", c.Field)
		}
		c.Else = append(c.Else, e)
	}
	if _, err := c.places(h); err != nil {
		return wrap(d, err)
	}
	h.Claims = append(h.Claims, c)
	return nil
}

func (h *Handler) unverifiedOption(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("unverified takes strip, which fields may follow that are cut out as well, or keep: as in 'unverified strip email phone'")
	}
	h.Unverified, h.UnverifiedFields = args[0], args[1:]
	if len(h.UnverifiedFields) == 0 {
		h.UnverifiedFields = nil
	}
	return wrap(d, h.provisionUnverified())
}

// unmarshal reads where a request names something.
func (n *Naming) unmarshal(d *caddyfile.Dispenser) error {
	option := d.Val()
	switch args := d.RemainingArgs(); {
	case len(args) == 1 && strings.Contains(args[0], "{"):
		n.Text = args[0]
	case len(args) == 2:
		n.Location, n.Name = args[0], args[1]
	default:
		return d.Errf("%s needs a location and a name, as in '%s body /%s_id', or a text with placeholders", option, option, option)
	}
	return nil
}

func (h *Handler) conversationOption(d *caddyfile.Dispenser) error {
	h.Conversation = new(Conversation)
	if err := h.Conversation.unmarshal(d); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for d.NextBlock(1) {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		var err error
		switch name {
		case "keep":
			err = durationArg(d, &h.Conversation.Keep, caddy.Duration(leastKeep))
		case "limit":
			err = numberArg(d, &h.Conversation.Limit, 1, maxLimit)
		default:
			err = d.Errf("unknown option '%s' of conversation: one of keep, limit", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) rejectOption(d *caddyfile.Dispenser) error {
	var reason, text string
	if !d.Args(&reason, &text) || d.NextArg() {
		return d.Err("reject needs a reason and a status, as in 'reject invalid 403'")
	}
	if _, err := judgment.ParseReason(reason); err != nil {
		return d.Errf("reject: %v", err)
	}
	status, err := strconv.Atoi(text)
	if err != nil || status < 400 || status > 599 {
		return d.Errf("reject %s: '%s' is not a status from 400 to 599", reason, text)
	}
	if _, twice := h.Reject[reason]; twice {
		return d.Errf("reject %s is given twice", reason)
	}
	if h.Reject == nil {
		h.Reject = make(map[string]int)
	}
	h.Reject[reason] = status
	return nil
}

func (h *Handler) headerOption(d *caddyfile.Dispenser) error {
	var key, name string
	if !d.Args(&key, &name) || d.NextArg() {
		return d.Errf("header needs one of %s and a header's name or off, as in 'header user X-Chat-User'", strings.Join(headerKeys[:], ", "))
	}
	if _, twice := h.Headers[key]; twice {
		return d.Errf("header %s is given twice", key)
	}
	if h.Headers == nil {
		h.Headers = make(map[string]string)
	}
	h.Headers[key] = name
	return wrap(d, (&Handler{Headers: h.Headers}).provisionHeaders())
}

func (h *Handler) corsOption(d *caddyfile.Dispenser) error {
	if h.CORS = d.RemainingArgs(); len(h.CORS) == 0 {
		return d.Err("cors needs at least one origin, as in 'cors https://www.example.com'")
	}
	return wrap(d, h.CORS.Check())
}

// wrap adds file and line to an error, if there is one.
func wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// oneArg takes the only argument of an option.
func oneArg(d *caddyfile.Dispenser, to *string, wanted string) error {
	name := d.Val()
	if !d.AllArgs(to) || *to == "" {
		return d.Errf("%s takes one argument: %s", name, wanted)
	}
	return nil
}

func dialectArg(d *caddyfile.Dispenser, to *string) error {
	if err := oneArg(d, to, "one of "+adminapi.Dialects()); err != nil {
		return err
	}
	_, err := verifier.LookupDialect(*to)
	return wrap(d, err)
}

// checkClaim refuses what makes of a dialect one that cannot be.
func checkClaim(change func(*verifier.Dialect)) error {
	d := verifier.Dialects[0]
	change(&d)
	_, err := d.Verifier()
	return err
}

func pointerArg(d *caddyfile.Dispenser, name, pointer string) error {
	if err := (&verifier.Place{Name: pointer}).Check(); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	return nil
}

func enumArg(d *caddyfile.Dispenser, to *string, values ...string) error {
	name, wanted := d.Val(), strings.Join(values, " or ")
	if err := oneArg(d, to, wanted); err != nil {
		return err
	}
	for _, value := range values {
		if *to == value {
			return nil
		}
	}
	return d.Errf("%s: '%s' is not %s", name, *to, wanted)
}

// sizeArg takes a size in bytes, such as 1MiB.
func sizeArg(d *caddyfile.Dispenser, to *int64, least, most uint64) error {
	name := d.Val()
	var text string
	if err := oneArg(d, &text, "a size, as in '"+name+" 64MiB'"); err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size < least || size > most {
		return d.Errf("%s: '%s' is not a size from %s to %s, such as 64MiB", name, text, humanize.IBytes(least), humanize.IBytes(most))
	}
	*to = int64(size)
	return nil
}

func durationArg(d *caddyfile.Dispenser, to *caddy.Duration, least caddy.Duration) error {
	var text string
	name := d.Val()
	if err := oneArg(d, &text, "a duration, as in '"+name+" 5m'"); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err == nil && value > 0 && caddy.Duration(value) < least {
		return d.Errf("%s: '%s' is too short: it is at least %v", name, text, time.Duration(least))
	}
	if err != nil || caddy.Duration(value) < least {
		return d.Errf("%s: '%s' is no duration that makes sense here, such as 30s or 5m", name, text)
	}
	*to = caddy.Duration(value)
	return nil
}

func numberArg(d *caddyfile.Dispenser, to *int, least, most int) error {
	var text string
	name := d.Val()
	if err := oneArg(d, &text, "a number"); err != nil {
		return err
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		return d.Errf("%s: '%s' is no number from %d to %d", name, text, least, most)
	}
	*to = value
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
