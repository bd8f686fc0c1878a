// Package naming evaluates the texts with placeholders by which a request names its widget,
// conversation or visitor. The path needs care: servers clean it in different ways.
package naming

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// UsesPath reports whether a placeholder is the path or a part of it, current or original.
func UsesPath(placeholder string) bool {
	for _, uri := range [...]string{"http.request.uri", "http.request.orig_uri"} {
		if rest, ok := strings.CutPrefix(placeholder, uri); ok && (rest == "" || rest == "_escaped" || strings.HasPrefix(rest, ".path")) {
			return true
		}
	}
	return false
}

// PathFlaw returns what is ambiguous in a request's path, either the one for the upstream
// or the one that the client sent; "" for nothing. Servers and frameworks clean paths
// before they read them: to Tomcat, nginx and Rails /mine/../theirs is /theirs.
func PathFlaw(r *http.Request) string {
	if flaw := flawOf(r.URL.EscapedPath()); flaw != "" {
		return flaw
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return flawOf(original.URL.EscapedPath())
	}
	return ""
}

// flawOf returns what is ambiguous in a path, "" for nothing.
func flawOf(path string) string {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case ';':
			return "has a ';'"
		case '%':
			escape := path[i:min(i+3, len(path))]
			if c, err := url.PathUnescape(escape); err == nil && needless(c[0]) {
				return "has the escape " + escape
			}
		}
	}
	rest, rooted := strings.CutPrefix(path, "/")
	for rooted {
		segment, after, more := strings.Cut(rest, "/")
		switch {
		case segment == "." || segment == "..":
			return "has a segment '" + segment + "'"
		case segment == "" && more:
			return "has an empty segment"
		}
		rest, rooted = after, more
	}
	return ""
}

// needless reports whether escaping the character makes a path ambiguous: it separates
// segments, is dropped by some parsers, or is unreserved (RFC 3986 section 2.3).
func needless(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/\\;\x00", c) >= 0
}
