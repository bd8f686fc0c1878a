package caddymodule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// plan is how a handler treats claims of one dialect: where it reads them, how
// it checks them and what it answers.
type plan struct {
	dialect  string
	policy   verifier.Policy
	verifier *verifier.Verifier
	named    []verifier.Place // where the fields are sent, for answers
	places   *intake.Places
	answers  map[verifier.Reason]answer
	strip    [verifier.NumFields]bool // what goes with an unverified claim, beside its proof
	// counted is the place in traffic.Dialects under which its requests are counted.
	counted uint8
	// cutOnly says that no widget here can have this dialect. What stands in a
	// request in it is still no upstream's to believe.
	cutOnly bool
}

// ownClaim reports whether the handler has a claim of its own making, which
// widgets of another dialect cannot have.
func (h *Handler) ownClaim() bool { return len(h.Claims) > 0 || h.Message != "" || h.Encoding != "" }

// newPlan compiles the handler's configuration for one dialect.
func (h *Handler) newPlan(d verifier.Dialect) (*plan, error) {
	p := &plan{dialect: d.Name, counted: h.countedAs(d.Name), strip: h.stripped}
	var err error
	if p.policy, err = h.policy(d); err != nil {
		return nil, err
	}
	if p.named, err = h.places(d, &p.policy.Message); err != nil {
		return nil, err
	}
	p.policy.Owned = verifier.MembersOwned(p.named)
	if p.verifier, err = verifier.New(p.policy); err != nil {
		return nil, err
	}
	reader, err := verifier.NewReader(p.named, verifier.ReaderOptions{
		At: h.At, WidgetAt: h.WidgetBody == "", Message: p.policy.Message, Strip: h.stripped,
	})
	if err != nil {
		return nil, err
	}
	p.places = intake.NewPlaces(reader)
	p.answers, err = answersFor(d.Name, h.Reject)
	return p, err
}

// cuts reports whether what is found of the field goes with an unverified claim.
func (p *plan) cuts(f verifier.Field) bool { return f.Proves() || p.strip[f] }

// countedAs returns the place in [traffic.Dialects] of a dialect, or of the
// handler's own.
func (h *Handler) countedAs(dialect string) uint8 {
	if h.ownClaim() {
		dialect = traffic.Custom
	}
	return uint8(slices.Index(traffic.Dialects(), dialect))
}

func (h *Handler) policy(d verifier.Dialect) (verifier.Policy, error) {
	policy, err := d.Policy(h.Message, cmp.Or(h.NonceLength, verifier.DefaultNonceLength))
	if err != nil {
		return policy, err
	}
	if h.Encoding != "" {
		if policy.Encoding, err = verifier.ParseEncoding(h.Encoding); err != nil {
			return policy, err
		}
	}
	if h.TimestampUnit != "" {
		if policy.Unit, err = verifier.ParseTimestampUnit(h.TimestampUnit); err != nil {
			return policy, fmt.Errorf("timestamp_unit: %w", err)
		}
	}
	if h.MaxAge != 0 {
		policy.MaxAge = time.Duration(h.MaxAge)
	}
	if h.Skew != nil {
		policy.Skew = time.Duration(*h.Skew)
	}
	return policy, nil
}

// places applies the handler's own places to the dialect's.
func (h *Handler) places(d verifier.Dialect, message *verifier.Message) ([]verifier.Place, error) {
	places := d.AllPlaces()
	if !h.widgetInClaim || h.WidgetBody != "" {
		places = slices.DeleteFunc(places, func(p verifier.Place) bool { return p.Field == verifier.Widget })
	}
	var own []verifier.Place
	for _, c := range h.Claims {
		inOrder, err := c.places(h)
		if err != nil {
			return nil, err
		}
		place := inOrder[0]
		if place.Field.Proves() && place.Field != verifier.Signature && !message.Signs(place.Field) {
			return nil, fmt.Errorf("claim %s: the message %q does not sign it, so it would prove nothing", place.Field, message.String())
		}
		if !slices.ContainsFunc(own, func(p verifier.Place) bool { return p.Field == place.Field }) {
			places = slices.DeleteFunc(places, func(p verifier.Place) bool { return p.Field == place.Field })
		}
		own = append(own, inOrder...)
	}
	for _, named := range []struct {
		field verifier.Field
		at    *Naming
	}{{verifier.Conversation, h.Conversation.naming()}, {verifier.Visitor, h.Visitor}} {
		if named.at == nil || named.at.Text != "" {
			continue
		}
		place, err := h.placeOf(named.field, named.at.Location, named.at.Name)
		if err != nil {
			return nil, ofOption(named.field.String(), err)
		}
		own = append(own, place)
	}
	if h.WidgetBody != "" {
		own = append(own, verifier.Place{Field: verifier.Widget, Location: verifier.Body, Name: h.WidgetBody})
	}
	places = append(places, own...)
	for _, f := range [...]verifier.Field{verifier.UserID, verifier.Signature, verifier.Timestamp, verifier.Nonce, verifier.Email} {
		if (f == verifier.Signature || message.Signs(f)) && !slices.ContainsFunc(places, func(p verifier.Place) bool { return p.Field == f }) {
			return nil, fmt.Errorf("the message signs {%s}, which the dialect %s does not send: say where it travels, as in 'claim %s body /%s'", f, d.Name, f, f)
		}
	}
	places = withTwins(withoutIdleBody(places, own, message))
	if h.named != nil && h.named.Query != "" && readsBody(places) {
		places = append(places, inBody(verifier.Widget, h.named.Query))
	}
	return places, nil
}

// withTwins adds to the place of a widget, conversation or visitor in the body
// the one of the same name in the query, and the other way round unless no body
// is read: backends merge the two.
func withTwins(places []verifier.Place) []verifier.Place {
	merged, body := slices.Clone(places), readsBody(places)
	for _, p := range places {
		twin := p
		switch {
		case p.Field < verifier.Widget:
			continue
		case p.Location == verifier.Body:
			twin.Location, twin.Name = verifier.Query, verifier.LastToken(p.Name)
		case p.Location == verifier.Query && body:
			twin = inBody(p.Field, p.Name)
		}
		if !slices.Contains(merged, twin) {
			merged = append(merged, twin)
		}
	}
	return merged
}

func readsBody(places []verifier.Place) bool {
	return slices.ContainsFunc(places, func(p verifier.Place) bool { return p.Location == verifier.Body })
}

// inBody returns the place of a member of the document's root.
func inBody(f verifier.Field, name string) verifier.Place {
	return verifier.Place{Field: f, Name: verifier.Pointer(name)}
}

// withoutIdleBody drops the dialect's places in the body where nothing that is
// signed, named or configured stands there: what nobody vouches for is no
// reason to read a body, and an upload must be able to pass unread.
func withoutIdleBody(places, own []verifier.Place, message *verifier.Message) []verifier.Place {
	inBody := func(p verifier.Place) bool { return p.Location == verifier.Body }
	deciding := func(p verifier.Place) bool {
		return inBody(p) && (p.Field == verifier.Signature || p.Field == verifier.Widget || message.Signs(p.Field))
	}
	if slices.ContainsFunc(places, deciding) || slices.ContainsFunc(own, inBody) {
		return places
	}
	return slices.DeleteFunc(places, inBody)
}

// places checks the places of a field, and returns them in their order.
func (c ClaimPlace) places(h *Handler) (inOrder []verifier.Place, err error) {
	field, ok := verifier.ParseField(c.Field)
	if !ok {
		return nil, fmt.Errorf("claim: unknown field '%s': one of %s", c.Field, verifier.FieldList())
	}
	for _, e := range append([]ElsePlace{{c.Location, c.Name}}, c.Else...) {
		place, err := h.placeOf(field, e.Location, e.Name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(inOrder, func(p verifier.Place) bool { return p.Location == place.Location && p.Name == place.Name }) {
			return nil, fmt.Errorf("claim %s: %s %s is given twice", field, e.Location, e.Name)
		}
		place.Rank = len(inOrder)
		inOrder = append(inOrder, place)
	}
	return inOrder, nil
}

// placeOf checks one place of the configuration.
func (h *Handler) placeOf(field verifier.Field, location, name string) (verifier.Place, error) {
	p := verifier.Place{Field: field, Name: name}
	option := field.String()
	if field < verifier.Widget {
		option = "claim " + option
	}
	var ok bool
	if p.Location, ok = verifier.ParseLocation(location); !ok {
		return p, fmt.Errorf("%s: unknown location '%s': one of %s", option, location, verifier.LocationList())
	}
	switch p.Location {
	case verifier.Body:
		if err := verifier.CheckPointer(p.Name); err != nil {
			return p, fmt.Errorf("%s: %w", option, err)
		}
	case verifier.Query:
		ok = p.Name != ""
	case verifier.Header, verifier.Cookie:
		ok = httpguts.ValidHeaderFieldName(p.Name) // a token (RFC 9110 section 5.6.2), as cookies have them, too
	}
	if !ok {
		return p, fmt.Errorf("%s: '%s' is no name of a %s", option, name, location)
	}
	if p.Location == verifier.Header && (h.ours(p.Name) || slices.Contains(reservedHeaders, http.CanonicalHeaderKey(p.Name))) {
		return p, fmt.Errorf("%s: nothing can travel in the header %s, which is removed or rewritten on the way", option, p.Name)
	}
	return p, nil
}
