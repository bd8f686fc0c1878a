package caddymodule

import "bytes"

// bodyStart finds out how a body begins while it is still being read. It keeps
// its place, so that blanks which arrive one by one cost no more than at once.
type bodyStart struct {
	at    int
	brace bool
}

// object reports whether the text begins a JSON object: a brace followed, after
// blanks, by a quote or another brace. Some parsers pass over comments, too, and
// some take NULs for UTF-16; these are no valid JSON and are refused as such.
// The answer may not be clear yet; the next call has the same text and more.
func (s *bodyStart) object(text []byte) (yes, clear bool) {
	for ; s.at < len(text); s.at++ {
		switch c := text[s.at]; {
		case isBlank(c):
		case s.brace:
			return c == '"' || c == '}' || c == '/' || c == 0, true
		case c == '{':
			s.brace = true
		default:
			return false, !prefixOfForbidden(text[s.at:])
		}
	}
	return false, false
}

func looksLikeObject(text []byte) bool {
	var s bodyStart
	yes, _ := s.object(text)
	return yes
}

// isBlank holds for the white space of RFC 8259 section 2.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// forbiddenStarts are what a lenient parser passes over before it reads on,
// and a strict one does not: byte-order marks of UTF-8, UTF-16 and UTF-32,
// NULs, which UTF-16 and UTF-32 begin with as well, and comments.
var forbiddenStarts = [...]string{"\xef\xbb\xbf", "\xfe\xff", "\xff\xfe", "\x00", "/*", "//"}

func forbiddenStart(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	for _, start := range forbiddenStarts {
		if bytes.HasPrefix(text, []byte(start)) {
			return true
		}
	}
	return false
}

// prefixOfForbidden reports whether the text, as far as it is read, could
// still become a forbidden start.
func prefixOfForbidden(text []byte) bool {
	for _, start := range forbiddenStarts {
		if len(text) < len(start) && string(text) == start[:len(text)] {
			return true
		}
	}
	return false
}
