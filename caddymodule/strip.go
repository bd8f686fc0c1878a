package caddymodule

import (
	"net/http"
	"reflect"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
)

// ourPrefixes are what the names of this module's headers begin with, folded.
var ourPrefixes = [...]string{"x-verified-", "x-identity-"}

// strip removes every header by which a client could pass itself off as
// verified: those with our prefixes and those that ours are renamed to,
// whatever their letter case, and with _ or . for -, since CGI-like backends
// take these for the same. The prefixes are removed once per request; a later
// handler removes only renamed headers. What an earlier handler published stays.
func (h *Handler) strip(r *http.Request, s *state) {
	h.app.sites() // so that renamed has the names of the whole site
	// A request's trailers arrive after its body and so after every check.
	r.Trailer = nil
	if s.refused {
		// A handler before the one that refused may have copied the request: then the error routes have the body again.
		body.Remove(r)
	}
	again := s.hasStripped(r.Header)
	if again && len(h.renamed) == 0 {
		return
	}
	s.stripped = r.Header
	for name, values := range r.Header {
		if (h.renames(name) || !again && hasOurPrefix(name)) && !s.published(name, values) {
			delete(r.Header, name)
		}
	}
	h.stripConnection(r)
	delete(r.Header, "Trailer")
}

// ours reports whether a header's name is one of this module's, or passes for one.
func (h *Handler) ours(name string) bool { return hasOurPrefix(name) || h.renames(name) }

func hasOurPrefix(name string) bool {
	for _, prefix := range ourPrefixes {
		if hasFoldedPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// renames reports whether a header's name is one that ours are renamed to, or
// passes for one.
func (h *Handler) renames(name string) bool {
	for _, renamed := range h.renamed {
		if len(name) == len(renamed) && hasFoldedPrefix(name, renamed) {
			return true
		}
	}
	return false
}

// hasStripped reports whether header is the map that was stripped already. Some
// directives pass on a copy of the request, and error routes have the original.
func (s *state) hasStripped(header http.Header) bool {
	return s.stripped != nil && reflect.ValueOf(s.stripped).Pointer() == reflect.ValueOf(header).Pointer()
}

// published reports whether the header is what the handler that decided has set.
func (s *state) published(name string, values []string) bool {
	if s.decider == nil || len(values) != 1 {
		return false
	}
	for i, set := range s.decider.names {
		if set == name {
			return s.values[i] != "" && s.values[i] == values[0]
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
