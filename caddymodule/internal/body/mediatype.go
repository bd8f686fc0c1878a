package body

import (
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// lower returns the text with ASCII letters in lower case, unlike [strings.ToLower] always
// of the same length.
func lower(text string) string {
	folded := []byte(text)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] += 'a' - 'A'
		}
	}
	return string(folded)
}

// essenceOf returns the type and subtype of a media type in lower case: what precedes the
// parameters, whatever separates them.
func essenceOf(member string) string {
	member = strings.Trim(member, " \t\"'")
	if end := strings.IndexAny(member, "; \t"); end >= 0 {
		member = member[:end]
	}
	return member
}

// plain reports whether all parsers read a media type in the same way, including those
// that only search it; folded is the text in lower case.
//
// It takes RFC 9110 section 8.3.1 strictly: type "/" subtype *( OWS ";" OWS
// [ name "=" ( token / quoted-string without escapes ) ] ), in ASCII, no name
// more than once, and none in the extended notation of RFC 2231.
func plain(text, folded string) bool {
	essence, rest, _ := strings.Cut(strings.Trim(folded, " \t"), ";")
	kind, sub, found := strings.Cut(strings.TrimRight(essence, " \t"), "/")
	if !found || !isToken(kind) || !isToken(sub) {
		return false
	}
	var seen [8]string // nobody sends more
	n := 0
	for rest = strings.TrimLeft(rest, " \t;"); rest != ""; rest = strings.TrimLeft(rest, " \t;") {
		name, after, found := strings.Cut(rest, "=")
		if !found || !isToken(name) || strings.Contains(name, "*") || slices.Contains(seen[:n], name) || n == len(seen) {
			return false
		}
		seen[n] = name
		n++
		value, after, ok := value(after)
		if !ok || value == "" && name == "charset" {
			return false
		}
		rest = after
	}
	// Tomcat takes the first "charset=", within other names and quotes, too.
	switch strings.Count(folded, "charset=") {
	case 0:
	case 1:
		if !slices.Contains(seen[:n], "charset") || strings.Index(folded, "charset") != strings.Index(folded, "charset=") {
			return false
		}
	default:
		return false
	}
	if !strings.Contains(essence, "multipart") {
		return true
	}
	_, ambiguous := boundaryOf(text, folded)
	return !ambiguous
}

// value takes a parameter's value from the beginning of the text. It must be a token or an
// ASCII quoted string without escapes, and only spaces may precede the next semicolon.
func value(text string) (value, after string, ok bool) {
	if quoted, found := strings.CutPrefix(text, `"`); found {
		value, after, found = strings.Cut(quoted, `"`)
		if !found || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r >= 0x7f || r == '\\' }) {
			return "", "", false
		}
	} else {
		end := strings.IndexAny(text, "; \t")
		if end < 0 {
			end = len(text)
		}
		value, after = text[:end], text[end:]
		if !isToken(value) {
			return "", "", false
		}
	}
	after = strings.TrimLeft(after, " \t")
	return value, after, after == "" || after[0] == ';'
}

// boundaryOf returns the boundary that a Content-Type names, or that it is ambiguous: PHP
// takes what follows the "=" after the first "boundary", Ruby's CGI and Rack the last
// "boundary=", even within other names and quotes; some know the continuations of RFC 2231.
// Within the boundary itself the word is common.
func boundaryOf(text, folded string) (boundary string, ambiguous bool) {
	const name = "boundary"
	at := strings.Index(folded, name)
	if at < 0 {
		return "", false
	}
	start := at + len(name) + len("=")
	if at == 0 || strings.IndexByte("; \t", text[at-1]) < 0 || start > len(text) || text[start-1] != '=' {
		return "", true
	}
	found, after, ok := value(text[start:])
	if !ok || !validBoundary(found) || strings.Contains(lower(found), name+"=") || strings.Contains(lower(after), name) {
		return "", true
	}
	return found, false
}

// severalBoundaries reports whether an ambiguous Content-Type, in lower case, may
// name more than one boundary. Behind a first "boundary=" that begins a parameter,
// another counts only if an "=" follows the word, perhaps after what RFC 2231, spaces and
// quotes put between: within a boundary the word is common, as in Qt's
// "boundary_.oOo._ab/cd".
func severalBoundaries(folded string) bool {
	const name = "boundary"
	before, rest, _ := strings.Cut(folded, name)
	if before == "" || strings.IndexByte("; \t", before[len(before)-1]) < 0 || !strings.HasPrefix(rest, "=") {
		return strings.Contains(rest, name)
	}
	for found := true; found; {
		if _, rest, found = strings.Cut(rest, name); found && strings.HasPrefix(strings.TrimLeft(rest, "*0123456789 \t\"'\\"), "=") {
			return true
		}
	}
	return false
}

// validBoundary reports whether a boundary is 1 to 70 characters of a token or of RFC 2046's
// bchars, except space and comma, at which some parsers stop. Android's "*****" is only a
// token, and common.
func validBoundary(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; !isToken(text[i:i+1]) && strings.IndexByte("()/:=?", c) < 0 {
			return false
		}
	}
	return 1 <= len(text) && len(text) <= 70
}

// isToken reports whether the text is a token (RFC 9110 section 5.6.2).
func isToken(text string) bool { return httpguts.ValidHeaderFieldName(text) }
