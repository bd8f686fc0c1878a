package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bodies that cannot be read.
var (
	errBodyBroken  = unreadable("", "ended before it was complete")
	errBodyStalled = unreadable("", "arrives too slowly")
	errBoundary    = unreadable("", "has more than one multipart boundary, of which parsers take different ones")
)

// unreadable is the reason against a body that cannot be read, and names that name.
func unreadable(name, detail string) error {
	return &verifier.Error{Err: verifier.ErrMalformed, Part: "body", Name: name, Detail: detail}
}

// oddType is what is wrong with a body whose type parsers read differently.
const oddType = "has a Content-Type that appears more than once, or is not one plain media type"

// received is a request's body as far as it was read.
type received struct {
	*body.Body // nil: nobody has asked for it yet
	declared   body.Declaration
	parsed     bool  // it is to be read as JSON or a form, or looks like it
	discarded  bool  // nothing of it is left to the request
	object     bool  // it has no type that says so, and is a JSON object all the same
	err        error // why it cannot be read
}

// openBody has the request's body ready to be read.
func (x *exchange) openBody() *received {
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

// readBody reads the body as far as it must be, once.
func (x *exchange) readBody() {
	if x.body.Body != nil {
		return
	}
	b := x.openBody()
	b.declared = body.Declare(x.r.Header)
	if b.Announced() || b.Present() {
		b.parsed, b.err = x.receive()
	}
}

// receive reads the body if a claim may be in it. It reports whether one may, or
// why that cannot be told.
func (x *exchange) receive() (parse bool, err error) {
	b, d, limit := x.body.Body, &x.body.declared, x.h.MaxBody
	named := d.Kinds.Has(body.KindJSON | body.KindForm)
	if d.Upload() {
		named, limit = true, x.h.MaxUpload
	}
	if named && x.r.ContentLength > limit {
		return false, verifier.ErrTooLarge
	}
	if named && (d.Coding != body.CodingNone || d.Charset == body.CharsetUnknown) || d.Coding == body.CodingUnknown && !d.Media {
		return false, judgment.ErrUnsupported
	}
	if !b.Present() {
		return false, nil
	}
	switch {
	case d.Upload():
		return true, x.spool()
	case named:
		return true, readError(b.ReadAll(limit))
	}
	begins, err := b.Begins(d, limit)
	switch {
	case err != nil:
		return false, readError(err)
	case d.Unsupported(begins):
		return false, judgment.ErrUnsupported
	case begins != body.Object:
		return false, nil
	case d.Charset == body.CharsetUnknown:
		return false, judgment.ErrUnsupported
	}
	return true, readError(b.ReadAll(limit))
}

// spool reads a body that may be longer than the memory that it gets, and its
// form as it arrives.
func (x *exchange) spool() error {
	b, d := x.body.Body, &x.body.declared
	upload := body.Upload{Limit: x.h.MaxUpload, Client: clientAddress(x.r), Deadline: http.NewResponseController(x.w).SetReadDeadline}
	if d.Kinds == body.KindMultipart && d.Plain && d.Charset == body.CharsetUTF8 {
		x.arrived = x.plan.verifier.Multipart(d.Boundary, x.h.MaxBody, &x.reading)
		upload.Sink = x.arrived
	}
	err := b.Spool(x.r.Context(), x.h.app.spool, upload)
	if errors.Is(err, body.ErrNoRoom) {
		x.widgetErr, x.closed = err, true
	}
	return readError(err)
}

// clientAddress is the client's address as Caddy tells it, behind trusted proxies
// too, or none.
func clientAddress(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, _ := netip.ParseAddr(text)
	return addr
}

// readError turns an error of reading a body into the reason against the request.
func readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, body.ErrTooLarge), errors.Is(err, verifier.ErrTooLarge):
		return verifier.ErrTooLarge
	case errors.Is(err, body.ErrStalled):
		return errBodyStalled
	case errors.Is(err, body.ErrNoRoom):
		return judgment.ErrUnavailable
	}
	return errBodyBroken
}

// parseBody reads the claim from a body that may have one.
func (x *exchange) parseBody() {
	b, d, to := &x.body, &x.body.declared, &x.reading
	arrived := x.arrived
	x.arrived = nil
	switch {
	case b.err != nil || !b.parsed:
	case arrived != nil:
		x.closeForm(arrived, to)
	case d.SeveralBoundaries:
		to.Fail(errBoundary)
	case d.Charset != body.CharsetUTF8:
		if _, stands := x.search(); stands {
			to.Fail(judgment.ErrUnsupported)
		}
	case !d.Plain && !d.Several && d.Kinds.Has(body.KindJSON|body.KindForm|body.KindMultipart):
		x.failIfNamed(oddType, to)
	default:
		x.parseKinds()
	}
}

// parseKinds reads the body as each of the kinds that it is declared to be: what
// differs is ambiguous.
func (x *exchange) parseKinds() {
	kinds := x.body.declared.Kinds &^ body.KindFramed
	if kinds == 0 {
		x.body.object = x.parseAs(0, &x.reading)
		return
	}
	first := true
	for kind := body.KindJSON; kind != 0; kind <<= 1 {
		switch {
		case !kinds.Has(kind):
		case first:
			x.parseAs(kind, &x.reading)
			first = false
		default:
			var other verifier.Reading
			x.parseAs(kind, &other)
			x.reading.Compare(&other)
		}
	}
}

// parseAs reads the body as one kind, and reports whether it is a JSON text.
func (x *exchange) parseAs(kind body.Kind, to *verifier.Reading) bool {
	reader, near := x.plan.verifier, body.KindNearForm|body.KindNearMultipart
	if near.Has(kind) {
		if _, stands := x.search(); !stands {
			return false // opaque, whatever parsers take it for
		}
	}
	if kind.Has(body.KindMultipart | body.KindNearMultipart) {
		form := reader.Multipart(x.body.declared.Boundary, x.h.MaxBody, to)
		if x.each(form) {
			x.closeForm(form, to)
		} else {
			to.Fail(verifier.ErrTooLarge)
		}
		return false
	}
	text, ok := x.text()
	switch {
	case !ok:
		to.Fail(verifier.ErrTooLarge)
	case kind == body.KindJSON:
		return reader.JSON(text, to)
	case kind == 0:
		return reader.Object(text, to)
	case x.beginsObject():
		reader.JSONOrForm(text, to)
	default:
		reader.Form(text, to)
	}
	return false
}

func (x *exchange) beginsObject() bool {
	begins, err := x.body.Begins(&x.body.declared, x.h.MaxBody)
	return err != nil || begins != body.Opaque
}

// text is a body that was read whole, unless it is longer than those that are
// read as JSON or a form.
func (x *exchange) text() (text []byte, ok bool) {
	b := x.body.Body
	if b.Len() > x.h.MaxBody {
		return nil, false
	}
	if text := b.Text(); text != nil || b.Len() == 0 {
		return text, true
	}
	text = make([]byte, b.Len())
	n, err := b.ReadAt(text, 0)
	return text, n == len(text) || err == nil
}

// bodyText is a body that lies in memory, for what looks at it beside the claim.
func (x *exchange) bodyText() []byte {
	if x.body.Body == nil {
		return nil
	}
	return x.body.Text()
}

// each writes the body, and reports whether all of it was taken.
func (x *exchange) each(to io.Writer) bool {
	var failed error
	err := x.body.Each(func(chunk []byte) bool {
		_, failed = to.Write(chunk)
		return failed == nil
	})
	return err == nil && failed == nil
}

// closeForm ends a multipart body. What does not read in one way is nobody's
// claim unless a name of one can stand in it.
func (x *exchange) closeForm(form *verifier.Multipart, to *verifier.Reading) {
	if !form.Close() {
		x.failIfNamed("is not a multipart form that all parsers read alike", to)
	}
}

func (x *exchange) failIfNamed(detail string, to *verifier.Reading) {
	if name, stands := x.search(); stands {
		to.Fail(unreadable(name, detail))
	}
}

// search looks for a watched name anywhere in the body.
func (x *exchange) search() (name string, stands bool) {
	return x.plan.verifier.Search(x.body.declared.Kinds.Has(body.KindMultipart|body.KindNearMultipart), x.each)
}

// discardBody leaves nothing of the body to the upstream.
func (x *exchange) discardBody() {
	x.openBody().Discard(x.r)
	x.body.parsed, x.body.discarded = false, true
}

// returnBody has the request go on with its body as it came, where the widget was
// looked for in it.
func (x *exchange) returnBody() {
	if x.body.Body != nil {
		x.s.streamed = x.body.Pass(x.r)
	}
}

// passBody has the request go on with the body as it is by now. Where no body was
// declared to be anything, nobody behind is left to guess a form (RFC 9110
// section 8.3 lets a recipient guess, and Rack and CGI libraries do).
func (x *exchange) passBody() {
	b := x.openBody()
	if b.discarded {
		return
	}
	if x.plan.readsBody && b.declared.Missing && b.Present() {
		media := "application/octet-stream"
		if b.object {
			media = "application/json"
		}
		x.r.Header["Content-Type"] = []string{media}
	}
	x.s.streamed = b.Pass(x.r)
}

// refuseStopped answers a request of which the next handler could not make
// anything because its client stopped.
func (h *Handler) refuseStopped(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	x.mode = s.mode
	if p := h.plans[s.dialect]; p != nil {
		x.plan = p
	}
	h.unpublish(r, s)
	x.settle(errBodyBroken, nil)
	return h.refuse(w, x, errBodyBroken)
}
