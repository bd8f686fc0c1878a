package caddymodule

import "net/http"

// ourPrefixes are what the names of this module's headers begin with, folded.
var ourPrefixes = [...]string{"x-verified-", "x-identity-"}

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
	if s.refused {
		// A handler before the one that refused may have copied the request: then the error routes have the body again.
		withoutBody(r)
	}
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

// hasFoldedPrefix reports whether name, folded, begins with the folded prefix.
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

// foldHeaderByte makes one of all spellings that a CGI-like backend puts into
// one variable: some map _ and . to the same, some every character that is
// neither letter nor digit.
func foldHeaderByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// foldHeader returns a header's name as strip compares it.
func foldHeader(name string) string {
	folded := []byte(name)
	for i := range folded {
		folded[i] = foldHeaderByte(folded[i])
	}
	return string(folded)
}
