package caddymodule

import (
	"net/http"
	"strings"
)

// ourPrefixes are what the names of this module's headers begin with, folded.
var ourPrefixes = [...]string{"x-verified-", "x-identity-"}

// keptFromConnection are headers that a client's Connection field must not
// remove on the way to the upstream either: the body was read as they say.
var keptFromConnection = [...]string{"content-type", "content-encoding"}

// strip removes every header by which a client could pass itself off as
// verified: those with our prefixes and those that ours are renamed to,
// whatever their letter case, and with _ or . for -, since CGI-like backends
// take these for the same. What an earlier handler set stays.
func (h *Handler) strip(r *http.Request, s *state) {
	for name := range r.Header {
		if h.ours(name) && !(s.decider != nil && s.decider.sets(name)) {
			delete(r.Header, name)
		}
	}
	h.stripConnection(r)
	// A request's trailers arrive after its body and so after every check.
	r.Trailer = nil
	delete(r.Header, "Trailer")
}

// ours reports whether a header's name is one of this module's, or passes for one.
func (h *Handler) ours(name string) bool {
	for _, prefix := range ourPrefixes {
		if hasFoldedPrefix(name, prefix) {
			return true
		}
	}
	for _, renamed := range h.renamed {
		if len(name) == len(renamed) && hasFoldedPrefix(name, renamed) {
			return true
		}
	}
	return false
}

// sets reports whether the handler writes a header of exactly that name.
func (h *Handler) sets(name string) bool {
	for _, set := range h.names {
		if set == name {
			return true
		}
	}
	return false
}

// stripConnection removes the names of our headers from the Connection field:
// a proxy drops the headers that it names (RFC 9110 section 7.6.1), ours too.
func (h *Handler) stripConnection(r *http.Request) {
	lines := r.Header["Connection"]
	for i := 0; i < len(lines); i++ {
		line, changed := h.withoutOurs(lines[i])
		switch {
		case !changed:
		case line == "":
			lines = append(lines[:i:i], lines[i+1:]...)
			i--
		default:
			lines = append(append(lines[:i:i], line), lines[i+1:]...)
		}
	}
	if len(lines) == 0 {
		delete(r.Header, "Connection")
		return
	}
	r.Header["Connection"] = lines
}

func (h *Handler) withoutOurs(line string) (kept string, changed bool) {
	for option := range strings.SplitSeq(line, ",") {
		name := strings.Trim(option, " \t")
		if h.ours(name) || strings.EqualFold(name, keptFromConnection[0]) || strings.EqualFold(name, keptFromConnection[1]) {
			changed = true
			continue
		}
		if kept != "" {
			kept += ", "
		}
		kept += name
	}
	if !changed {
		return line, false
	}
	return kept, true
}

// hasFoldedPrefix reports whether name begins with the folded prefix, letter
// case aside and with _ and . taken for -.
func hasFoldedPrefix(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if foldHeaderByte(name[i]) != prefix[i] {
			return false
		}
	}
	return true
}

func foldHeaderByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_' || c == '.':
		return '-'
	}
	return c
}

// foldHeader returns a header's name as strip compares it.
func foldHeader(name string) string {
	folded := []byte(name)
	for i := range folded {
		folded[i] = foldHeaderByte(folded[i])
	}
	return string(folded)
}
