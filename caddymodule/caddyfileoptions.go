package caddymodule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

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
			return d.Errf("claim %s: unexpected '%s': further places follow the field, location and name, as in 'claim user_id body /id else body /email'", c.Field, d.Val())
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
		return d.Err("unverified takes keep, or strip and further fields to cut out, as in 'unverified strip email phone'")
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
	return eachOption(d, nil, nil, func(name string) error {
		switch name {
		case "keep":
			return durationArg(d, &h.Conversation.Keep, caddy.Duration(minKeep))
		case "limit":
			return numberArg(d, &h.Conversation.Limit, 1, maxLimit)
		}
		return d.Errf("unknown option '%s' of conversation: one of keep, limit", name)
	})
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
		return d.Errf("reject %s is repeated", reason)
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
		return d.Errf("header %s is repeated", key)
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

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)

// eachOption visits the options of a block. An option may be repeated, or have a block
// of its own, only if it is listed.
func eachOption(d *caddyfile.Dispenser, repeatable, blocks []string, visit func(name string) error) error {
	seen, nesting := make(map[string]bool), d.Nesting()
	for d.NextBlock(nesting) {
		name := d.Val()
		if seen[name] && !slices.Contains(repeatable, name) {
			return d.Errf("%s is repeated", name)
		}
		seen[name] = true
		if err := visit(name); err != nil {
			return err
		}
		if !slices.Contains(blocks, name) && (d.NextBlock(nesting+1) || d.Val() == "}") {
			return d.Errf("%s has no block", name)
		}
	}
	return nil
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

// checkClaim refuses a change that makes a dialect invalid.
func checkClaim(change func(*verifier.Dialect)) error {
	d := verifier.Dialects[0]
	change(&d)
	_, err := d.Reader()
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

// sizeArg takes a size in bytes, such as 1MiB, from min to max.
func sizeArg(d *caddyfile.Dispenser, to *int64, min, max uint64) error {
	name := d.Val()
	var text string
	if err := oneArg(d, &text, "a size, as in '"+name+" 64MiB'"); err != nil {
		return err
	}
	size, err := humanize.ParseBytes(text)
	if err != nil || size < min || size > max {
		return d.Errf("%s: '%s' is not a size from %s to %s, such as 64MiB", name, text, humanize.IBytes(min), humanize.IBytes(max))
	}
	*to = int64(size)
	return nil
}

func durationArg(d *caddyfile.Dispenser, to *caddy.Duration, min caddy.Duration) error {
	var text string
	name := d.Val()
	if err := oneArg(d, &text, "a duration, as in '"+name+" 5m'"); err != nil {
		return err
	}
	value, err := caddy.ParseDuration(text)
	if err == nil && value > 0 && caddy.Duration(value) < min {
		return d.Errf("%s: '%s' is too short: it is at least %v", name, text, time.Duration(min))
	}
	if err != nil || caddy.Duration(value) < min {
		return d.Errf("%s: '%s' is not a valid duration, such as 30s or 5m", name, text)
	}
	*to = caddy.Duration(value)
	return nil
}

func numberArg(d *caddyfile.Dispenser, to *int, min, max int) error {
	var text string
	name := d.Val()
	if err := oneArg(d, &text, "a number"); err != nil {
		return err
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < min || value > max {
		return d.Errf("%s: '%s' is not a number from %d to %d", name, text, min, max)
	}
	*to = value
	return nil
}
