package intake

import (
	"context"
	"errors"
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bodies that cannot be read.
var (
	ErrBroken   = unreadable("", "ended before it was complete")
	ErrStalled  = unreadable("", "arrives too slowly")
	errBoundary = unreadable("", "has more than one multipart boundary, of which parsers take different ones")
)

// unreadable is the reason against a body that cannot be read, and names that name.
func unreadable(name, detail string) error {
	return &verifier.Error{Err: verifier.ErrMalformed, Part: "body", Name: name, Detail: detail}
}

// Limits are how long a body may be that is read, in bytes.
type Limits struct {
	Body   int64 // as JSON or a URL-encoded form; of a multipart one, what is no file
	Upload int64 // as a multipart form
}

// Body is a request's body, as far as it was read for a claim.
type Body struct {
	*body.Body // nil: nobody has asked for it yet
	Declared   body.Declaration
	Err        error // why it cannot be read: the reason against the request, or [body.ErrNoRoom]

	limits    Limits
	parsed    bool                // it is to be read as JSON or a form, or looks like it
	arrived   *verifier.Multipart // its form, which was read while it arrived, until Parse has ended it
	object    bool                // it has no type that says so, and is a JSON object all the same
	discarded bool                // nothing of it is left to the request
}

// Receive reads the body, which was opened, if a claim may be in it. It reports
// whether that is left to [Body.ReceiveUpload].
func (b *Body) Receive(r *http.Request, limits Limits) (upload bool) {
	b.Declared, b.limits = body.Declare(r.Header), limits
	if b.Announced() || b.Present() {
		upload, b.Err = b.receive(r)
	}
	return upload
}

func (b *Body) receive(r *http.Request) (upload bool, err error) {
	d, limit := &b.Declared, b.limits.Body
	named := d.Kinds.Has(body.KindJSON | body.KindForm)
	if d.Upload() {
		named, limit = true, b.limits.Upload
	}
	if named && r.ContentLength > limit {
		return false, verifier.ErrTooLarge
	}
	if named && (d.Coding != body.CodingNone || d.Charset == body.CharsetUnknown) || d.Coding == body.CodingUnknown && !d.Media {
		return false, judgment.ErrUnsupported
	}
	if !b.Present() || d.Upload() {
		return b.Present(), nil
	}
	if !named {
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
	}
	b.parsed = true
	return false, readError(b.ReadAll(limit))
}

// ReceiveUpload reads a body that may be longer than the memory that it gets, and its
// form as it arrives.
func (b *Body) ReceiveUpload(ctx context.Context, spool *body.Spool, u body.Upload, p *Places, to *verifier.Reading) {
	b.parsed = true
	u.Limit = b.limits.Upload
	if d := &b.Declared; d.Kinds == body.KindMultipart && d.Plain && d.Charset == body.CharsetUTF8 {
		b.arrived = p.Multipart(d.Boundary, b.limits.Body, to)
		u.Sink = b.arrived
	}
	b.Err = readError(b.Spool(ctx, spool, u))
}

// readError turns an error of reading a body into the reason against the request.
func readError(err error) error {
	switch {
	case err == nil, errors.Is(err, body.ErrNoRoom):
		return err
	case errors.Is(err, body.ErrTooLarge), errors.Is(err, verifier.ErrTooLarge):
		return verifier.ErrTooLarge
	case errors.Is(err, body.ErrStalled):
		return ErrStalled
	}
	return ErrBroken
}

// Cut takes what was read of a claim out of the body.
func (b *Body) Cut(read *verifier.Reading) {
	if b.parsed {
		body.Cut(b.Body, read.BodyCuts)
	}
}

// Unclear reports whether the body cannot be read, or is a form that can be read in
// two ways. Of a JSON text whatever could be read is known.
func (b *Body) Unclear(read *verifier.Reading) bool {
	const json = body.KindJSON | body.KindFramed
	return b.parsed && (read.Err() != nil || b.Declared.Kinds&^json != 0 && !read.Plain())
}

// Discard leaves nothing of the body to the upstream.
func (b *Body) Discard(r *http.Request) {
	b.Body.Discard(r)
	b.parsed, b.discarded = false, true
}

// Pass has the request go on with the body as it is by now, and returns it where it
// passes unread. Where it was looked for a claim and declared to be nothing, nobody
// behind is left to guess a form (RFC 9110 section 8.3 lets a recipient guess, and
// Rack and CGI libraries do).
func (b *Body) Pass(r *http.Request, looked bool) *body.Streamed {
	if b.discarded {
		return nil
	}
	if looked && b.Declared.Missing && b.Present() {
		media := "application/octet-stream"
		if b.object {
			media = "application/json"
		}
		r.Header["Content-Type"] = []string{media}
	}
	return b.Body.Pass(r)
}
