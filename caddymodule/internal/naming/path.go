// Package naming reads what a request names by texts with Caddy's placeholders, of
// which the path is one that servers read in ways of their own.
package naming

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// UsesPath reports whether a placeholder is the path, the original one too, or a
// part of it.
func UsesPath(placeholder string) bool {
	for _, uri := range [...]string{"http.request.uri", "http.request.orig_uri"} {
		if rest, ok := strings.CutPrefix(placeholder, uri); ok && (rest == "" || rest == "_escaped" || strings.HasPrefix(rest, ".path")) {
			return true
		}
	}
	return false
}

// PathFlaw returns what is wrong with the path of a request that is named by it, the
// one that goes to the upstream or the one that the client has sent; "" for nothing.
// Servers and frameworks clean a path in ways of their own before they read it: to
// Tomcat, nginx and Rails /mine/../theirs is /theirs.
func PathFlaw(r *http.Request) string {
	if flaw := flawOf(r.URL.EscapedPath()); flaw != "" {
		return flaw
	}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		return flawOf(original.URL.EscapedPath())
	}
	return ""
}

// flawOf returns what is not clean in a path, "" for nothing.
func flawOf(path string) string {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case ';':
			return "has a ';'"
		case '%':
			if i+2 < len(path) && needless(unhex(path[i+1])<<4|unhex(path[i+2])) {
				return "has the escape " + path[i:i+3]
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

// needless reports whether an escape of the character makes a path that some parser
// takes for another one: of what separates or is dropped, and of an unreserved
// character (RFC 3986 section 2.3), which nobody has to escape.
func needless(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/\\;\x00", c) >= 0
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c >= 'A' {
		return c&0xf + 9
	}
	return c & 0xf
}
