package caddymodule

import (
	"net/http"
	"strings"

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

// mediaTypeOf reads Content-Encoding and Content-Type. Backends differ in how
// they read a type that stands twice, has a parameter twice, or uses the
// extended notation of RFC 2231, so none of these is taken.
func mediaTypeOf(header http.Header) (mediaType, error) {
	for _, line := range header["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return mediaType{}, verifier.ErrUnsupported
			}
		}
	}
	lines := header["Content-Type"]
	switch {
	case len(lines) == 0:
		return mediaType{}, nil
	case len(lines) > 1:
		return mediaType{}, errContentType
	case lines[0] == "application/json":
		return mediaType{kind: bodyJSON}, nil
	}
	essence, charset, boundary, ok := parseMediaType(lines[0])
	if !ok {
		return mediaType{}, errContentType
	}
	if charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return mediaType{}, verifier.ErrUnsupported
	}
	switch {
	case essence == "application/json" || strings.HasSuffix(essence, "+json"):
		return mediaType{kind: bodyJSON}, nil
	case essence == "application/x-www-form-urlencoded":
		return mediaType{kind: bodyForm}, nil
	case essence == "multipart/form-data":
		if !verifier.ValidBoundary(boundary) {
			return mediaType{}, errContentType
		}
		return mediaType{bodyMultipart, boundary}, nil
	}
	return mediaType{}, nil
}

// parseMediaType reads RFC 9110 section 8.3.1 strictly: type "/" subtype
// *( OWS ";" OWS [ name "=" ( token / quoted-string without escapes ) ] ).
func parseMediaType(text string) (essence, charset, boundary string, ok bool) {
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
