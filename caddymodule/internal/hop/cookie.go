package hop

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cookie is a cookie's name.
type Cookie struct {
	name     string
	folded   string // as PHP has the name
	shortest int    // no name of fewer bytes can pass for it
}

// Name returns the name as it was given.
func (c *Cookie) Name() string { return c.name }

// NewCookie returns the cookie of that name.
func NewCookie(name string) Cookie {
	return Cookie{name, foldCookie.Replace(name), utf8.RuneCountInString(name)}
}

// Found is what a request has under a cookie's name.
type Found struct {
	Value string // decoded; "" where there is none, or an empty one, which counts as none
	// Variant says that the cookie is there in a spelling that only some backends
	// take for the name, Twice that it is there with two values, or in two such
	// spellings, and Broken that a value cannot be decoded. What comes behind one that
	// is twice or broken is not read.
	Variant, Twice, Broken bool
}

// Find looks for the cookie in the Cookie fields of a request. A browser sends one
// twice that was set for the host and for its domain: with one value it is one.
func (c *Cookie) Find(header http.Header) (f Found) {
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			raw, same, alike := c.match(strings.Trim(pair, " \t"))
			switch {
			case !alike:
			case !same && f.Variant:
				f.Twice = true
				return f
			case !same:
				f.Variant = true
			default:
				value, err := decodeCookie(raw)
				switch {
				case err != nil:
					f.Broken = true
					return f
				case value != "" && f.Value != "" && value != f.Value:
					f.Twice = true
					return f
				case value != "":
					f.Value = value
				}
			}
		}
	}
	return f
}

var errQuote = errors.New("a quote that does not enclose the value, or a backslash within quotes")

// decodeCookie returns what a cookie's value says. Python, Tomcat and Go take quotes
// around it off, and Python and Tomcat a backslash within. A quote elsewhere makes
// some of them drop the cookie, or read on behind its semicolon. Scripts write values
// with encodeURIComponent.
func decodeCookie(raw string) (string, error) {
	if strings.IndexByte(raw, '"') >= 0 {
		if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
			return "", errQuote
		}
		if raw = raw[1 : len(raw)-1]; strings.ContainsAny(raw, `"\`) {
			return "", errQuote
		}
	}
	return url.PathUnescape(raw)
}

// Cut removes the cookies that are of that name or pass for it.
func (c *Cookie) Cut(header http.Header) {
	var lines []string
	for _, line := range header["Cookie"] {
		var kept strings.Builder
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			if _, _, alike := c.match(pair); alike {
				continue
			}
			if kept.Len() > 0 {
				kept.WriteString("; ")
			}
			kept.WriteString(pair)
		}
		if kept.Len() > 0 {
			lines = append(lines, kept.String())
		}
	}
	if len(lines) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = lines
}

// match reports whether a pair of a Cookie field is the cookie, with its value as it
// is written, or would pass for it with some backend. Go and Python trim spaces around
// names, PHP folds what it cannot have in a variable's name and makes an array of one
// in brackets, and Python starts a new pair at any space that is not within quotes.
func (c *Cookie) match(pair string) (value string, same, alike bool) {
	if len(pair) < c.shortest {
		return "", false, false
	}
	name, value, _ := strings.Cut(pair, "=")
	same = name == c.name
	if same && strings.IndexFunc(value, isCookieSpace) < 0 {
		return value, true, true
	}
	rest := pair
	quoted := same && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"'
	if quoted {
		rest = value
	} else if c.passes(name) {
		return "", false, true
	}
	before := "" // the piece before, if it had no '='
	for piece := range strings.FieldsFuncSeq(rest, isCookieSpace) {
		name, _, ok := strings.Cut(piece, "=")
		if ok && c.passes(name) || ok && name == "" && c.passes(before) {
			return "", false, true
		}
		if before = name; ok {
			before = ""
		}
	}
	return value, quoted, quoted
}

// passes reports whether some backend reads a cookie of that name as the place.
func (c *Cookie) passes(name string) bool {
	if len(name)-2*strings.Count(name, "%") < c.shortest {
		return false
	}
	if strings.IndexByte(name, '%') >= 0 || strings.IndexByte(name, '+') >= 0 {
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
	}
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimFunc(name, isCookieSpace)
	array, _, bracket := strings.Cut(name, "[")
	return c.equals(array) || bracket && c.equals(name)
}

// equals compares a name with the place's as PHP does, and without regard to case.
func (c *Cookie) equals(name string) bool {
	if len(name) < c.shortest {
		return false
	}
	for _, want := range c.folded {
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

// isCookieSpace holds for what some backend takes for the space around or between
// cookies: commas of RFC 2965, and single bytes beyond ASCII, of which Latin-1 makes
// spaces.
func isCookieSpace(r rune) bool {
	return r <= ' ' || r == ',' || r == 0x7f || r == 0xfeff || r == utf8.RuneError || unicode.IsSpace(r)
}

var foldCookie = strings.NewReplacer(".", "_", " ", "_", "[", "_")
