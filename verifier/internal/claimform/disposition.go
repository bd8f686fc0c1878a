package claimform

import (
	"bytes"
	"unicode/utf8"
)

// disposition is a part's Content-Disposition (RFC 7578 section 4.2).
type disposition struct {
	name  []byte
	file  bool // there is a filename
	usual bool // spaces or tabs, the last a space, precede the name: without it Ruby's CGI finds none
}

const maxParameters = 8

// parse reads the value of a Content-Disposition header. It refuses whatever
// makes parsers differ over where a parameter begins or ends, or which is the
// name.
func (d *disposition) parse(value []byte) bool {
	rest, ok := cutPrefixFold(bytes.TrimLeft(value, " \t"), "form-data")
	if !ok {
		return false
	}
	var keys [maxParameters][]byte
	named, colon := false, false
	for count := 0; len(rest) > 0; count++ {
		if rest[0] != ';' || count == maxParameters {
			return false
		}
		after := bytes.TrimLeft(rest[1:], " \t")
		spaced := rest[len(rest)-len(after)-1] == ' '
		end := tokenEnd(after)
		if end == 0 || end == len(after) || after[end] != '=' {
			return false
		}
		key := after[:end]
		for _, k := range keys[:count] {
			if len(k) == len(key) && bytes.EqualFold(k, key) {
				return false
			}
		}
		keys[count] = key
		var text []byte
		var quoted bool
		if text, quoted, rest, ok = parameter(after[end+1:]); !ok {
			return false
		}
		switch {
		case equalFold(key, "name"):
			named, d.name, d.usual = true, text, spaced
			// Rack finds no name behind a colon.
			if !validPartName(text, quoted) || colon {
				return false
			}
		case equalFold(key, "filename"):
			d.file = true
			if !quoted && bytes.IndexByte(text, '\'') >= 0 {
				return false
			}
		case equalFold(key, "filename*"):
			d.file = true
			// RFC 8187: charset'language'text. For PHP a single quote opens a
			// quoted string, so they have to come in pairs.
			if quoted || bytes.Count(text, []byte("'"))%2 != 0 {
				return false
			}
		default:
			// name*, name*0 and filename*0 are other parameters' pieces (RFC
			// 2231); formidable finds the name in any that ends so.
			if bytes.IndexByte(key, '*') >= 0 || ContainsFold(key, "name") || !quoted && bytes.IndexByte(text, '\'') >= 0 {
				return false
			}
		}
		colon = colon || bytes.IndexByte(text, ':') >= 0
		// The last of them is the name for Ruby's CGI and for old versions of Rack.
		if ContainsFold(text, "name=") || bytes.IndexByte(key, '\'') >= 0 {
			return false
		}
	}
	return named
}

// parameter reads a parameter's value: a token or a quoted string. Parsers
// differ over what a backslash escapes (browsers write %22 for a quote), so
// none may stand before a quote.
func parameter(s []byte) (text []byte, quoted bool, rest []byte, ok bool) {
	if len(s) > 0 && s[0] == '"' {
		end := bytes.IndexByte(s[1:], '"')
		if end < 0 || s[end] == '\\' {
			return nil, true, nil, false
		}
		return s[1 : end+1], true, s[end+2:], true
	}
	end := tokenEnd(s)
	return s[:end], false, s[end:], end > 0
}

// validPartName refuses an empty name, for which Rack takes a Content-ID, a file
// name or a Content-Type, and names that some parsers decode once more: backslashes
// (RFC 9110 section 5.6.4), encoded words (RFC 2047), single quotes around
// the name (PHP).
func validPartName(name []byte, quoted bool) bool {
	return len(name) > 0 && utf8.Valid(name) && bytes.IndexByte(name, '\\') < 0 && !bytes.Contains(name, []byte("=?")) &&
		(quoted || bytes.IndexByte(name, '\'') < 0)
}
