package claimform

import (
	"bytes"
	"slices"
	"strings"
)

const (
	maxHeaderLine  = 4 << 10 // PHP breaks a longer line than 5119 bytes in two
	maxHeaderLines = 16
)

// header is what a part's header says.
type header struct {
	disposition disposition
	encoded     bool // there is a Content-Transfer-Encoding that changes bytes
	nested      bool // its content is made of parts
	otherType   bool // there is a Content-Type that is not text/plain, or has other parameters than a charset
	charset     charset
}

// parse reads a part's header lines, each with its CRLF, the last of them empty.
// Only what RFC 822 and MIME parsers cannot disagree about is accepted: no folded
// lines, no space before the colon, no control characters, no duplicate of a
// header that counts.
func (h *header) parse(lines []byte) bool {
	var disposed, typed, transferred bool
	for count := 0; ; count++ {
		end := bytes.IndexByte(lines, '\r')
		if lines[end+1] != '\n' || end > maxHeaderLine {
			return false
		}
		line := lines[:end]
		lines = lines[end+2:]
		if end == 0 {
			return disposed
		}
		colon := tokenEnd(line)
		if colon < 1 || colon == len(line) || line[colon] != ':' || count == maxHeaderLines || !isText(line) {
			return false
		}
		key, value := line[:colon], trimSpaces(line[colon+1:])
		switch {
		case equalFold(key, "content-disposition"):
			if disposed || !h.disposition.parse(line[colon+1:]) {
				return false
			}
			disposed = true
		case ContainsFold(line, "content-disposition"):
			return false // Ruby's CGI and Rack look for it anywhere
		case equalFold(key, "content-type"):
			if typed {
				return false
			}
			typed = true
			h.nested = ContainsFold(value, "multipart/")
			h.otherType, h.charset = parseType(value)
		case equalFold(key, "content-transfer-encoding"):
			if transferred {
				return false
			}
			transferred = true
			h.encoded = !equalFold(value, "binary") && !equalFold(value, "8bit") && !equalFold(value, "7bit")
		}
	}
}

// fieldError says why the part is no text field that every parser reads alike.
func (h *header) fieldError() error {
	if h.disposition.file || !h.disposition.usual || h.otherType || h.wayError() != nil {
		return ErrPart
	}
	return nil
}

// wayError says why the part's bytes may not be those of a text.
func (h *header) wayError() error {
	if h.encoded || h.charset == unknown {
		return ErrPart
	}
	return nil
}

func cutPrefixFold(s []byte, prefix string) ([]byte, bool) {
	if len(s) < len(prefix) || !equalFold(s[:len(prefix)], prefix) {
		return nil, false
	}
	return s[len(prefix):], true
}

// ContainsFold reports whether s holds sub, which is in lower case and ASCII.
func ContainsFold(s []byte, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if lower(s[i]) == sub[0] && equalFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

// equalFold reports whether s is lowered, which is in lower case and ASCII.
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

func trimSpaces(s []byte) []byte { return bytes.Trim(s, " \t") }

// isText reports whether s holds no control character but the tab.
func isText(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
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
