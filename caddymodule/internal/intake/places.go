// Package intake reads an identity claim out of a request, in its query, headers,
// cookies and body, and cuts it out again. What a claim is, the verifier knows; how
// its parts are spelled on the way, hop and body.
package intake

import (
	"net/http"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Places are where a request's claim is read.
type Places struct {
	*verifier.Reader
	headers []Header
	cookies []Cookie
	body    bool
}

// NewPlaces returns the places of a reader.
func NewPlaces(reader *verifier.Reader) *Places {
	p := &Places{Reader: reader, body: len(reader.In(verifier.Body)) > 0}
	for _, place := range reader.In(verifier.Header) {
		p.headers = append(p.headers, NewHeader(place))
	}
	for _, place := range reader.In(verifier.Cookie) {
		p.cookies = append(p.cookies, NewCookie(place))
	}
	return p
}

// InBody reports whether one of the places is in the body.
func (p *Places) InBody() bool { return p.body }

// ReadHead reads the places outside of the body.
func (p *Places) ReadHead(r *http.Request, to *verifier.Reading) {
	if query := r.URL.RawQuery; query != "" {
		p.Query(to.Copy(query), to)
	}
	for i := range p.headers {
		p.headers[i].Read(r, to)
	}
	for i := range p.cookies {
		p.cookies[i].Read(r, to)
	}
}

// CutHead removes those fields from the headers and cookies.
func (p *Places) CutHead(header http.Header, cuts func(verifier.Field) bool) {
	for i := range p.headers {
		if h := &p.headers[i]; cuts(h.Field) {
			h.Cut(header)
		}
	}
	for i := range p.cookies {
		if c := &p.cookies[i]; cuts(c.Field) {
			c.Cut(header)
		}
	}
}

// CutQuery returns a query without the claim. One that cannot be read, or has more
// of it than is kept, is given up as a whole.
func (p *Places) CutQuery(query string) string {
	if query == "" {
		return ""
	}
	var reading verifier.Reading
	p.Query([]byte(query), &reading)
	if reading.Err() != nil {
		return ""
	}
	if len(reading.QueryCuts) == 0 {
		return query
	}
	return string(verifier.Cut(nil, []byte(query), reading.QueryCuts))
}

// Header is a field in a header.
type Header struct {
	verifier.Place
	hop.Header
}

// NewHeader returns the header of that place.
func NewHeader(p verifier.Place) Header { return Header{p, hop.NewHeader(p.Name)} }

// Read reads the field.
func (h *Header) Read(r *http.Request, to *verifier.Reading) {
	value, there, more := h.Find(r.Header)
	switch {
	case !there:
		return
	case h.Field > verifier.Widget && strings.IndexByte(value, ',') >= 0:
		// RFC 9110 section 5.3: two lines may have been joined so.
		to.Malformed(h.Place, "is a list in a header: an id with a comma must be sent elsewhere")
	default:
		to.Text(h.Place, to.Copy(value))
	}
	if more {
		to.Twice(h.Place)
	}
}

// Cookie is a field in a cookie.
type Cookie struct {
	verifier.Place
	hop.Cookie
}

// NewCookie returns the cookie of that place.
func NewCookie(p verifier.Place) Cookie { return Cookie{p, hop.NewCookie(p.Name)} }

// Read reads the field.
func (c *Cookie) Read(r *http.Request, to *verifier.Reading) {
	found := c.Find(r.Header)
	if found.Variant {
		to.Variant(c.Place)
	}
	if found.Value != "" {
		to.Text(c.Place, to.Copy(found.Value))
	}
	if found.Broken {
		to.Malformed(c.Place, "is a cookie with a stray quote, a backslash within quotes or a bad percent escape")
	}
	if found.Twice {
		to.Twice(c.Place)
	}
}
