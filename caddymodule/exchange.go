package caddymodule

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/cors"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// exchange is one request on its way through a handler. It ends before the next handler
// runs. What outlives it is in the request and its state.
type exchange struct {
	oneRequest

	// These are emptied and their memory is reused.
	reading verifier.Reading // the claim
	named   verifier.Reading // one placeholder of the handler's texts at a time, or what is only cut
	keys    []*verifier.Key  // the widget's
	id      []byte           // the widget's, while it is looked up
}

// oneRequest is what an exchange learns about its request, in that order, and forgets at
// the end.
type oneRequest struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request
	s *state

	target
	body  intake.Body // as far as it was read
	began time.Time   // when the claim's text had arrived
	ruling
	session session
	current bool            // the keys are those of the widget after the body has arrived
	signer  *assertion.Key  // of the request's assertion, if it gets one
	counted *traffic.Series // what the request was counted in; nil if it has none of its own
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request, s *state) *exchange {
	x := exchanges.Get().(*exchange)
	x.h, x.w, x.r, x.s, x.plan = h, w, r, s, h.plan
	return x
}

// keptReading is how many bytes of memory a reading keeps for the next request. One
// large request must not pin memory in the pool.
const keptReading = 64 << 10

// release forgets the request and returns the exchange to the pool.
func (x *exchange) release() {
	if empty(&x.reading); len(x.h.texts) > 0 {
		empty(&x.named)
	}
	x.oneRequest = oneRequest{}
	clear(x.keys)
	x.keys = x.keys[:0]
	exchanges.Put(x)
}

// empty resets a reading, and drops its memory if that is large.
func empty(r *verifier.Reading) {
	if r.Reset(); r.Memory() > keptReading {
		*r = verifier.Reading{}
	}
}

// read finds the widget, which determines mode and dialect, and reads the claim. In mode
// off it reads no more than it needs to find the widget and a session in the body.
func (x *exchange) read() {
	x.withoutStraySession()
	x.find()
	if x.mode == widgets.ModeOff && !x.h.widgetInClaim && (x.h.sessions == nil || !x.h.sessions.InBody()) {
		return
	}
	x.readClaim()
	if x.h.widgetInClaim {
		x.lookup(x.widgetInClaim())
		if x.widget != nil && x.plan != x.h.plan {
			x.reading.Reset()
			x.readClaim()
		}
	}
}

// widgetInClaim returns the id that the claim names.
func (x *exchange) widgetInClaim() []byte {
	if x.h.widgetText == nil {
		return x.reading.Single(verifier.Widget)
	}
	if x.id = x.h.widgetText.AppendUnverified(x.id[:0], &x.reading); len(x.id) == 0 && !x.reading.Has(verifier.TokenField) {
		x.id = append(x.id, x.reading.SessionWidget()...)
	}
	return x.id
}

// readClaim reads the places of the claim.
func (x *exchange) readClaim() {
	if !x.plan.places.InBody() {
		x.begin()
		x.readHead(x.plan)
		return
	}
	x.readHead(x.plan)
	x.readBody()
	x.begin()
	x.body.Parse(x.plan.places, &x.reading)
	for _, text := range x.h.texts {
		x.watchTwins(text)
	}
}

// begin starts the clock for the verification's duration, unless it is running. Waiting
// for the client does not count, reading the claim in a second dialect does.
func (x *exchange) begin() {
	if x.began.IsZero() {
		x.began = time.Now()
	}
}

// readHead reads a plan's places outside of the body.
func (x *exchange) readHead(p *plan) {
	p.places.ReadHead(x.r, &x.reading)
	p.places.ReadHeaders(x.s.sessions, &x.reading)
	for _, text := range x.h.texts {
		text.Read(x.r, &x.named, &x.reading)
	}
	if x.h.named != nil && x.h.named.Whole.Location == intake.AtQuery && x.widget != nil {
		// The body must not name another widget.
		x.reading.Text(verifier.Place{Field: verifier.Widget}, x.reading.Copy(x.widget.id))
	}
}

// readBody reads the body, once, as far as a claim may be in it.
func (x *exchange) readBody() {
	if x.body.Body != nil {
		return
	}
	b := x.openBody()
	if upload := b.Receive(x.r, intake.Limits{Body: x.h.MaxBody, Upload: x.h.MaxUpload}); upload {
		b.ReceiveUpload(x.r.Context(), x.h.app.spool, body.Upload{
			Client: clientAddress(x.r), Deadline: http.NewResponseController(x.w).SetReadDeadline,
		}, x.plan.places, &x.reading)
	}
}

// openBody returns the request's body, ready to be read.
func (x *exchange) openBody() *intake.Body {
	if x.body.Body == nil {
		b := x.s.unopened
		if x.s.unopened = nil; b == nil {
			b = new(body.Body)
		}
		x.body.Body = body.Open(x.r, b, isTooLarge)
		if x.r.ContentLength != 0 { // else there is nothing to release, and a stream would keep it
			x.s.body = x.body.Body
		}
	}
	return &x.body
}

// isTooLarge reports whether a body exceeded a limit set by Caddy's request_body.
func isTooLarge(err error) bool {
	e, ok := errors.AsType[caddyhttp.HandlerError](err)
	return ok && e.StatusCode == http.StatusRequestEntityTooLarge
}

// clientAddress is the client's address as Caddy determined it, trusted proxies
// considered. It is invalid if there is none.
func clientAddress(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(text)
	return addr
}

// watchTwins looks in the body for a text's query parameters. Backends that merge the two
// may read the body's, so it must equal the query's.
func (x *exchange) watchTwins(text *naming.Text) {
	for _, twin := range text.Twins {
		var reading verifier.Reading
		twin.Query([]byte(x.r.URL.RawQuery), &reading)
		query := string(reading.Single(text.Field))
		x.body.Parse(twin, &reading)
		if !reading.Plain() || string(reading.Single(text.Field)) != query {
			x.reading.MarkDuplicate(verifier.Place{Field: text.Field})
		}
	}
}

// passPreflight leaves a preflight ready to be forwarded. Nothing is published, since a
// preflight is nobody's request.
func (x *exchange) passPreflight() {
	if x.mode == widgets.ModeOff {
		x.recordOutcome()
		return
	}
	x.withoutClaim()
	x.passBody()
}

// isPreflight reports whether the request is a CORS preflight. A browser sends it without
// a claim, so required mode must not refuse it.
func (x *exchange) isPreflight() bool { return cors.IsPreflight(x.r) && !x.openBody().Present() }

// passBody leaves the request with its body less what was cut.
func (x *exchange) passBody() {
	x.withoutSessionInBody()
	x.s.streamed = x.openBody().Pass(x.r, x.plan.places.InBody())
}

// returnBody leaves the request with its body as it came, if the widget was looked for
// in it.
func (x *exchange) returnBody() {
	x.withoutSessionInBody()
	if x.body.Body != nil {
		x.s.streamed = x.body.Body.Pass(x.r)
	}
}
