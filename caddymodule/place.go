package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// headerPlace is a field in a header; name is folded.
type headerPlace struct {
	verifier.Place
	name string
}

func (p *headerPlace) is(name string) bool {
	return len(name) == len(p.name) && hasFoldedPrefix(name, p.name)
}

// respelled reports whether the header is there in a spelling that a placeholder
// does not find, and some backend does: with _ or . for -.
func (p *headerPlace) respelled(r *http.Request) bool {
	for name := range r.Header {
		if p.is(name) && !strings.EqualFold(name, p.name) {
			return true
		}
	}
	return false
}

func (p *headerPlace) read(r *http.Request, to *verifier.Reading) {
	found := false
	for name, values := range r.Header {
		if !p.is(name) {
			continue
		}
		for _, value := range values {
			if found {
				to.Twice(p.Place)
				return
			}
			found = true
			if p.Field > verifier.Widget && strings.IndexByte(value, ',') >= 0 {
				// RFC 9110 section 5.3: two lines may have been joined so.
				to.Malformed(p.Place, "is a list in a header: an id with a comma must be sent elsewhere")
				return
			}
			to.Text(p.Place, []byte(value))
		}
	}
}

// cookiePlace is a field in a cookie.
type cookiePlace struct {
	verifier.Place
	folded   string // as PHP has the name
	shortest int    // no name of fewer bytes can pass for it
}

func newCookiePlace(p verifier.Place) cookiePlace {
	return cookiePlace{p, foldCookie.Replace(p.Name), utf8.RuneCountInString(p.Name)}
}

// match reports whether a pair of a Cookie field is the place, with its value,
// or would pass for it with some backend. Go and Python trim blanks around
// names, PHP folds what it cannot have in a variable's name and makes an array
// of one in brackets, and Python starts a new pair at any blank.
func (p *cookiePlace) match(pair string) (value string, same, alike bool) {
	if len(pair) < p.shortest {
		return "", false, false
	}
	name, value, _ := strings.Cut(pair, "=")
	if name == p.Name && strings.IndexFunc(value, isCookieBlank) < 0 {
		return value, true, true
	}
	if p.passes(name) {
		return "", false, true
	}
	before := "" // the piece before, if it had no '='
	for piece := range strings.FieldsFuncSeq(value, isCookieBlank) {
		name, _, ok := strings.Cut(piece, "=")
		if ok && p.passes(name) || ok && name == "" && p.passes(before) {
			return "", false, true
		}
		if before = name; ok {
			before = ""
		}
	}
	return "", false, false
}

// passes reports whether some backend reads a cookie of that name as the place.
func (p *cookiePlace) passes(name string) bool {
	if len(name)-2*strings.Count(name, "%") < p.shortest {
		return false
	}
	if strings.IndexByte(name, '%') >= 0 || strings.IndexByte(name, '+') >= 0 {
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
	}
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimFunc(name, isCookieBlank)
	array, _, bracket := strings.Cut(name, "[")
	return p.equals(array) || bracket && p.equals(name)
}

// equals compares a name with the place's as PHP does, and without regard to case.
func (p *cookiePlace) equals(name string) bool {
	if len(name) < p.shortest {
		return false
	}
	for _, want := range p.folded {
		r, size := utf8.DecodeRuneInString(name)
		if r == '.' || r == ' ' || r == '[' {
			r = '_'
		}
		if r != want && !strings.EqualFold(string(r), string(want)) {
			return false
		}
		name = name[size:]
	}
	return name == ""
}

// isCookieBlank holds for what some backend takes for the blank around or
// between cookies: commas of RFC 2965, and single bytes beyond ASCII, of which
// Latin-1 makes blanks.
func isCookieBlank(r rune) bool {
	return r <= ' ' || r == ',' || r == 0x7f || r == 0xfeff || r == utf8.RuneError || unicode.IsSpace(r)
}

var foldCookie = strings.NewReplacer(".", "_", " ", "_", "[", "_")

func (p *cookiePlace) read(r *http.Request, to *verifier.Reading) {
	found := false
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			value, same, alike := p.match(strings.Trim(pair, " \t"))
			if !alike {
				continue
			}
			if found {
				to.Twice(p.Place)
				return
			}
			found = true
			if !same {
				to.Variant(p.Place)
				continue
			}
			// Scripts write cookies with encodeURIComponent; a quoted value is
			// one value to some backends and another to the rest.
			text, err := url.PathUnescape(value)
			if err != nil || strings.Contains(value, `"`) {
				to.Malformed(p.Place, "is a cookie with quotes or a bad percent escape")
				return
			}
			to.Text(p.Place, []byte(text))
		}
	}
}

// isToken holds for a token of RFC 9110 section 5.6.2.
func isToken(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return text != ""
}
