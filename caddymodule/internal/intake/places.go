// Package intake reads an identity claim from a request's query, headers, cookies and body,
// and cuts it out. Package verifier defines what a claim is; packages hop and body know how
// HTTP carries it.
package intake

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// The parts of a request, as [verifier.Place] names them.
const (
	AtBody   = "body"
	AtQuery  = "query"
	AtHeader = "header"
	AtCookie = "cookie"
)

// Member returns the place of a member of the JSON document's root.
func Member(f verifier.Field, name string) verifier.Place {
	return verifier.Place{Field: f, Location: AtBody, Name: string(jsontext.Pointer("").AppendToken(name)), Root: f > verifier.Widget}
}

// Places are where a request's claim is read. They do not change.
type Places struct {
	*verifier.Verifier
	headers []Header
	cookies []Cookie
	texts   []text
	body    bool
}

// NewPlaces returns the places of a verifier.
func NewPlaces(v *verifier.Verifier, places []verifier.Place) *Places {
	p := &Places{Verifier: v}
	for _, place := range places {
		switch {
		case place.Location == AtBody:
			p.body = true
		case v.InText(place):
			p.addText(place)
		case place.Location == AtHeader:
			p.headers = append(p.headers, NewHeader(place))
		case place.Location == AtCookie:
			p.cookies = append(p.cookies, NewCookie(place))
		}
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
	p.ReadHeaders(r.Header, to)
	for i := range p.cookies {
		p.cookies[i].Read(r, to)
	}
	for i := range p.texts {
		p.texts[i].read(p.Verifier, r.Header, to)
	}
}

// ReadHeaders reads the places that are headers.
func (p *Places) ReadHeaders(header http.Header, to *verifier.Reading) {
	for i := range p.headers {
		p.headers[i].Read(header, to)
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
	for i := range p.texts {
		p.texts[i].cut(p.Verifier, header)
	}
}

// CutQuery returns a query without the claim, and "" for a query that cannot be read.
func (p *Places) CutQuery(query string) string {
	if query == "" {
		return ""
	}
	var reading verifier.Reading
	p.Query([]byte(query), &reading)
	if reading.Err() != nil {
		return ""
	}
	return string(reading.WithoutQuery([]byte(query)))
}

// Header is a field in a header.
type Header struct {
	verifier.Place
	hop.Header
	// bearer says that it is a token in Authorization, where other credentials travel too.
	bearer bool
}

// NewHeader returns the header of that place.
func NewHeader(p verifier.Place) Header {
	h := Header{Place: p, Header: hop.NewHeader(p.Name)}
	h.bearer = p.Field == verifier.TokenField && h.Header.Is("Authorization")
	return h
}

// Read reads the field.
func (h *Header) Read(header http.Header, to *verifier.Reading) {
	value, found, more := h.Find(header, h.carries)
	switch {
	case !found:
		return
	case h.bearer:
		value, _ = h.token(value)
		to.Text(h.Place, to.Copy(value))
	case h.Field > verifier.Widget && strings.IndexByte(value, ',') >= 0:
		// Two lines may have been joined (RFC 9110 section 5.3).
		to.MarkMalformed(h.Place, "is a list in a header: an id with a comma must be sent elsewhere")
	default:
		to.Text(h.Place, to.Copy(value))
	}
	if more {
		to.MarkDuplicate(h.Place)
	}
}

// carries reports whether the header's value is the field.
func (h *Header) carries(value string) bool {
	if !h.bearer {
		return true
	}
	_, ok := h.token(value)
	return ok
}

// token returns what follows the scheme in a value of Authorization. Other schemes, and
// what is not written like a token, are somebody else's credentials. HTTP/2 leaves white
// space around a value, which goes when it is sent on by HTTP/1.1; and where RFC 9110
// section 11.4 wants one space, some parsers split at any, so that a tab begins a token,
// which is malformed with it.
func (h *Header) token(value string) (token string, ok bool) {
	const whiteSpace = " \t"
	value = strings.Trim(value, whiteSpace)
	n := len(h.Scheme)
	switch {
	case n == 0 && strings.ContainsAny(value, whiteSpace):
		return "", false
	case n > 0:
		if len(value) <= n || strings.IndexByte(whiteSpace, value[n]) < 0 || !strings.EqualFold(value[:n], h.Scheme) {
			return "", false
		}
		if value = value[n:]; value[0] == ' ' {
			value = value[1:]
		}
	}
	return value, strings.Count(value, ".") >= 2
}

// MisplacedToken says what is wrong with how a token is written in Authorization that is none
// of these places' for that, "" if there is none. It quotes nothing of the header.
func (p *Places) MisplacedToken(header http.Header) string {
	for i := range p.headers {
		h := &p.headers[i]
		if !h.bearer {
			continue
		}
		value, found, _ := h.Find(header, func(value string) bool { return endsInToken(value) && !h.carries(value) })
		switch {
		case !found:
		case h.Scheme == "":
			return "Authorization holds a token behind a scheme: send the token alone there."
		case len(strings.Fields(value)) == 1:
			return "Authorization holds a token without '" + h.Scheme + " ': send it as 'Authorization: " + h.Scheme + " <token>'."
		default:
			return "Authorization holds a token behind another scheme than " + h.Scheme + ": send it as 'Authorization: " + h.Scheme + " <token>'."
		}
	}
	return ""
}

// endsInToken reports whether the last word is written like a token, whose header begins
// with a brace.
func endsInToken(value string) bool {
	words := strings.Fields(value)
	return len(words) > 0 && strings.HasPrefix(words[len(words)-1], "ey") && strings.Count(words[len(words)-1], ".") == 2
}

// Cut removes the header, unless it is somebody else's.
func (h *Header) Cut(header http.Header) {
	if _, found, _ := h.Find(header, h.carries); found {
		h.Header.Cut(header)
	}
}

// Cookie is a field in a cookie.
type Cookie struct {
	verifier.Place
	hop.Cookie
}

// NewCookie returns the cookie of that place.
func NewCookie(p verifier.Place) Cookie { return Cookie{p, hop.NewCookie(p.Name)} }

const brokenCookie = "is a cookie with a stray quote, a backslash within quotes or a bad percent escape"

// Read reads the field.
func (c *Cookie) Read(r *http.Request, to *verifier.Reading) {
	found := c.Find(r.Header)
	if found.Variant {
		to.MarkVariant(c.Place)
	}
	if found.Value != "" {
		to.Text(c.Place, to.Copy(found.Value))
	}
	if found.Broken {
		to.MarkMalformed(c.Place, brokenCookie)
	}
	if found.Duplicate {
		to.MarkDuplicate(c.Place)
	}
}
