package intake

import (
	"io"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Parse reads the claim from a body that was received and may have one.
func (b *Body) Parse(p *Places, to *verifier.Reading) {
	arrived := b.arrived
	b.arrived = nil
	switch d := &b.Declared; {
	case b.Err != nil || !b.parsed:
	case arrived != nil:
		arrived.CloseSearching(b.each)
	case d.SeveralBoundaries:
		to.Fail(errBoundary)
	case d.Charset != body.CharsetUTF8:
		if _, stands := b.search(p); stands {
			to.Fail(judgment.ErrUnsupported)
		}
	case !d.Plain && !d.Several && d.Kinds.Has(body.KindJSON|body.KindForm|body.KindMultipart):
		if name, stands := b.search(p); stands {
			to.Fail(unreadable(name, "has a Content-Type that appears more than once, or is not one plain media type"))
		}
	default:
		b.parseKinds(p, to)
	}
}

// parseKinds reads the body as each of the kinds that it is declared to be: what
// differs is ambiguous.
func (b *Body) parseKinds(p *Places, to *verifier.Reading) {
	kinds := b.Declared.Kinds &^ body.KindFramed
	if kinds == 0 {
		b.object = b.parseAs(0, p, to)
		return
	}
	first := true
	for kind := body.KindJSON; kind != 0; kind <<= 1 {
		switch {
		case !kinds.Has(kind):
		case first:
			b.parseAs(kind, p, to)
			first = false
		default:
			var other verifier.Reading
			b.parseAs(kind, p, &other)
			to.Compare(&other)
		}
	}
}

// parseAs reads the body as one kind, and reports whether it is a JSON text.
func (b *Body) parseAs(kind body.Kind, p *Places, to *verifier.Reading) bool {
	const near = body.KindNearForm | body.KindNearMultipart
	if near.Has(kind) {
		if _, stands := b.search(p); !stands {
			return false // opaque, whatever parsers take it for
		}
	}
	if kind.Has(body.KindMultipart | body.KindNearMultipart) {
		form := p.Multipart(b.Declared.Boundary, b.limits.Body, to)
		if b.each(form) {
			form.CloseSearching(b.each)
		} else {
			to.Fail(verifier.ErrTooLarge)
		}
		return false
	}
	text, ok := b.wholeText()
	switch {
	case !ok:
		to.Fail(verifier.ErrTooLarge)
	case kind == body.KindJSON:
		return p.JSON(text, to)
	case kind == 0:
		return p.Object(text, to)
	default:
		if begins, err := b.Begins(&b.Declared, b.limits.Body); err == nil && begins == body.Opaque {
			p.Form(text, to)
		} else {
			p.JSONOrForm(text, to)
		}
	}
	return false
}

// wholeText is a body that was read whole, unless it is longer than those that are
// read as JSON or a form.
func (b *Body) wholeText() (text []byte, ok bool) {
	if b.Len() > b.limits.Body {
		return nil, false
	}
	if text := b.Text(); text != nil || b.Len() == 0 {
		return text, true
	}
	text = make([]byte, b.Len())
	n, err := b.ReadAt(text, 0)
	return text, n == len(text) || err == nil
}

// each writes the body, and reports whether all of it was taken.
func (b *Body) each(to io.Writer) bool { return b.CopyTo(to) == nil }

// search looks for a watched name anywhere in the body.
func (b *Body) search(p *Places) (name string, stands bool) {
	return p.Search(b.Declared.Kinds.Has(body.KindMultipart|body.KindNearMultipart), b.each)
}
