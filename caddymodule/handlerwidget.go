package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// checkWidget refuses options that do not determine a request's widget.
func (h *Handler) checkWidget() error {
	if err := h.checkOwn(); err != nil {
		return err
	}
	d, _ := verifier.LookupDialect(h.Dialect) // an unknown one is refused with the plans
	h.own = h.ownOption()
	inClaim := h.WidgetBody != "" || h.WidgetToken != ""
	unnamed := h.Widget == "" && !inClaim
	named := inClaim || strings.Contains(h.Widget, "{") // by the request
	switch {
	case h.Widget != "" && inClaim || h.WidgetBody != "" && h.WidgetToken != "":
		return errors.New("widget is either a text, a place in the body or one in a token, not two of them")
	case h.Widget == "body" || h.Widget == "token":
		return ofOption("widget", fmt.Errorf("widget %[1]s needs a JSON pointer, as in 'widget %[1]s /widget', and is no widget's id", h.Widget))
	case h.Widget == defaultWidget:
		return ofOption("widget", fmt.Errorf("widget id '%s' is reserved: a handler with a secret and without a widget line has it already", defaultWidget))
	case !named && !unnamed && !widgets.ValidID(h.Widget):
		return ofOption("widget", badWidgetID(h.Widget))
	case named && h.own == "secret":
		return ofOption(h.own, errors.New("a handler with a secret has a single widget: name it by a literal, or define widgets in the global chat_identity block"))
	case named && h.own != "":
		return ofOption(h.own, fmt.Errorf("a handler with %s has a single widget: name it by a literal, or create widgets with 'caddy chat-identity create <id> --public-key' or '--jwks'", h.own))
	case unnamed && h.own == "" && h.Mode != widgets.ModeOff && !d.NamesWidget():
		return errors.New("no widget: add 'secret {env.NAME}' for a single one, or 'widget {header.NAME}' to have requests name theirs")
	}
	h.widgetInClaim = h.own == "" && (inClaim || unnamed && d.NamesWidget())
	return nil
}

// provisionWidget determines how a request's widget is found.
func (h *Handler) provisionWidget() error {
	if err := h.checkWidget(); err != nil {
		return err
	}
	app := h.app
	if h.OneTime || h.Conversation != nil || h.Visitor != nil {
		h.ledger = app.useLedger()
	}
	switch {
	case h.own == "secret":
		return h.provisionSingle()
	case h.own != "":
		return nil // its keys need the plan: see provisionPlans
	case h.Widget == "" && !h.widgetInClaim:
		return nil // mode off
	}
	if h.single = app.useStore(h.Widget); h.single != nil || h.Widget == "" {
		return nil
	}
	if strings.Contains(h.Widget, "{") {
		var err error
		h.named, err = h.newText(verifier.Widget, h.Widget)
		return err
	}
	h.literal = []byte(h.Widget)
	if !app.stored(h.Widget) {
		h.find(findings.WidgetUnstored, "widget "+h.Widget+" is neither inline nor stored, so no request verifies until it is")
	}
	return nil
}

// provisionSingle creates the handler's own widget.
func (h *Handler) provisionSingle() error {
	where := h.describe()
	id := cmp.Or(h.Widget, defaultWidget)
	var w *widget
	var literals bool
	var err error
	if h.own == "secret" {
		w, literals, err = newWidget(id, h.Secrets, widgets.ModeUnset, "")
	} else {
		w, err = h.publicWidget(id)
	}
	if err != nil {
		return err
	}
	checkSecrets(w, literals, h.find)
	// Caddy's request trace prints exported fields.
	h.Secrets = nil
	h.single, err = h.app.addOwner(w, h, where)
	return err
}

// handlerWidget is the own widget of one or more handlers.
type handlerWidget struct {
	w       *widget
	site    string       // of the first handler
	mode    widgets.Mode // of the handlers, widgets.ModeUnset if they differ
	dialect string       // of the handlers, "" if they differ
}

// addOwner registers a handler's own widget. A user is identified by widget and user id, so no
// widget id, not even `default`, may have two lists of secrets: either customer could sign
// for the other's users. It returns the inline widget with that id if there is one, since
// its mode and dialect hold everywhere.
func (a *App) addOwner(w *widget, h *Handler, site string) (*widget, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	declared := a.inline[w.id]
	if declared != nil && declared.inline.digest != w.inline.digest {
		return nil, otherSecrets(w, declared, site, "the global chat_identity block")
	}
	mode := h.modeFor(nil)
	switch known := a.owners[w.id]; {
	case known == nil:
		a.owners[w.id], a.own[w.id] = &handlerWidget{w, site, mode, h.Dialect}, cmp.Or(declared, w)
	case known.w.inline.digest != w.inline.digest:
		return nil, otherSecrets(w, known.w, site, known.site)
	default:
		if known.mode != mode {
			known.mode = widgets.ModeUnset
		}
		if known.dialect != h.Dialect {
			known.dialect = ""
		}
	}
	return cmp.Or(declared, w), nil
}

func otherSecrets(w, known *widget, site, other string) error {
	id, what := w.id, "secrets"
	if w.kind() != widgets.Secrets || known.kind() != widgets.Secrets {
		what = "keys"
	}
	if id == defaultWidget {
		return fmt.Errorf("two handlers without a widget name have different %s (their order counts), so either customer could sign for the other's users: "+
			"give each a name, as in 'widget shop' and 'widget support'. They are: %s; and %s", what, site, other)
	}
	return fmt.Errorf("widget %s has different %s elsewhere in this configuration: give one of the two another id, "+
		"or define it once in the global chat_identity block. They are: %s; and %s", id, what, site, other)
}

// describe tells an operator where the handler is, and where its secrets or keys come from.
func (h *Handler) describe() string {
	words := []string{h.where()}
	if h.Line != "" {
		words = append(words, "("+h.Line+")")
	}
	written, what := h.Secrets, "with the secret"
	if h.JWKS != "" {
		words = append(words, "with the key set", h.JWKS)
		return strings.Join(words, " ")
	} else if len(h.PublicKeys) > 0 {
		written, what = h.PublicKeys, "with the public key"
	}
	words = append(words, what)
	for _, one := range written {
		if _, kind := placeholder(one); kind == "" {
			one = "(written in the configuration)"
		}
		words = append(words, one)
	}
	return strings.Join(words, " ")
}
