package hop

import (
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cookie is a cookie's name.
type Cookie struct {
	name     string
	folded   string // the name as PHP has it
	shortest int    // the minimum length of a name that some backend reads as this one
}

// Name returns the name as it was given.
func (c *Cookie) Name() string { return c.name }

// NewCookie returns the cookie of that name.
func NewCookie(name string) Cookie {
	return Cookie{name, foldCookie.Replace(name), utf8.RuneCountInString(name)}
}

// Found is what a request has under a cookie's name.
type Found struct {
	Value     string // decoded; an empty value counts as none
	Variant   bool   // a spelling that only some backends read as the name
	Duplicate bool   // two values, or two such spellings
	Broken    bool   // a value that cannot be decoded
}

// Find looks for the cookie in the Cookie fields of a request, up to the first duplicate or
// broken one. A browser repeats a cookie that was set for both the host and its domain:
// with the same value that is no duplicate.
func (c *Cookie) Find(header http.Header) (f Found) {
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			raw, exact, lookalike := c.match(strings.Trim(pair, " \t"))
			switch {
			case !lookalike:
			case !exact && f.Variant:
				f.Duplicate = true
				return f
			case !exact:
				f.Variant = true
			default:
				value, err := decodeCookie(raw)
				switch {
				case err != nil:
					f.Broken = true
					return f
				case value != "" && f.Value != "" && value != f.Value:
					f.Duplicate = true
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

// decodeCookie decodes a cookie's value. Python, Tomcat and Go remove quotes around it, and
// Python and Tomcat a backslash within. A quote elsewhere makes some of them drop the
// cookie, or read on past its semicolon. Scripts encode values with encodeURIComponent.
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

// CookieValues yields the values of all cookies, as they were sent and without escapes. It
// yields nil for one whose end is unclear: within quotes Python reads on past semicolons.
func CookieValues(header http.Header) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, line := range header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				_, value, _ := strings.Cut(pair, "=")
				switch bare, open := unescapeCookie(value); {
				case open && !yield(nil), !open && !yield([]byte(value)), !open && string(bare) != value && !yield(bare):
					return
				}
			}
		}
	}
}

// unescapeCookie decodes percent escapes, as scripts write them, and backslashes, as Python
// does, and reports whether a quote is left open.
func unescapeCookie(value string) (bare []byte, open bool) {
	for value != "" {
		c, n := value[0], 1
		switch {
		case c == '"':
			open = !open
		case c == '%' && len(value) > 2:
			if b, err := strconv.ParseUint(value[1:3], 16, 8); err == nil {
				c, n = byte(b), 3
			}
		case c == '\\' && len(value) > 1:
			c, n = value[1], 2
			if b, err := strconv.ParseUint(value[1:min(4, len(value))], 8, 8); err == nil {
				c, n = byte(b), min(4, len(value))
			}
		}
		bare, value = append(bare, c), value[n:]
	}
	return bare, open
}

// Escaped yields the values of the cookie that have percent escapes, as they were sent.
func (c *Cookie) Escaped(header http.Header) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, line := range header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				raw, exact, _ := c.match(strings.Trim(pair, " \t"))
				if exact && strings.IndexByte(raw, '%') >= 0 && !yield([]byte(raw)) {
					return
				}
			}
		}
	}
}

// Cut removes the cookies that some backend reads as this one.
func (c *Cookie) Cut(header http.Header) {
	c.Rewrite(header, func(string) string { return "" })
}

// Rewrite has each cookie that is exactly this one go on with another value, or not at
// all where that is empty. Lookalikes are removed.
func (c *Cookie) Rewrite(header http.Header, other func(value string) string) {
	var lines []string
	for _, line := range header["Cookie"] {
		var kept strings.Builder
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			if raw, exact, lookalike := c.match(pair); lookalike {
				if pair = ""; exact {
					pair = c.rewritten(raw, other)
				}
			}
			if pair == "" {
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

// rewritten returns a pair with another value, which is escaped if this one was or if a
// cookie cannot have it as it is.
func (c *Cookie) rewritten(raw string, other func(value string) string) string {
	value, err := decodeCookie(raw)
	if err != nil {
		return ""
	}
	next := other(value)
	switch {
	case next == "":
		return ""
	case next == value:
		return c.name + "=" + raw
	case strings.IndexByte(raw, '%') >= 0 || strings.IndexFunc(next, func(r rune) bool { return isCookieSpace(r) || strings.ContainsRune(`";\`, r) }) >= 0:
		next = strings.ReplaceAll(url.QueryEscape(next), "+", "%20")
	}
	return c.name + "=" + next
}

// match reports whether a pair of a Cookie field is exactly this cookie, and returns its raw
// value, or is a lookalike: some backend reads it as this cookie. Go and Python trim spaces
// around names, PHP replaces characters that variable names cannot have and reads brackets
// as an array, and Python starts a new pair at any space outside of quotes.
func (c *Cookie) match(pair string) (value string, exact, lookalike bool) {
	if len(pair) < c.shortest {
		return "", false, false
	}
	name, value, _ := strings.Cut(pair, "=")
	exact = name == c.name
	if exact && strings.IndexFunc(value, isCookieSpace) < 0 {
		return value, true, true
	}
	rest := pair
	quoted := exact && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"'
	if quoted {
		rest = value
	} else if c.passes(name) {
		return "", false, true
	}
	before := "" // the previous piece, if it had no '='
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

// passes reports whether some backend reads a cookie of that name as this one.
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

// equals compares names as PHP does, and case-insensitively.
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

// isCookieSpace reports whether some backend takes the character for space around or
// between cookies: a comma (RFC 2965), or a single byte beyond ASCII, which may be a space
// in Latin-1.
func isCookieSpace(r rune) bool {
	return r <= ' ' || r == ',' || r == 0x7f || r == 0xfeff || r == utf8.RuneError || unicode.IsSpace(r)
}

var foldCookie = strings.NewReplacer(".", "_", " ", "_", "[", "_")
