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
		values := t.values(header)
		for _, value := range values {
			if len(values) == 1 {
				v.Text(t.Place, to.Copy(value), to)
			} else {
				v.MarkText(t.Place, []byte(value), (*verifier.Reading).MarkDuplicate, to)
			}
		}
		return
	}
	found := t.cookie.Find(header)
	if found.Value != "" && !found.Duplicate && !found.Broken {
		v.Text(t.Place, to.Copy(found.Value), to)
	}
	t.markCookie(v, header, found, to)
}

// values returns the values of the header, in whatever spelling of its name. HTTP/2 leaves
// white space around them, which goes when they are sent on by HTTP/1.1.
func (t *text) values(header http.Header) (values []string) {
	t.header.Find(header, func(value string) bool {
		values = append(values, strings.Trim(value, " \t"))
		return false
	})
	return values
}

// markCookie takes note of a cookie that backends read differently, if the name of a field
// can stand in one.
func (t *text) markCookie(v *verifier.Verifier, header http.Header, found hop.Found, to *verifier.Reading) {
	var as func(*verifier.Reading, verifier.Place)
	switch {
	case found.Broken:
		as = func(to *verifier.Reading, p verifier.Place) { to.MarkMalformed(p, brokenCookie) }
	case found.Duplicate:
		as = (*verifier.Reading).MarkDuplicate
	case found.Variant:
		as = (*verifier.Reading).MarkVariant
	default:
		return
	}
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			_, value, _ := strings.Cut(pair, "=")
			v.MarkText(t.Place, []byte(value), as, to)
		}
	}
}

// cut removes what is cut of an unverified claim from the text.
func (t *text) cut(v *verifier.Verifier, header http.Header) {
	without := func(value string) string { return string(v.WithoutText(t.Place, []byte(value))) }
	if t.Location == AtCookie {
		found := t.cookie.Find(header)
		if !found.Broken && !found.Duplicate && !found.Variant {
			t.cookie.Rewrite(header, without)
			return
		}
		var odd verifier.Reading
		if t.markCookie(v, header, found, &odd); odd.HasProof() {
			t.cookie.Cut(header)
		}
		return
	}
	for name, values := range header {
		if !t.header.Is(name) {
			continue
		}
		var left []string
		for _, value := range values {
			if value = without(strings.Trim(value, " \t")); value != "" {
				left = append(left, value)
			}
		}
		if header[name] = left; len(left) == 0 {
			delete(header, name)
		}
	}
}
