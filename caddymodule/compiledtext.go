package caddymodule

import (
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"
)

// textPart is a piece of a compiled text: what finds it in a request or, where
// that is nil, the piece itself.
type textPart struct {
	literal string
	find    func(r *http.Request) string
}

// compileText returns the parts of a text whose placeholders are all of the
// kinds that name widgets and conversations in practice, nil for another one.
// Caddy's replacer would give the same, but asks each of its providers for each
// placeholder, and takes four pieces of memory for it.
func compileText(text string) (parts []textPart) {
	if strings.Contains(text, `\`) {
		return nil // an escaped brace
	}
	for {
		before, after, ok := strings.Cut(text, "{")
		if before != "" {
			parts = append(parts, textPart{literal: before})
		}
		if !ok {
			return parts
		}
		name, rest, _ := strings.Cut(after, "}")
		find := compilePlaceholder(name)
		if find == nil {
			return nil
		}
		parts, text = append(parts, textPart{find: find}), rest
	}
}

// compilePlaceholder returns what finds the value of a placeholder in a request
// as caddyhttp's replacer does, nil for one that is left to it.
func compilePlaceholder(name string) func(r *http.Request) string {
	name, ok := strings.CutPrefix(name, "http.request.")
	if !ok {
		return nil
	}
	switch name {
	case "host":
		return hostOf
	case "uri.path":
		return func(r *http.Request) string { return r.URL.Path }
	}
	if name, ok := strings.CutPrefix(name, "header."); ok {
		name = textproto.CanonicalMIMEHeaderKey(name)
		return func(r *http.Request) string { return joined(r.Header[name]) }
	}
	if name, ok := strings.CutPrefix(name, "uri.query."); ok {
		return func(r *http.Request) string { return joined(r.URL.Query()[name]) }
	}
	if name, ok := strings.CutPrefix(name, "cookie."); ok {
		return func(r *http.Request) string { return cookieOf(r, name) }
	}
	if index, ok := strings.CutPrefix(name, "uri.path."); ok {
		if n, err := strconv.Atoi(index); err == nil && n >= 0 {
			return func(r *http.Request) string { return segment(r.URL.Path, n) }
		}
	}
	return nil
}

func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}

func joined(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ",")
}

func cookieOf(r *http.Request, name string) string {
	for _, cookie := range r.Cookies() {
		if strings.EqualFold(name, cookie.Name) {
			return cookie.Value
		}
	}
	return ""
}

// segment returns the n-th segment of a path, from 0 on.
func segment(path string, n int) string {
	path = strings.TrimPrefix(path, "/")
	for range n {
		var ok bool
		if _, path, ok = strings.Cut(path, "/"); !ok {
			return ""
		}
	}
	path, _, _ = strings.Cut(path, "/")
	return path
}

// evaluate returns the text of a request, and nothing where one of its
// placeholders is empty and must not be.
func evaluate(parts []textPart, r *http.Request, emptyAllowed bool) string {
	var text string
	for i := range parts {
		part := parts[i].literal
		if find := parts[i].find; find != nil {
			if part = find(r); part == "" && !emptyAllowed {
				return ""
			}
		}
		if i == 0 {
			text = part
		} else {
			text += part
		}
	}
	return text
}

// plain reports whether the header stands in one spelling and with one value at
// most, which is what read and respelled would find with more effort.
func (p *headerPlace) plain(r *http.Request) bool {
	found := 0
	for name, values := range r.Header {
		if !p.is(name) {
			continue
		}
		if found += len(values); found > 1 || !strings.EqualFold(name, p.name) {
			return false
		}
		if len(values) == 1 && !utf8.ValidString(values[0]) {
			return false
		}
	}
	return true
}
