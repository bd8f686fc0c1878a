package claimform

import (
	"bytes"
	"strings"
)

// header is what a part's header says.
type header struct {
	disposition disposition
	encoded     bool // there is a Content-Transfer-Encoding
	contentType []byte
}

// parse reads a part's header lines, each with its CRLF, and returns what follows
// the empty one. Only what RFC 822 and MIME parsers cannot disagree about is
// accepted: no folded lines, no blanks before the colon, no control characters,
// no duplicate of a header that counts.
func (h *header) parse(text []byte) (content []byte, ok bool) {
	var disposed, typed bool
	lines := text[:min(len(text), maxHeader)]
	for count := 0; ; count++ {
		end := bytes.IndexByte(lines, '\r')
		if end < 0 || end+1 == len(lines) || lines[end+1] != '\n' || end > maxHeaderLine {
			return nil, false
		}
		line := lines[:end]
		lines = lines[end+2:]
		if end == 0 && count > 0 {
			break
		}
		colon := tokenEnd(line)
		if colon < 1 || colon == len(line) || line[colon] != ':' || count == maxHeaderLines || !isText(line) {
			return nil, false
		}
		key, value := line[:colon], trimBlanks(line[colon+1:])
		switch {
		case equalFold(key, "content-disposition"):
			if disposed || !h.disposition.parse(line[colon+1:]) {
				return nil, false
			}
			disposed = true
		case containsFold(line, "content-disposition"):
			return nil, false // Ruby's CGI and Rack look for it anywhere
		case equalFold(key, "content-type"):
			// RFC 7578 section 4.3 deprecates parts within parts.
			if typed || containsFold(value, "multipart/") {
				return nil, false
			}
			typed, h.contentType = true, value
		case equalFold(key, "content-transfer-encoding"):
			if h.encoded {
				return nil, false
			}
			h.encoded = true
		}
	}
	if typed && h.contentType == nil {
		h.contentType = []byte{}
	}
	return text[min(len(text), maxHeader)-len(lines):], disposed
}

// plain says whether the part is a text field that every parser reads alike.
func (h *header) plain() bool {
	return !h.disposition.file && h.disposition.usual && !h.encoded &&
		(h.contentType == nil || isPlainText(h.contentType))
}

// isPlainText says whether a Content-Type is text/plain in UTF-8.
func isPlainText(value []byte) bool {
	rest, ok := cutPrefixFold(value, "text/plain")
	if !ok || len(rest) == 0 {
		return ok
	}
	rest = trimBlanks(rest)
	if len(rest) == 0 || rest[0] != ';' {
		return false
	}
	rest, ok = cutPrefixFold(trimBlanks(rest[1:]), "charset=")
	return ok && (equalFold(rest, "utf-8") || equalFold(rest, `"utf-8"`))
}

func cutPrefixFold(s []byte, prefix string) ([]byte, bool) {
	if len(s) < len(prefix) || !equalFold(s[:len(prefix)], prefix) {
		return nil, false
	}
	return s[len(prefix):], true
}

// containsFold says whether s holds sub, which is in lower case and ASCII.
func containsFold(s []byte, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if lower(s[i]) == sub[0] && equalFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

// equalFold says whether s is lowered, which is in lower case and ASCII.
func equalFold(s []byte, lowered string) bool {
	if len(s) != len(lowered) {
		return false
	}
	for i := range s {
		if lower(s[i]) != lowered[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func trimBlanks(s []byte) []byte {
	s = trimLeft(s)
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func trimLeft(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// isText says whether s holds no control character but the tab.
func isText(s []byte) bool {
	for _, c := range s {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// tokenEnd returns the length of the token (RFC 9110 section 5.6.2) at s's beginning.
func tokenEnd(s []byte) int {
	for i, c := range s {
		if !inToken[c] {
			return i
		}
	}
	return len(s)
}

var inToken = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlphanumeric(byte(c)) || strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z'
}
