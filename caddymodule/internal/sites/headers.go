package sites

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// headerChange is what a handler does to a request's headers.
type headerChange struct {
	by, way string // what does it, with %s for the header
	guarded bool   // a handler of ours has run
	ops     *headers.HeaderOps
}

// changesHeaders notes what a handler does to headers.
func (s *Site) changesHeaders(h *headers.Handler, by, way string, guarded bool) {
	switch {
	case h == nil:
		return
	case h.Request != nil:
		s.changes = append(s.changes, headerChange{by, way, guarded, h.Request})
	}
	if h.Response != nil && h.Response.HeaderOps != nil {
		const allowed = "Access-Control-Allow-Origin"
		s.crossOrigin = s.crossOrigin || len(h.Response.Set[allowed])+len(h.Response.Add[allowed]) > 0
	}
}

// removal is a header, with its wildcards in lower case, that certain requests no longer have.
type removal struct {
	surrounding
	name string
}

// removes notes the headers that are removed, unless a handler of ours may have read them.
func (s *Site) removes(ops *headers.HeaderOps) {
	if ops == nil || len(s.passed) > 0 {
		return
	}
	for _, name := range ops.Delete {
		s.removed = append(slices.Clip(s.removed), removal{s.here(), strings.ToLower(name)})
	}
}

// withoutSessions finds a handler all of whose sessions in a header have been removed before,
// and were not put there again.
func (s *Site) withoutSessions(h *Handler, sets caddyhttp.MatcherSets) {
	gone := func(session hop.Header) bool {
		given := func(c headerChange) bool {
			return len(c.ops.Set.Values(string(session)))+len(c.ops.Add.Values(string(session))) > 0
		}
		return !s.othersGive && !slices.ContainsFunc(s.changes, given) && slices.ContainsFunc(s.removed, func(r removal) bool {
			matched, err := path.Match(r.name, string(session))
			return matched && err == nil && r.takes(sets, s.rewrites)
		})
	}
	if len(h.Sessions) > 0 && !slices.ContainsFunc(h.Sessions, func(session hop.Header) bool { return !gone(session) }) {
		s.sessionless = append(s.sessionless, h)
	}
}

// checkHeaders finds what copies our headers before the client's are removed, and what
// overwrites them behind.
func (s *Site) checkHeaders(find func(findings.Kind, string)) {
	renamed := s.Renamed()
	for _, c := range s.changes {
		for _, values := range [...]http.Header{c.ops.Set, c.ops.Add} {
			for name, texts := range values {
				isOurs := hop.IsOurs(name) || slices.ContainsFunc(renamed, func(h hop.Header) bool { return h.Is(name) })
				copied := slices.ContainsFunc(texts, func(text string) bool { return readsHeader("", text, renamed) != "" })
				switch {
				case c.guarded && isOurs:
					find(findings.HeaderOverwritten, fmt.Sprintf(c.by, name)+" overwrites the header after chat_identity has set it, for "+c.way)
				case !c.guarded && copied:
					find(findings.HeaderCopied, fmt.Sprintf(c.by, name)+" copies one of chat_identity's headers before the client's own has been removed, for "+c.way+
						", so the client controls it")
				}
			}
		}
		for _, name := range c.ops.Delete {
			if c.guarded && hop.Ours[0].Begins(name) {
				find(findings.HeaderOverwritten, fmt.Sprintf(c.by, "-"+name)+" removes the header after chat_identity has set it, for "+c.way)
			}
		}
	}
}
