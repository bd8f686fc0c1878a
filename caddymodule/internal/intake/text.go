package intake

import (
	"net/http"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// text is a JSON text in a header or a cookie that holds fields of a claim.
type text struct {
	verifier.Place // one of those within
	header         hop.Header
	cookie         hop.Cookie
}

// addText adds the text that holds a place, unless it is there.
func (p *Places) addText(place verifier.Place) {
	t := text{Place: place}
	if place.Location == AtHeader {
		t.header = hop.NewHeader(place.Name)
	} else {
		t.cookie = hop.NewCookie(place.Name)
	}
	if !slices.ContainsFunc(p.texts, func(u text) bool { return u.Location == t.Location && u.header == t.header && u.cookie == t.cookie }) {
		p.texts = append(p.texts, t)
	}
}

// read reads the fields within the text.
func (t *text) read(v *verifier.Verifier, header http.Header, to *verifier.Reading) {
	if t.Location == AtHeader {
		if values := t.values(header); len(values) == 1 {
			v.Text(t.Place, to.Copy(values[0]), to)
		} else if len(values) > 1 {
			v.MarkText(t.Place, joined(values), (*verifier.Reading).MarkDuplicate, to)
		}
		return
	}
	found := t.cookie.Find(header)
	if found.Value != "" && !found.Duplicate && !found.Broken {
		v.Text(t.Place, to.Copy(found.Value), to)
		t.markEscaped(v, header, to)
	}
	t.markCookie(v, header, found, to)
}

// values returns the values of the header, in whatever spelling of its name, in the order in
// which they are sent on. HTTP/2 leaves white space around them, which goes when they are
// sent on by HTTP/1.1.
func (t *text) values(header http.Header) (values []string) {
	var names []string
	for name := range header {
		if t.header.Is(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			values = append(values, strings.Trim(value, " \t"))
		}
	}
	return values
}

// joined is what backends make of a header that appears more than once (RFC 9110 section
// 5.3). What passes over commas in base64 may read a text across them.
func joined(values []string) []byte { return []byte(strings.Join(values, ", ")) }

// markCookie takes note of a cookie that backends read differently, if the name of a field
// can stand in one, and reports whether it may stay with an unverified claim.
func (t *text) markCookie(v *verifier.Verifier, header http.Header, found hop.Found, to *verifier.Reading) (stays bool) {
	var as func(*verifier.Reading, verifier.Place)
	switch {
	case found.Broken:
		as = func(to *verifier.Reading, p verifier.Place) { to.MarkMalformed(p, brokenCookie) }
	case found.Duplicate:
		as = (*verifier.Reading).MarkDuplicate
	case found.Variant:
		as = (*verifier.Reading).MarkVariant
	default:
		return true
	}
	stays = true
	for value := range hop.CookieValues(header) {
		stays = v.MarkText(t.Place, value, as, to) && stays
	}
	return stays
}

// markEscaped takes note of a cookie in which those that decode no escapes read another text.
func (t *text) markEscaped(v *verifier.Verifier, header http.Header, to *verifier.Reading) {
	for raw := range t.cookie.Escaped(header) {
		v.MarkEscaped(t.Place, raw, to)
	}
}

// cut removes what is cut of an unverified claim from the text.
func (t *text) cut(v *verifier.Verifier, header http.Header) {
	if t.Location == AtCookie {
		t.cutCookie(v, header)
		return
	}
	switch values := t.values(header); len(values) {
	case 0:
	case 1:
		left := v.WithoutText(t.Place, []byte(values[0]))
		for name := range header {
			if !t.header.Is(name) || len(header[name]) == 0 {
				continue
			}
			if header[name] = []string{string(left)}; len(left) == 0 {
				delete(header, name)
			}
		}
	default:
		if !v.MarkText(t.Place, joined(values), (*verifier.Reading).MarkDuplicate, new(verifier.Reading)) {
			t.header.Cut(header)
		}
	}
}

func (t *text) cutCookie(v *verifier.Verifier, header http.Header) {
	if len(header["Cookie"]) == 0 {
		return
	}
	var odd verifier.Reading
	found := t.cookie.Find(header)
	t.markEscaped(v, header, &odd)
	switch {
	case odd.HasProof():
		t.cookie.Cut(header)
	case !found.Broken && !found.Duplicate && !found.Variant:
		t.cookie.Rewrite(header, func(value string) string { return string(v.WithoutText(t.Place, []byte(value))) })
	case !t.markCookie(v, header, found, &odd):
		t.cookie.Cut(header)
	}
}
