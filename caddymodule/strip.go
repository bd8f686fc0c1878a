package caddymodule

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// keptFromConnection are headers that a client's Connection field must not remove either:
// the body was read as they say.
var keptFromConnection = [...]string{"content-type", "content-encoding"}

// strip removes every header by which a client could pretend to be verified: those with
// our prefixes and those that ours are renamed to, in any letter case and with _ or . for
// -, which CGI-like backends read as the same. The prefixes are removed once per request;
// a later handler removes only renamed headers. What an earlier handler published stays.
// Sessions are kept for the handler that takes them: a guard may come before it.
func (h *Handler) strip(r *http.Request, s *state) {
	h.app.sites() // sets renamed to the names of the whole site
	// Trailers arrive after the body and so after every check.
	r.Trailer = nil
	if s.refused {
		// If an earlier handler copied the request, the error routes have the body again.
		body.Remove(r)
	}
	again := s.hasStripped(r.Header)
	if again && len(h.renamed)+len(h.sessionHeaders) == 0 {
		return
	}
	s.stripped = r.Header
	for name, values := range r.Header {
		if h.takeSessionHeader(s, name, values) || (h.renames(name) || !again && hop.IsOurs(name)) && !s.published(name, values) {
			delete(r.Header, name)
		}
	}
	hop.StripConnection(r.Header, h.keepsFromConnection)
	delete(r.Header, "Trailer")
}

// ours reports whether a header's name is one of this module's in any spelling.
func (h *Handler) ours(name string) bool { return hop.IsOurs(name) || h.renames(name) }

func (h *Handler) keepsFromConnection(name string) bool {
	return h.ours(name) || slices.ContainsFunc(keptFromConnection[:], func(kept string) bool { return strings.EqualFold(name, kept) })
}

// renames reports whether a header's name is one that ours are renamed to, in any
// spelling.
func (h *Handler) renames(name string) bool {
	return slices.ContainsFunc(h.renamed, func(renamed hop.Header) bool { return renamed.Is(name) })
}

// hasStripped reports whether this very map was stripped. Some directives pass on a copy
// of the request, and error routes have the original.
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
