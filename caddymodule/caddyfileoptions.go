package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func (h *Handler) widgetOption(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	const wanted = "widget takes an id, as in 'widget shop', a text with placeholders, as in 'widget {header.X-Widget-Key}', or a place, as in 'widget body /widget_key' or 'widget token /aud'"
	locations := []string{"header", "query", "cookie"}
	switch {
	case len(args) == 0:
		return errors.New(wanted)
	case len(args) == 1 && (args[0] == "body" || args[0] == "token"):
		return fmt.Errorf("widget %[1]s needs a JSON pointer, as in 'widget %[1]s /widget_key'", args[0])
	case len(args) == 1 && slices.ContainsFunc(locations, func(location string) bool { return strings.HasPrefix(args[0], location+".") }):
		return fmt.Errorf("the braces are missing: write 'widget {%s}'", args[0])
	case len(args) == 1 && args[0] != "":
		h.Widget = args[0]
	case len(args) == 2 && slices.Contains(locations, args[0]):
		return fmt.Errorf("widget takes no location but body and token: write 'widget {%s.%s}'", args[0], args[1])
	case len(args) == 2 && args[0] == "body":
		h.WidgetBody = args[1]
		return checkPointer("widget body", h.WidgetBody)
	case len(args) == 2 && args[0] == "token":
		h.WidgetToken = args[1]
		return checkPointer("widget token", h.WidgetToken)
	default:
		return errors.New(wanted)
	}
	return nil
}

func (h *Handler) claimOption(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	inOrder, err := verifier.ParseClaim(args)
	if len(args) > 2 && args[0] == verifier.Widget.String() { // which only a dialect places so
		err = errors.New("claim widget: a widget is named by 'widget', as in 'widget {query.app_id}'")
	}
	if err != nil {
		return err
	}
	c := ClaimPlace{Field: inOrder[0].Field.String()}
	for i, p := range inOrder {
		e := ElsePlace{p.Location, p.Name, p.Within, p.Base64}
		if i == 0 {
			c.ElsePlace = e
		} else {
			c.Else = append(c.Else, e)
		}
	}
	if _, err := c.places(h); err != nil {
		return err
	}
	h.Claims = append(h.Claims, c)
	return nil
}

func (h *Handler) unverifiedOption(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return errors.New("unverified takes keep, or strip and further fields to cut out, as in 'unverified strip email phone'")
	}
	h.Unverified, h.UnverifiedFields = args[0], args[1:]
	if len(h.UnverifiedFields) == 0 {
		h.UnverifiedFields = nil
	}
	return h.provisionUnverified()
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
		return fmt.Errorf("%s needs a location and a name, as in '%s body /%s_id', or a text with placeholders", option, option, option)
	}
	return nil
}

func (h *Handler) conversationOption(d *caddyfile.Dispenser) error {
	h.Conversation = new(Conversation)
	if err := h.Conversation.unmarshal(d); err != nil {
		return err
	}
	return conversationBlock.each(d, func(name string) error {
		if name == "keep" {
			return durationArg(d, &h.Conversation.Keep, caddy.Duration(minKeep))
		}
		return numberArg(d, &h.Conversation.Limit, 1, maxLimit)
	})
}

func (h *Handler) rejectOption(d *caddyfile.Dispenser) error {
	var reason, text string
	if !d.Args(&reason, &text) || d.NextArg() {
		return errors.New("reject needs a reason and a status, as in 'reject invalid 403'")
	}
	if _, err := judgment.ParseReason(reason); err != nil {
		if digits(reason) {
			return fmt.Errorf("reject: the reason comes first, as in 'reject %s %s'", text, reason)
		}
		return fmt.Errorf("reject: %v", err)
	}
	status, err := strconv.Atoi(text)
	if err != nil || status < 400 || status > 599 {
		return fmt.Errorf("reject %s: '%s' is not a status from 400 to 599", reason, text)
	}
	if _, twice := h.Reject[reason]; twice {
		return fmt.Errorf("reject %s is repeated", reason)
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
		return fmt.Errorf("header needs one of %s and a header's name or off, as in 'header user X-Chat-User'", strings.Join(headerKeys[:], ", "))
	}
	if _, twice := h.Headers[key]; twice {
		return fmt.Errorf("header %s is repeated", key)
	}
	if h.Headers == nil {
		h.Headers = make(map[string]string)
	}
	h.Headers[key] = name
	return (&Handler{Headers: h.Headers}).provisionHeaders()
}

func (h *Handler) corsOption(d *caddyfile.Dispenser) error {
	if h.CORS = d.RemainingArgs(); len(h.CORS) == 0 {
		return errors.New("cors needs at least one origin, as in 'cors https://www.example.com'")
	}
	return h.CORS.Check()
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)

func dialectArg(d *caddyfile.Dispenser, to *string) error {
	if err := oneArg(d, to, "one of "+adminapi.Dialects()); err != nil {
		return err
	}
	_, err := verifier.LookupDialect(*to)
	return err
}

// checkClaim refuses a change that makes a dialect invalid.
func checkClaim(change func(*verifier.Dialect)) error {
	d := verifier.Dialects[0]
	change(&d)
	_, err := d.Reader()
	return err
}

func checkPointer(name, pointer string) error {
	if err := (&verifier.Place{Name: pointer}).Check(); err != nil {
		return fmt.Errorf("%s: %v", name, err)
	}
	return nil
}

func enumArg(d *caddyfile.Dispenser, to *string, values ...string) error {
	name, wanted := d.Val(), strings.Join(values, " or ")
	if err := oneArg(d, to, wanted); err != nil {
		return err
	}
	if slices.Contains(values, *to) {
		return nil
	}
	return fmt.Errorf("%s: %w", name, choice.Unknown("value", *to, values))
}
