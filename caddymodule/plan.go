package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// plan is a handler's configuration compiled for one dialect: where it reads claims, how
// it checks them and what it answers.
type plan struct {
	dialect  string
	policy   verifier.Dialect // the dialect as the handler has it, with all places
	verifier *verifier.Verifier
	rules    [sha256.Size]byte // to which sessions are bound
	places   *intake.Places
	// signatures and tokens are the places of either proof alone, in a dialect that has tokens;
	// signatures is nil if it has them alone.
	signatures, tokens *intake.Places
	answers            map[judgment.Reason]answer
	// counted is the index in [traffic.Dialects] under which its requests are counted.
	counted uint8
	// cutOnly says that this handler accepts no widget of this dialect. Claims in it are
	// still cut, since an upstream might believe them.
	cutOnly bool
}

// ownClaim reports whether the handler defines a claim of its own, which widgets of
// another dialect cannot use.
func (h *Handler) ownClaim() bool { return h.ownPlaces() || h.Message != "" || h.Encoding != "" }

func (h *Handler) ownPlaces() bool {
	return slices.ContainsFunc(h.Claims, func(c ClaimPlace) bool { return !c.ofSession() })
}

// newPlan compiles the handler's configuration for one dialect.
func (h *Handler) newPlan(d verifier.Dialect) (*plan, error) {
	p := &plan{dialect: d.Name, counted: h.countedAs(d.Name)}
	own, err := h.policy(d)
	if err != nil {
		return nil, err
	}
	if p.cutOnly = d.Name != h.Dialect && (!h.proves(&own) || h.OneTime && !acceptedOnce(&own)); p.cutOnly {
		own.Proof = ""
	} else {
		own.Token.ID = h.OneTime && own.Proof != "signature" && !own.Token.NoExpiry // else see checkOneTime
	}
	if h.Token != nil {
		if err := own.Token.Check(); err != nil {
			return nil, ofOption("token", err)
		}
	}
	if own.Places, err = h.places(&own); err != nil {
		return nil, err
	}
	own.Query = false // own.Places includes those
	if d.Name == h.Dialect {
		if err := cmp.Or(h.checkOneTime(&own), h.checkToken(&own), h.provisionSession(own.Places)); err != nil {
			return nil, err
		}
	}
	if p.verifier, err = h.compile(own); err != nil {
		for _, c := range slices.Backward(h.Claims) {
			if strings.Contains(" "+err.Error(), " "+c.Field+" ") { // as in "user_id and signature are both at"
				return nil, ofOption("claim "+c.Field, err)
			}
		}
		return nil, err
	}
	p.policy = p.verifier.Dialect()
	if p.rules, err = h.rules(&p.policy); err != nil {
		return nil, err
	}
	p.places = intake.NewPlaces(p.verifier, own.Places)
	if p.policy.TakesToken() {
		if p.tokens, err = h.placesOf(own, verifier.TokenField); err != nil {
			return nil, err
		}
	}
	if p.tokens != nil && p.policy.Message != "" {
		if p.signatures, err = h.placesOf(own, verifier.Signature, verifier.Timestamp, verifier.Nonce); err != nil {
			return nil, err
		}
	}
	p.answers, err = answersFor(d.Answers, h.Reject)
	return p, err
}

// placesOf returns the places of those fields alone.
func (h *Handler) placesOf(d verifier.Dialect, fields ...verifier.Field) (*intake.Places, error) {
	d.Places = slices.DeleteFunc(slices.Clone(d.Places), func(p verifier.Place) bool { return !slices.Contains(fields, p.Field) })
	d.Proof, d.Token, d.Strip = "", verifier.Token{}, nil
	v, err := h.compile(d)
	if err != nil {
		return nil, err
	}
	return intake.NewPlaces(v, d.Places), nil
}

// compile compiles a dialect, once for all handlers of a configuration that have it alike:
// that takes a good part of a millisecond, and there are many dialects and may be many handlers.
func (h *Handler) compile(d verifier.Dialect) (*verifier.Verifier, error) {
	if h.app == nil { // the Caddyfile is read
		return d.Reader()
	}
	key := fmt.Sprintf("%#v", d)
	h.app.mu.Lock()
	defer h.app.mu.Unlock()
	if known := h.app.verifiers[key]; known != nil {
		return known, nil
	}
	v, err := d.Reader()
	if err == nil {
		h.app.verifiers[key] = v
	}
	return v, err
}

// proves reports whether a dialect has the proof that the handler demands.
func (h *Handler) proves(d *verifier.Dialect) bool {
	switch h.Proof {
	case "token":
		return d.TakesToken()
	case "signature":
		return d.Message != ""
	}
	return true
}

// hashIsToken reports whether one secret verifies both signatures and tokens by one MAC.
func (p *plan) hashIsToken() bool {
	d := &p.policy
	either := d.TakesToken() && d.Message != "" && d.Proof != "signature" && d.Proof != "token"
	return either && (len(d.Token.Algorithms) == 0 || slices.Contains(d.Token.Algorithms, "HS256"))
}

// cuts reports whether the field is cut out of an unverified claim.
func (p *plan) cuts(f verifier.Field) bool { return f.Proves() || slices.Contains(p.policy.Strip, f) }

// countedAs returns the index in [traffic.Dialects] of a dialect, or of the handler's own.
func (h *Handler) countedAs(dialect string) uint8 {
	if h.ownClaim() {
		dialect = traffic.Custom
	}
	return uint8(slices.Index(traffic.Dialects(), dialect))
}

// policy applies the handler's own options to the dialect's.
func (h *Handler) policy(d verifier.Dialect) (verifier.Dialect, error) {
	d.Message, d.Encoding = cmp.Or(h.Message, d.Message), cmp.Or(h.Encoding, d.Encoding)
	d.NonceLength, d.At, d.Strip = h.NonceLength, h.At, h.stripped
	d.KeyEncoding, d.Proof = cmp.Or(h.KeyEncoding, d.KeyEncoding), cmp.Or(h.Proof, d.Proof)
	h.Token.apply(&d.Token)
	d.MaxAge = cmp.Or(time.Duration(h.MaxAge), d.MaxAge)
	if h.Skew != nil {
		d.Skew = time.Duration(*h.Skew)
	}
	switch h.TimestampUnit {
	case "":
	case "seconds":
		d.Unit = time.Second
	case "milliseconds":
		d.Unit = time.Millisecond
	default:
		return d, fmt.Errorf("timestamp_unit: unknown unit '%s': seconds or milliseconds", h.TimestampUnit)
	}
	return d, nil
}

// places applies the handler's own places to the dialect's.
func (h *Handler) places(d *verifier.Dialect) ([]verifier.Place, error) {
	bare := *d
	bare.Proof, bare.Query, bare.Places = "", false, nil
	if d.TakesToken() {
		bare.Places = []verifier.Place{{Field: verifier.TokenField, Location: intake.AtHeader, Name: "Authorization"}}
	}
	claims, err := bare.Reader() // which tells what is signed, wherever it travels
	if err != nil {
		return nil, err
	}
	places := d.AllPlaces()
	if h.Session != 0 {
		places = append(places, sessionPlaces...)
	}
	if !h.widgetInClaim || h.WidgetBody != "" || h.WidgetToken != "" {
		places = slices.DeleteFunc(places, func(p verifier.Place) bool { return p.Field == verifier.Widget })
	}
	var own []verifier.Place
	for _, c := range h.Claims {
		inOrder, err := c.places(h)
		if err != nil {
			return nil, ofOption("claim "+c.Field, err)
		}
		place := inOrder[0]
		beside := place.Field == verifier.UserID && d.TakesToken() // must be the token's
		if place.Field.Proves() && place.Field != verifier.Signature && place.Field != verifier.TokenField && place.Field != verifier.SessionField && !claims.Signs(place.Field) && !beside {
			what := fmt.Sprintf("the message %q does not sign it", d.Message)
			if d.Message == "" {
				what = fmt.Sprintf("the dialect %s has tokens alone", d.Name)
			}
			return nil, ofOption("claim "+c.Field, fmt.Errorf("claim %s: %s, so it would prove nothing", place.Field, what))
		}
		if !slices.ContainsFunc(own, func(p verifier.Place) bool { return p.Field == place.Field }) {
			places = slices.DeleteFunc(places, func(p verifier.Place) bool { return p.Field == place.Field })
		}
		own = append(own, withScheme(inOrder, d.Places)...)
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
		own = append(own, verifier.Place{Field: verifier.Widget, Location: intake.AtBody, Name: h.WidgetBody, Root: true})
	}
	places = append(places, own...)
	for _, f := range [...]verifier.Field{verifier.UserID, verifier.Signature, verifier.Timestamp, verifier.Nonce, verifier.Email} {
		if (f == verifier.Signature && d.Message != "" || claims.Signs(f)) && !slices.ContainsFunc(places, func(p verifier.Place) bool { return p.Field == f }) {
			if d.Message == h.Message && d.TakesToken() && f == verifier.UserID && !h.ownPlaces() {
				return nil, ofOption("message", fmt.Errorf("message: the dialect %s has tokens alone, which sign no message: leave it out, or say where user id and signature travel by 'claim'", d.Name))
			}
			return nil, ofOption("message", fmt.Errorf("the message signs {%s}, which the dialect %s does not send: say where it travels, as in 'claim %s body /%s'", f, d.Name, f, f))
		}
	}
	places = withTwins(withoutIdleBody(places, own, claims))
	if h.named != nil && h.named.Whole.Location == intake.AtQuery && readsBody(places) {
		places = append(places, intake.Member(verifier.Widget, h.named.Whole.Name))
	}
	return places, nil
}

// withTwins adds to each place of a widget, conversation or visitor in the body the one
// of the same name in the query, and vice versa if a body is read: backends merge the
// two.
func withTwins(places []verifier.Place) []verifier.Place {
	merged, body := slices.Clone(places), readsBody(places)
	for _, p := range places {
		twin := p
		switch {
		case p.Field < verifier.Widget:
			continue
		case p.Location == intake.AtBody:
			twin = verifier.Place{Field: p.Field, Location: intake.AtQuery, Name: p.Key(), Within: p.Within, Base64: p.Base64, Rank: p.Rank}
		case p.Location == intake.AtQuery && body:
			twin = intake.Member(p.Field, p.Name)
			twin.Within, twin.Base64 = p.Within, p.Base64
		}
		if !slices.Contains(merged, twin) {
			merged = append(merged, twin)
		}
	}
	return merged
}

func inBody(p verifier.Place) bool { return p.Location == intake.AtBody }

func readsBody(places []verifier.Place) bool { return slices.ContainsFunc(places, inBody) }

// withoutIdleBody drops the dialect's places in the body if none of them is signed,
// names the widget or was configured. Unsigned fields are no reason to read a body, and
// uploads must be able to pass unread.
func withoutIdleBody(places, own []verifier.Place, claims *verifier.Verifier) []verifier.Place {
	deciding := func(p verifier.Place) bool {
		return inBody(p) && (p.Field == verifier.Signature || p.Field == verifier.TokenField || p.Field == verifier.Widget || claims.Signs(p.Field))
	}
	if slices.ContainsFunc(places, deciding) || slices.ContainsFunc(own, inBody) {
		return places
	}
	return slices.DeleteFunc(places, inBody)
}

// withScheme adds what stands before a token in Authorization, if it is read there: what
// stands there in the dialect, else "Bearer" (RFC 6750 section 2.1).
func withScheme(own, dialect []verifier.Place) []verifier.Place {
	scheme := "Bearer"
	for i := range dialect {
		if dialect[i].TakesScheme() {
			scheme = dialect[i].Scheme
			break
		}
	}
	for i := range own {
		if own[i].TakesScheme() {
			own[i].Scheme = scheme
		}
	}
	return own
}

// places checks the places of a field, and returns them in order.
func (c ClaimPlace) places(h *Handler) (inOrder []verifier.Place, err error) {
	var field verifier.Field
	if err := field.UnmarshalText([]byte(c.Field)); err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	for _, e := range append([]ElsePlace{c.ElsePlace}, c.Else...) {
		place := verifier.Place{Field: field, Location: e.Location, Name: e.Name, Within: e.Within, Base64: e.Base64}
		if err := h.checkPlace(place); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(inOrder, func(p verifier.Place) bool { p.Rank = 0; return p == place }) {
			return nil, fmt.Errorf("claim %s: %s %s is repeated", field, e.Location, e.Name)
		}
		place.Rank = len(inOrder)
		inOrder = append(inOrder, place)
	}
	return inOrder, nil
}

// placeOf returns the place of a conversation or visitor.
func (h *Handler) placeOf(field verifier.Field, location, name string) (verifier.Place, error) {
	p := verifier.Place{Field: field, Location: location, Name: name, Root: location == intake.AtBody}
	return p, h.checkPlace(p)
}

// optionOf returns the option that says where a field is.
func optionOf(f verifier.Field) string {
	if f < verifier.Widget {
		return "claim " + f.String()
	}
	return f.String()
}

// checkPlace checks one place of the configuration.
func (h *Handler) checkPlace(p verifier.Place) error {
	option, location, name := optionOf(p.Field), p.Location, p.Name
	err := p.Check()
	if location == "" {
		err = fmt.Errorf("no location: one of %s, %s, %s, %s", intake.AtBody, intake.AtQuery, intake.AtHeader, intake.AtCookie)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	ok := true
	switch location {
	case intake.AtQuery:
		ok = name != ""
	case intake.AtHeader, intake.AtCookie:
		ok = httpguts.ValidHeaderFieldName(name) // a token (RFC 9110 section 5.6.2), as cookies have them, too
	}
	if !ok {
		return fmt.Errorf("%s: '%s' is not a valid %s name", option, name, location)
	}
	switch header := hop.NewHeader(p.Name); {
	case p.Location != intake.AtHeader:
	case p.Field < verifier.Widget && header.Is("Cookie"):
		return fmt.Errorf("%s: a field travels in one cookie of the header Cookie: write '%s cookie <name>'", option, option)
	case h.ours(p.Name) || slices.ContainsFunc(reservedHeaders, header.Is):
		return fmt.Errorf("%s: nothing can travel in the header %s, which is removed or rewritten on the way", option, p.Name)
	case p.Field == verifier.SessionField && slices.ContainsFunc(neededHeaders, header.Is):
		return fmt.Errorf("%s: every request of the site would lose the header %s, which is not for sessions alone: choose another name, such as X-Ticket", option, p.Name)
	}
	return nil
}
