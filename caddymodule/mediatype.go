package caddymodule

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// bodyKind is how a body is read.
type bodyKind uint8

const (
	bodyOther bodyKind = iota // JSON if it looks like it
	bodyJSON
	bodyForm
	bodyMultipart
)

// mediaType is what a request says of its body.
type mediaType struct {
	kind     bodyKind
	boundary string
}

// mediaTypeOf reads Content-Type and Content-Encoding. Of a body that cannot be
// read for its encoding or charset, the type still counts.
func mediaTypeOf(header http.Header) (mediaType, error) {
	m, err := declaredType(header["Content-Type"])
	for _, line := range header["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return m, verifier.ErrUnsupported
			}
		}
	}
	return m, err
}

// declaredType reads Content-Type. Backends differ in how they read a type that
// stands twice, has a parameter twice, or uses the extended notation of RFC
// 2231, so none of these is taken.
func declaredType(lines []string) (m mediaType, err error) {
	switch {
	case len(lines) == 0:
		return m, nil
	case len(lines) > 1:
		return m, errContentType
	case lines[0] == "application/json":
		return mediaType{kind: bodyJSON}, nil
	}
	essence, charset, boundary, ok := parseMediaType(lines[0])
	if !ok || !standsPlainly("charset", charset, lines[0]) {
		return m, errContentType
	}
	switch {
	case essence == "application/json" || strings.HasSuffix(essence, "+json"):
		m.kind = bodyJSON
	case essence == "application/x-www-form-urlencoded":
		m.kind = bodyForm
	case essence == "multipart/form-data":
		m = mediaType{bodyMultipart, boundary}
		if !verifier.ValidBoundary(boundary) || !standsPlainly("boundary", boundary, lines[0]) {
			err = errContentType
		}
	}
	if charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		err = verifier.ErrUnsupported
	}
	return m, err
}

// parseMediaType reads RFC 9110 section 8.3.1 strictly: type "/" subtype
// *( OWS ";" OWS [ name "=" ( token / quoted-string without escapes ) ] ), in
// ASCII, which is as long in lower case.
func parseMediaType(text string) (essence, charset, boundary string, ok bool) {
	for i := 0; i < len(text); i++ {
		if text[i] >= utf8.RuneSelf {
			return "", "", "", false
		}
	}
	parts := strings.SplitN(text, ";", 2)
	essence = strings.ToLower(strings.Trim(parts[0], " \t"))
	kind, sub, found := strings.Cut(essence, "/")
	if !found || !isToken(kind) || !isToken(sub) {
		return "", "", "", false
	}
	var rest string
	if len(parts) == 2 {
		rest = parts[1]
	}
	seen := make(map[string]bool)
	for rest = strings.TrimLeft(rest, " \t;"); rest != ""; rest = strings.TrimLeft(rest, " \t;") {
		name, after, found := strings.Cut(rest, "=")
		name = strings.ToLower(name)
		if !found || !isToken(name) || strings.Contains(name, "*") || seen[name] {
			return "", "", "", false
		}
		seen[name] = true
		var value string
		if strings.HasPrefix(after, `"`) {
			end := strings.IndexByte(after[1:], '"')
			if end < 0 || strings.Contains(after[1:1+end], `\`) {
				return "", "", "", false
			}
			value, rest = after[1:1+end], after[end+2:]
		} else {
			end := strings.IndexAny(after, "; \t")
			if end < 0 {
				end = len(after)
			}
			value, rest = after[:end], after[end:]
			if !isToken(value) {
				return "", "", "", false
			}
		}
		if trimmed := strings.TrimLeft(rest, " \t"); trimmed != "" && trimmed[0] != ';' {
			return "", "", "", false
		}
		switch name {
		case "charset":
			charset = value
		case "boundary":
			boundary = value
		}
	}
	return essence, charset, boundary, true
}

// standsPlainly reports whether a parser that does not take a type apart finds
// the same parameter, or none as well: PHP takes the first "boundary" and what
// follows the next "=", Ruby's CGI and Rack the last "boundary=", Tomcat the
// first "charset=", each within other names and quoted values, too.
func standsPlainly(name, value, text string) bool {
	folded := strings.ToLower(text) // ASCII alone, so that indexes stay
	if value == "" {
		return !strings.Contains(folded, name+"=")
	}
	at := strings.Index(text, name)
	if at < 0 {
		at = strings.Index(folded, name)
	}
	return strings.HasPrefix(folded[at:], name+"=") && strings.Count(folded, name+"=") == 1
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
