package hop

import (
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

// NewCookie returns the cookie of that name.
func NewCookie(name string) Cookie {
	return Cookie{name, foldCookie.Replace(name), utf8.RuneCountInString(name)}
}

// Found is what a request has under a cookie's name.
type Found struct {
	Value string // decoded, of the first one; "" where there is none
	There bool   // there is one by that very name
	// Variant says that there is one in a spelling that only some backends take
	// for the name, Twice that there is another beside the first, and Broken that
	// the value cannot be decoded. What comes behind these is not read.
	Variant, Twice, Broken bool
}

// Find looks for the cookie in the Cookie fields of a request.
func (c *Cookie) Find(header http.Header) (f Found) {
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			value, same, alike := c.match(strings.Trim(pair, " \t"))
			if !alike {
				continue
			}
			if f.There || f.Variant {
				f.Twice = true
				return f
			}
			if !same {
				f.Variant = true
				continue
			}
			// Scripts write cookies with encodeURIComponent; a quoted value is
			// one value to some backends and another to the rest.
			text, err := url.PathUnescape(value)
			if f.There = true; err != nil || strings.Contains(value, `"`) {
				f.Broken = true
				return f
			}
			f.Value = text
		}
	}
	return f
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

// match reports whether a pair of a Cookie field is the place, with its value,
// or would pass for it with some backend. Go and Python trim blanks around
// names, PHP folds what it cannot have in a variable's name and makes an array
// of one in brackets, and Python starts a new pair at any blank.
func (c *Cookie) match(pair string) (value string, same, alike bool) {
	if len(pair) < c.shortest {
		return "", false, false
	}
	name, value, _ := strings.Cut(pair, "=")
	if name == c.name && strings.IndexFunc(value, isCookieBlank) < 0 {
		return value, true, true
	}
	if c.passes(name) {
		return "", false, true
	}
	before := "" // the piece before, if it had no '='
	for piece := range strings.FieldsFuncSeq(value, isCookieBlank) {
		name, _, ok := strings.Cut(piece, "=")
		if ok && c.passes(name) || ok && name == "" && c.passes(before) {
			return "", false, true
		}
		if before = name; ok {
			before = ""
		}
	}
	return "", false, false
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
	name = strings.TrimFunc(name, isCookieBlank)
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

// isCookieBlank holds for what some backend takes for the blank around or
// between cookies: commas of RFC 2965, and single bytes beyond ASCII, of which
// Latin-1 makes blanks.
func isCookieBlank(r rune) bool {
	return r <= ' ' || r == ',' || r == 0x7f || r == 0xfeff || r == utf8.RuneError || unicode.IsSpace(r)
}

var foldCookie = strings.NewReplacer(".", "_", " ", "_", "[", "_")
