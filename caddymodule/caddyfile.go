package caddymodule

import (
	"errors"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	httpcaddyfile.RegisterDirective("chat_identity", parseDirective)
	// After request_header, so that an operator's "request_header -X-Verified-*"
	// does not remove what this module sets.
	httpcaddyfile.RegisterDirectiveOrder("chat_identity", httpcaddyfile.After, "request_header")
}

// parseDirective returns the directive's routes. Caddy sorts the first by its matcher,
// the more specific path first. If there is a matcher, a second route without one
// guards every request of the site.
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
	named := Handler{Headers: handler.Headers}
	if err := named.provisionHeaders(); err != nil {
		return nil, at.WrapErr(err)
	}
	if err := sites.CheckMatcher(matcher, named.renamed); err != nil {
		return nil, at.WrapErr(err)
	}
	guard := &Handler{Guard: true, Headers: handler.Headers, Dialect: handler.Dialect, Line: handler.Line}
	return append(h.NewRoute(matcher, handler), h.NewRoute(nil, guard)...), nil
}

// UnmarshalCaddyfile sets up the handler. Syntax:
//
//	chat_identity [<matcher>] [off|optional|required] {
//	    dialect      <name>
//	    widget       <text with placeholders>
//	    widget       body <json-pointer>
//	    widget       token <json-pointer>
//	    secret       <secret>...
//	    public_key   <PEM>...
//	    jwks         <https url>|<file>
//	    key_encoding text|hex|base64|base64url
//	    proof        any|signature|token
//	    token {
//	        algorithm    <name>...
//	        user_id      <json-pointer>...
//	        email|name|phone|company <json-pointer>
//	        attributes   <json-pointer>|rest
//	        require      <json-pointer> <value>...
//	        forbid       <json-pointer>...
//	        max_lifetime <duration>
//	        no_expiry
//	    }
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
//	    session      <lifetime>
//	    refuse       problem|error
//	    unverified   strip [<field>...]|keep
//	    max_body     <size>
//	    max_upload   <size>
//	    reject       <reason> <status>
//	    header       <name> <header>|off
//	    cors         <origin>...
//	    assertion    <audience>
//	    jwks_path    <path>
//	    stream_lifetime <duration>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	segment := *d
	return hideSecrets(h.unmarshal(d), segment)
}

func (h *Handler) unmarshal(d *caddyfile.Dispenser) error {
	directive := *d
	h.Line = position(d)
	if d.NextArg() {
		given, _, _ := strings.Cut(strings.ReplaceAll(d.Val(), ":", "="), "=")
		if err := h.Mode.UnmarshalText([]byte(d.Val())); err != nil || h.Mode == widgets.ModeUnset {
			if strings.Contains(d.Val(), "/") {
				return d.Errf("'%s' is neither a mode nor a path matcher, which begins with a slash, as in '/chat/*'", d.Val())
			}
			return d.WrapErr(withPlaceholderNote(choice.Unknown("mode", given, []string{"off", "optional", "required"}), []string{d.Val()}))
		}
	}
	if d.NextArg() {
		if strings.IndexAny(d.Val(), "/@*") == 0 {
			return d.Errf("unexpected '%s': the matcher goes before the mode, as in 'chat_identity %s %s'", d.Val(), d.Val(), h.Mode)
		}
		return d.Errf("unexpected '%s': only a block may follow the mode", d.Val())
	}
	seen := make(map[string]caddyfile.Dispenser) // the position of each option
	err := handlerBlock.each(d, func(name string) error {
		seen[name] = *d
		if first := *d; first.NextArg() {
			seen[name+" "+first.Val()] = *d
		}
		return h.unmarshalOption(d, name)
	})
	if err != nil {
		return err
	}
	err = h.check()
	if fault, ok := errors.AsType[*optionError](err); ok {
		if at, written := seen[fault.option]; written {
			return wrap(&at, err)
		}
	}
	return wrap(&directive, err)
}

// optionError is an error about one option that is found when all of them are known.
// The option, with its first argument if it can be repeated, gives the line.
type optionError struct {
	option string
	error
}

func (e *optionError) Unwrap() error { return e.error }

// ofOption attributes an error, if there is one, to an option.
func ofOption(option string, err error) error {
	if err == nil {
		return nil
	}
	return &optionError{option, err}
}

// check validates the options together while file and line are known. What depends
// on the environment is left to Provision.
func (h *Handler) check() error {
	dry := *h
	if h.Conversation != nil {
		dry.Conversation = new(*h.Conversation) // a copy, to keep defaults out of the JSON
	}
	if err := inOrder(dry.provisionDefaults, dry.provisionHeaders, dry.checkWidget, dry.provisionNames); err != nil {
		return err
	}
	if _, err := dry.newText(verifier.Widget, dry.Widget); err != nil {
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
		return secretArgs(d, &h.Secrets, "CHAT_IDENTITY_SECRET")
	case "public_key":
		return publicKeyArgs(d, &h.PublicKeys)
	case "jwks":
		return oneArg(d, &h.JWKS, "the https URL or the file of a key set, as in 'jwks https://login.example.com/.well-known/jwks.json'")
	case "claim":
		return h.claimOption(d)
	case "proof":
		return enumArg(d, &h.Proof, "any", "signature", "token")
	case "token":
		h.Token = new(Token)
		return h.Token.unmarshal(d)
	case "key_encoding":
		return enumArg(d, &h.KeyEncoding, verifier.KeyEncodings...)
	case "at":
		if err := oneArg(d, &h.At, "a JSON pointer, as in 'at /message/sender'"); err != nil {
			return err
		}
		return checkPointer(name, h.At)
	case "message":
		if err := oneArg(d, &h.Message, `a template, as in 'message "{user_id}{nonce}{timestamp}"'`); err != nil {
			return err
		}
		return checkClaim(func(c *verifier.Dialect) { c.Message = h.Message })
	case "encoding":
		if err := oneArg(d, &h.Encoding, "hex, base64 or base64url"); err != nil {
			return err
		}
		return checkClaim(func(c *verifier.Dialect) { c.Encoding = h.Encoding })
	case "max_age":
		return durationArg(d, &h.MaxAge, 1)
	case "skew":
		h.Skew = new(caddy.Duration)
		return durationArg(d, h.Skew, 0)
	case "one_time":
		return flagArg(d, &h.OneTime)
	case "conversation":
		return h.conversationOption(d)
	case "visitor":
		h.Visitor = new(Naming)
		return h.Visitor.unmarshal(d)
	case "identify":
		return oneArg(d, &h.Identify, "a path, as in 'identify /chat/identify'")
	case "session":
		return durationArg(d, &h.Session, caddy.Duration(minSession), h.checkLifetime)
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
	case "assertion":
		return oneArg(d, &h.Assertion, "the audience, a name of the upstream, as in 'assertion https://chat.internal'")
	case "stream_lifetime":
		return durationArg(d, &h.StreamLifetime, caddy.Duration(time.Second))
	case "jwks_path":
		return oneArg(d, &h.JWKSPath, "a path, as in 'jwks_path /.well-known/chat-identity/jwks.json'")
	}
	return nil
}
