package caddymodule

import (
	"net/http"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// headerPlace is a field in a header.
type headerPlace struct {
	verifier.Place
	hop.Header
}

func (p *headerPlace) read(r *http.Request, to *verifier.Reading) {
	value, there, more := p.Find(r.Header)
	switch {
	case !there:
		return
	case p.Field > verifier.Widget && strings.IndexByte(value, ',') >= 0:
		// RFC 9110 section 5.3: two lines may have been joined so.
		to.MarkMalformed(p.Place, "is a list in a header: an id with a comma must be sent elsewhere")
	default:
		to.Text(p.Place, to.Copy(value))
	}
	if more {
		to.MarkDuplicate(p.Place)
	}
}

// cookiePlace is a field in a cookie.
type cookiePlace struct {
	verifier.Place
	hop.Cookie
}

func (p *cookiePlace) read(r *http.Request, to *verifier.Reading) {
	found := p.Find(r.Header)
	if found.Variant {
		to.MarkVariant(p.Place)
	}
	if found.Value != "" {
		to.Text(p.Place, to.Copy(found.Value))
	}
	if found.Broken {
		to.MarkMalformed(p.Place, "is a cookie with a stray quote, a backslash within quotes or a bad percent escape")
	}
	if found.Twice {
		to.MarkDuplicate(p.Place)
	}
}
