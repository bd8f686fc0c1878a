package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/cors"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// exchange is one request on its way through a handler. It ends before the
// next handler begins; what outlives it is in the request and its state.
type exchange struct {
	oneRequest

	// What is kept for the next request is memory, of which it sees no more.
	reading verifier.Reading
	named   verifier.Reading // of the places in the handler's texts, one at a time
	keys    []*verifier.Key  // the widget's
	id      []byte           // its id, while it is looked up
}

// oneRequest is what an exchange knows of its request, and forgets with it.
type oneRequest struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request
	s *state

	plan   *plan
	widget *widget // nil where the request has none
	mode   widgets.Mode
	body   received
	// arrived is the body's form, which was read while it arrived, until parseBody
	// has ended it.
	arrived *verifier.Multipart
	// widgetErr is why it cannot be told at present whether there is such a
	// widget, or what its secrets are.
	widgetErr error

	// identity is whose the request is, once it is verified.
	identity verifier.Identity

	// closed says that the request is refused in every mode: whose conversation
	// it names cannot be told.
	closed bool

	found widget // what widget points to, where it was looked up

	began   time.Time       // when the claim's text was there
	counted *traffic.Series // what the request was counted in, nil for none of its own
	// unserved is the id of a widget that there is and that is not the request's
	// all the same: its store is away, or the handler cannot speak its dialect.
	// Required mode refuses what names it, so that is counted as the widget's.
	unserved string
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request, s *state) *exchange {
	x := exchanges.Get().(*exchange)
	x.h, x.w, x.r, x.s, x.plan = h, w, r, s, h.plan
	return x
}

// keptReading is how many bytes of memory a reading keeps: a request that was
// made to need much must not be paid for by all that follow.
const keptReading = 64 << 10

// release forgets the request and keeps what memory may be used again. The
// body's text is the request's from now on.
func (x *exchange) release() {
	if empty(&x.reading); len(x.h.texts) > 0 {
		empty(&x.named)
	}
	x.oneRequest = oneRequest{}
	clear(x.keys)
	x.keys = x.keys[:0]
	exchanges.Put(x)
}

// empty has a reading forget what it holds, and its memory where that is much.
func empty(r *verifier.Reading) {
	if r.Reset(); r.Memory() > keptReading {
		*r = verifier.Reading{}
	}
}

// read finds the widget, with it the mode and the dialect, and the claim. In
// mode off it reads no more than it takes to find the widget.
func (x *exchange) read() {
	x.find()
	x.mode = x.h.modeFor(x.widget)
	if x.mode == widgets.ModeOff && !x.h.widgetInClaim {
		return
	}
	x.readClaim()
	if x.h.widgetInClaim {
		x.lookup(x.reading.Single(verifier.Widget))
		x.mode = x.h.modeFor(x.widget)
		if x.widget != nil && x.plan != x.h.plan {
			x.reading.Reset()
			x.readClaim()
		}
	}
}

// find looks for the widget wherever it is named outside of the claim.
func (x *exchange) find() {
	switch {
	case x.h.single != nil:
		x.take(x.h.single)
	case x.h.literal != nil:
		x.lookup(x.h.literal)
	case x.h.named != nil:
		x.id = append(x.id[:0], x.h.named.of(x.r, &x.reading)...)
		x.lookup(x.id)
	}
}

func (x *exchange) lookup(id []byte) {
	if len(id) == 0 || string(id) == defaultWidget || !widgets.ValidID(id) {
		return
	}
	found, err := x.h.widgets.lookup(x.r.Context(), id, &x.found)
	if x.widgetErr = err; found {
		x.take(&x.found)
	} else if err != nil {
		x.unserved = x.h.app.traffic.Known(id)
	}
}

// take makes w the request's widget, unless the handler cannot speak its dialect.
func (x *exchange) take(w *widget) {
	if w.dialect != "" && w.dialect != x.plan.dialect {
		p := x.h.plans[w.dialect]
		if p == nil || p.cutOnly {
			x.unserved = w.id
			return
		}
		x.plan = p
	}
	x.widget = w
}

// readClaim reads the places of the claim.
func (x *exchange) readClaim() {
	if !x.plan.readsBody {
		x.begin()
		x.readHead()
		return
	}
	x.readHead()
	x.readBody()
	x.begin()
	x.parseBody()
	for _, text := range x.h.texts {
		x.watchTwins(text)
	}
}

// watchTwins looks in the body for the query's parameters in a text. Backends that
// merge the two take it from there, so what is there must be what the query has.
func (x *exchange) watchTwins(text *namedText) {
	for _, twin := range text.twins {
		plan, reading := x.plan, x.reading
		x.plan, x.reading = twin, verifier.Reading{}
		twin.verifier.Query([]byte(x.r.URL.RawQuery), &x.reading)
		query := string(x.reading.Single(text.field))
		x.parseBody()
		same := x.reading.Plain() && string(x.reading.Single(text.field)) == query
		if x.plan, x.reading = plan, reading; !same {
			x.reading.MarkDuplicate(verifier.Place{Field: text.field})
		}
	}
}

// begin begins to time the verification, of which waiting for the client is no
// part, and of which a second reading is.
func (x *exchange) begin() {
	if x.began.IsZero() {
		x.began = time.Now()
	}
}

// readHead reads the places outside of the body.
func (x *exchange) readHead() {
	if query := x.r.URL.RawQuery; query != "" {
		x.plan.verifier.Query(x.reading.Copy(query), &x.reading)
	}
	for i := range x.plan.headers {
		x.plan.headers[i].read(x.r, &x.reading)
	}
	for i := range x.plan.cookies {
		x.plan.cookies[i].read(x.r, &x.reading)
	}
	for _, text := range x.h.texts {
		text.read(x.r, &x.named, &x.reading)
	}
	if x.h.named != nil && x.h.named.query != "" && x.widget != nil {
		// What the body says must be the same.
		x.reading.Text(verifier.Place{Field: verifier.Widget}, x.reading.Copy(x.widget.id))
	}
}

// verify returns nil for a verified claim, else the first reason against it.
func (x *exchange) verify() error {
	if x.body.err != nil {
		return x.body.err
	}
	var err error
	x.identity, err = x.plan.verifier.VerifyFunc(&x.reading, x.currentKeys)
	switch {
	case !errors.Is(err, verifier.ErrInvalid):
		return err
	case x.widgetErr != nil:
		// A secret that cannot be had may be the one that signed.
		return judgment.ErrUnavailable
	case x.widget == nil:
		return judgment.ErrWidgetUnknown
	}
	return err
}

// currentKeys returns the keys that the widget has now.
func (x *exchange) currentKeys() []*verifier.Key {
	if x.renew(); x.widget != nil {
		x.keys, x.widgetErr = x.h.widgets.keys(x.keys, x.widget)
	}
	return x.keys
}

// renew looks the widget up again. The body came at the client's pace: who began
// to send it before a rotation or a reload must not be verified by what that
// retired.
func (x *exchange) renew() {
	if x.widget == nil {
		return
	}
	x.found = *x.widget
	x.id, x.widget = append(x.id[:0], x.found.id...), nil
	found, err := x.h.widgets.renew(x.r.Context(), x.id, x.h.single != nil, &x.found)
	x.widgetErr = err
	switch {
	case found && cmp.Or(x.found.dialect, x.h.Dialect) == x.plan.dialect:
		x.widget = &x.found
	case found: // its claim would have to be read anew
		x.unserved = x.found.id
	case err != nil:
		x.unserved = x.h.app.traffic.Known(x.id)
	}
	x.mode = max(x.mode, x.h.modeFor(x.widget))
}

// judge is verify with what depends on what others did before. It comes last:
// nothing is spent or taken by a claim that is not its owner's.
func (x *exchange) judge() (cause, claimed error) {
	cause = x.verify()
	if cause == nil && x.h.OneTime {
		cause = x.spend()
	}
	if x.h.Conversation != nil && !x.refuses(cause) {
		if claimed = x.converse(cause); claimed != nil {
			return cause, claimed
		}
	}
	if cause == nil && x.h.Visitor != nil {
		x.merge()
	}
	return cause, nil
}

// refuses reports whether the request is answered here for that cause.
func (x *exchange) refuses(cause error) bool {
	if cause == nil {
		return false
	}
	a := x.plan.answers[judgment.ReasonOf(cause)]
	return a.always || x.closed || x.mode == widgets.ModeRequired
}

// settle writes down what was found, for the upstream and the placeholders.
func (x *exchange) settle(cause, claimed error) {
	s := x.s
	s.mode, s.dialect = x.mode, x.plan.dialect
	if x.widget != nil {
		s.widget = x.widget.id
	}
	s.reason = judgment.ReasonOf(cause)
	s.outcome = s.reason.Outcome()
	if claimed != nil {
		s.reason = judgment.ReasonOf(claimed)
		if s.reason == judgment.Unavailable {
			s.outcome = judgment.OutcomeUnavailable
		}
	}
	switch {
	case cause != nil || claimed != nil:
	case x.mode == widgets.ModeOff:
		s.outcome, s.reason = judgment.OutcomeDisabled, ""
	default:
		x.settleUser()
	}
	x.count()
	x.tell()
}

// count counts the request as its widget's, and as nobody's where it names one
// that there is not. Where no widget can be meant, there is no chat to count:
// an error route or a path is left out by mode off.
func (x *exchange) count() {
	s := x.s
	if x.h.widgetless() && !x.h.Guard {
		return
	}
	x.counted = x.h.app.traffic.Count(cmp.Or(s.widget, x.unserved), traffic.FindingOf(s.outcome, s.reason), x.mode, x.plan.counted)
}

func (x *exchange) settleUser() {
	s, said := x.s, x.reading.Unverified
	s.user, s.email, s.name = x.identity.User(), string(said(verifier.Email)), string(said(verifier.Name))
	if len(said(verifier.Attributes))+len(said(verifier.Phone))+len(said(verifier.Company)) > 0 {
		s.attributes = string(x.plan.verifier.AppendAttributes(nil, &x.reading))
	}
}

// passPreflight leaves a preflight ready to be forwarded. It says nothing of
// who is there, so nothing is published.
func (x *exchange) passPreflight() {
	if x.mode == widgets.ModeOff {
		x.settle(nil, nil)
		return
	}
	x.withoutClaim()
	x.passBody()
}

// isPreflight reports whether the request is a CORS preflight: a browser's
// question, which never carries a claim and must not be refused for that.
func (x *exchange) isPreflight() bool { return cors.IsPreflight(x.r) && !x.openBody().Present() }
