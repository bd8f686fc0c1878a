package claimform

import "bytes"

// header is what a part's header says.
type header struct {
	disposition disposition
	encoded     bool // there is a Content-Transfer-Encoding
	contentType []byte
}

// parse reads header lines, each with its CRLF. Only what RFC 822 and MIME
// parsers cannot disagree about is accepted: no folded lines, no blanks before
// the colon, no control characters, no header that counts standing twice.
func (h *header) parse(lines []byte) bool {
	var disposed, typed bool
	for count := 0; len(lines) > 0; count++ {
		end := bytes.Index(lines, []byte("\r\n"))
		if end < 0 || end > maxHeaderLine || count == maxHeaderLines {
			return false
		}
		line := lines[:end]
		lines = lines[end+2:]
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || tokenEnd(line) != colon || !isText(line) {
			return false
		}
		key, value := line[:colon], trimBlanks(line[colon+1:])
		switch {
		case bytes.EqualFold(key, []byte("content-disposition")):
			if disposed || !h.disposition.parse(line[colon+1:]) {
				return false
			}
			disposed = true
		case containsFold(line, "content-disposition"):
			return false // Ruby's CGI and Rack look for it anywhere
		case bytes.EqualFold(key, []byte("content-type")):
			// RFC 7578 section 4.3 deprecates parts within parts.
			if typed || containsFold(value, "multipart/") {
				return false
			}
			typed, h.contentType = true, value
		case bytes.EqualFold(key, []byte("content-transfer-encoding")):
			if h.encoded {
				return false
			}
			h.encoded = true
		}
	}
	if typed && h.contentType == nil {
		h.contentType = []byte{}
	}
	return disposed
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
	return ok && (bytes.EqualFold(rest, []byte("utf-8")) || bytes.EqualFold(rest, []byte(`"utf-8"`)))
}

func cutPrefixFold(s []byte, prefix string) ([]byte, bool) {
	if len(s) < len(prefix) || !bytes.EqualFold(s[:len(prefix)], []byte(prefix)) {
		return nil, false
	}
	return s[len(prefix):], true
}

// containsFold says whether s holds sub, which is in lower case and ASCII.
func containsFold(s []byte, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if lower(s[i]) == sub[0] && equalFoldASCII(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

func equalFoldASCII(s []byte, lowered string) bool {
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

func trimBlanks(s []byte) []byte { return bytes.Trim(s, " \t") }

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
		switch c {
		case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		default:
			if !isAlphanumeric(c) {
				return i
			}
		}
	}
	return len(s)
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z'
}
