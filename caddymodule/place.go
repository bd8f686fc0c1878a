package caddymodule

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// headerPlace is a field in a header; name is folded.
type headerPlace struct {
	field verifier.Field
	name  string
}

func (p *headerPlace) is(name string) bool {
	return len(name) == len(p.name) && hasFoldedPrefix(name, p.name)
}

func (p *headerPlace) read(r *http.Request, to *verifier.Reading) {
	found := false
	for name, values := range r.Header {
		if !p.is(name) {
			continue
		}
		for _, value := range values {
			if found {
				to.Twice()
				return
			}
			found = true
			to.Text(p.field, []byte(value))
		}
	}
}

// cookiePlace is a field in a cookie.
type cookiePlace struct {
	field verifier.Field
	name  string
}

// is reports whether a cookie is the place, or would pass for it where names
// are folded as PHP does.
func (p *cookiePlace) is(name string) (same, alike bool) {
	if name == p.name {
		return true, true
	}
	decoded, err := url.PathUnescape(name)
	if err != nil {
		decoded = name
	}
	return false, strings.EqualFold(foldCookie.Replace(decoded), foldCookie.Replace(p.name))
}

var foldCookie = strings.NewReplacer(".", "_", " ", "_", "[", "_")

func (p *cookiePlace) read(r *http.Request, to *verifier.Reading) {
	found := false
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			same, alike := p.is(name)
			if !alike {
				continue
			}
			if found {
				to.Twice()
				return
			}
			found = true
			if !same {
				to.Variant(p.field)
				continue
			}
			// Scripts write cookies with encodeURIComponent; a quoted value is
			// one value to some backends and another to the rest.
			text, err := url.PathUnescape(value)
			if err != nil || strings.Contains(value, `"`) {
				to.Malformed(p.field, "is a cookie with quotes or a bad percent escape")
				return
			}
			to.Text(p.field, []byte(text))
		}
	}
}
