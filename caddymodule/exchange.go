package caddymodule

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/cors"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// exchange is one request on its way through a handler. It ends before the
// next handler begins; what outlives it is in the request and its state.
type exchange struct {
	oneRequest

	// What is kept for the next request is memory, of which it sees no more.
	reading verifier.Reading // the claim
	named   verifier.Reading // of the places in the handler's texts, one at a time
	keys    []*verifier.Key  // the widget's
	id      []byte           // its id, while it is looked up
}

// oneRequest is what an exchange knows of its request, and forgets with it: in the
// order in which it comes to know it.
type oneRequest struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request
	s *state

	target                  // whose widget's it is
	body    intake.Body     // the body, as far as it was read
	began   time.Time       // when the claim's text was there
	ruling                  // what the claim is worth
	counted *traffic.Series // what it was counted in, nil for none of its own
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func newExchange(h *Handler, w http.ResponseWriter, r *http.Request, s *state) *exchange {
	x := exchanges.Get().(*exchange)
	x.h, x.w, x.r, x.s, x.plan = h, w, r, s, h.plan
	return x
}

// keptReading is how many bytes of memory a reading keeps: a request that was
// made to need much must not pin it in the pool.
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
	if x.mode == widgets.ModeOff && !x.h.widgetInClaim {
		return
	}
	x.readClaim()
	if x.h.widgetInClaim {
		x.lookup(x.reading.Single(verifier.Widget))
		if x.widget != nil && x.plan != x.h.plan {
			x.reading.Reset()
			x.readClaim()
		}
	}
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

// begin begins to time the verification, of which waiting for the client is no
// part, and of which a second reading is.
func (x *exchange) begin() {
	if x.began.IsZero() {
		x.began = time.Now()
	}
}

// readHead reads the places of a plan outside of the body.
func (x *exchange) readHead(p *plan) {
	p.places.ReadHead(x.r, &x.reading)
	for _, text := range x.h.texts {
		text.Read(x.r, &x.named, &x.reading)
	}
	if x.h.named != nil && x.h.named.Query != "" && x.widget != nil {
		// What the body says must be the same.
		x.reading.Text(verifier.Place{Field: verifier.Widget}, x.reading.Copy(x.widget.id))
	}
}

// readBody reads the body as far as it must be, once.
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

// openBody has the request's body ready to be read.
func (x *exchange) openBody() *intake.Body {
	if x.body.Body == nil {
		x.body.Body = body.Open(x.r, &x.s.body, isTooLarge)
	}
	return &x.body
}

// isTooLarge reports whether reading has met a limit that Caddy's request_body set.
func isTooLarge(err error) bool {
	e, ok := errors.AsType[caddyhttp.HandlerError](err)
	return ok && e.StatusCode == http.StatusRequestEntityTooLarge
}

// clientAddress is the client's address as Caddy tells it, behind trusted proxies
// too, or none.
func clientAddress(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(text)
	return addr
}

// watchTwins looks in the body for the query's parameters in a text. Backends that
// merge the two take it from there, so what is there must be what the query has.
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

// passPreflight leaves a preflight ready to be forwarded. It says nothing of
// who is there, so nothing is published.
func (x *exchange) passPreflight() {
	if x.mode == widgets.ModeOff {
		x.recordOutcome()
		return
	}
	x.withoutClaim()
	x.passBody()
}

// isPreflight reports whether the request is a CORS preflight: a browser's
// question, which never carries a claim and must not be refused for that.
func (x *exchange) isPreflight() bool { return cors.IsPreflight(x.r) && !x.openBody().Present() }

// passBody has the request go on with the body as it is by now.
func (x *exchange) passBody() {
	x.s.streamed = x.openBody().Pass(x.r, x.plan.places.InBody())
}

// returnBody has the request go on with its body as it came, where the widget was
// looked for in it.
func (x *exchange) returnBody() {
	if x.body.Body != nil {
		x.s.streamed = x.body.Body.Pass(x.r)
	}
}
