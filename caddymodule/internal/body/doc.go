// Package body reads the body of an HTTP request at a gateway: it says what the
// client declares, finds out how the body begins, reads it whole where it must
// be understood, and hands it on. It knows net/http and nothing else of the
// house: neither Caddy, nor what a claim is.
//
// A handler uses it in this order:
//
//	d := body.Declare(r.Header)
//	b := body.Open(r, new(body.Body), nil)
//	switch {
//	case !b.Present():
//	case d.Kinds&^body.KindFramed != 0 && d.Coding != body.CodingNone:
//		err = errUnsupported // nobody can tell what is in it
//	case d.Upload(): // a multipart form, or what some parsers take for a form
//		err = b.Spool(r.Context(), spool, body.Upload{Limit: maxUpload, Client: addr, Sink: formReader})
//	case d.Kinds.Has(body.KindJSON | body.KindForm):
//		err = b.ReadAll(maxBody)
//	default: // nobody's business, unless an object begins in it
//		var begins body.Beginning
//		begins, err = b.Begins(&d, maxBody)
//		switch {
//		case err != nil:
//		case d.Unsupported(begins):
//			err = errUnsupported
//		case begins == body.Object:
//			err = b.ReadAll(maxBody)
//		}
//	}
//	if err != nil {
//		b.Discard(r)
//		return refuse(err) // also ErrTooLarge, ErrBroken, ErrStalled, ErrNoRoom
//	}
//	if b.Whole() {
//		body.Cut(b, spans) // what the next handler must not see
//	}
//	b.Pass(r)
//	if err := next.ServeHTTP(w, r); err != nil {
//		return err // error routes may want the body
//	}
//	b.End()
//
// What is not read whole streams, with what was looked at put back in front of
// it. What is read whole lies in memory that is used again, and beyond
// [MemoryLimit] bytes of an upload in a temporary file that has no name. Both are released
// when nobody can read them any more, whatever became of the request.
package body
