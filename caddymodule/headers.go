package caddymodule

import (
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// The headers for the upstream, as indexes of Handler.names.
const (
	headerUser = iota
	headerWidget
	headerOutcome
	headerReason
	headerEmail
	headerName
	headerAttributes
	headerVerifiedEmail
	headerVerifiedName
	headerVerifiedAttributes
	headerAssertion
	headerMergeFrom
	numHeaders
)

// headerKeys are the headers' names in a configuration, headerDefaults those in a request.
var (
	headerKeys     = [numHeaders]string{"user", "widget", "outcome", "reason", "email", "name", "attributes", "verified_email", "verified_name", "verified_attributes", "assertion", "merge_from"}
	headerDefaults = [numHeaders]string{
		"X-Verified-User", "X-Verified-Widget", "X-Identity-Outcome", "X-Identity-Reason",
		"X-Identity-Email", "X-Identity-Name", "X-Identity-Attributes",
		"X-Verified-Email", "X-Verified-Name", "X-Verified-Attributes", "X-Verified-Assertion", "X-Identity-Merge-From",
	}
)

// maxIdentityHeaders bounds all X-Identity-* headers together, and what a token signs in
// X-Verified-* ones, in bytes, names included: an upstream may refuse larger headers.
const maxIdentityHeaders = 4 << 10

// reservedHeaders belong to HTTP itself.
var reservedHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Keep-Alive",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// neededHeaders are others that a site's requests cannot do without.
var neededHeaders = []string{
	"Accept", "Authorization", "Forwarded", "Origin", "Proxy-Authorization", "Referer", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key",
	"Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
}

// provisionHeaders applies the configured names of our headers.
func (h *Handler) provisionHeaders() error {
	h.names = headerDefaults
	for key, name := range h.Headers {
		i := slices.Index(headerKeys[:], key)
		if i < 0 {
			return fmt.Errorf("header: %w", choice.Unknown("name", key, headerKeys[:]))
		}
		if name == "off" {
			h.names[i] = ""
			continue
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header %s: '%s' is not a header name", key, name)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if sessionHeader.Is(name) {
			return fmt.Errorf("header %s: %s is the header of sessions, which is removed: choose another name", key, name)
		}
		if slices.ContainsFunc(reservedHeaders, hop.NewHeader(name).Is) {
			return fmt.Errorf("header %s: %s carries the request itself: choose another name", key, name)
		}
		h.names[i] = name
		h.renamed = append(h.renamed, hop.NewHeader(name))
	}
	for i, name := range h.names {
		for j := range i {
			if name != "" && hop.Fold(name) == hop.Fold(h.names[j]) {
				return fmt.Errorf("header: %s and %s would both be %s", headerKeys[j], headerKeys[i], name)
			}
		}
	}
	return nil
}

// checkRenamed refuses to read a header to which one of ours is renamed, or in which sessions
// travel, since the client's is removed. The names of the whole site count once its routes
// are read.
func (h *Handler) checkRenamed() error {
	for _, p := range h.plan.policy.Places {
		switch {
		case p.Location != intake.AtHeader:
		case p.Field != verifier.SessionField && h.ofSessions(p.Name):
			return ofOption(optionOf(p.Field), fmt.Errorf("%s: sessions travel in the header %s, which is removed from every request of the site: choose another name", optionOf(p.Field), p.Name))
		case h.renames(p.Name):
			return ofOption("header", fmt.Errorf("header: this site renames one of chat_identity's headers to %s, so the client's is removed and no %s arrives in it: choose another name", p.Name, p.Field))
		}
	}
	for _, text := range h.allTexts() {
		if _, err := naming.New(text.Field, text.String(), h.removes); err != nil {
			return err
		}
	}
	return nil
}

// publish sets the headers that tell the upstream what was found.
func (h *Handler) publish(r *http.Request, s *state) {
	room := maxIdentityHeaders
	h.set(r, s, headerAssertion, s.assertion, nil)
	h.set(r, s, headerOutcome, string(s.outcome), &room)
	if s.user == "" {
		h.set(r, s, headerReason, string(s.reason), &room)
		return
	}
	h.set(r, s, headerUser, encodeHeader(s.user), nil)
	h.set(r, s, headerWidget, s.widget, nil)
	h.set(r, s, headerMergeFrom, s.mergeFrom, &room)
	left := h.publishProfile(r, s, headerEmail, &s.said, &room)
	if s.signed != (profile{}) {
		room = maxIdentityHeaders
		left = append(left, h.publishProfile(r, s, headerVerifiedEmail, &s.signed, &room)...)
	}
	if len(left) > 0 {
		h.log.beyondHeaders(r, s, left)
	}
}

// publishProfile sets three headers, the first that of the e-mail address, and returns the
// names of those that do not fit into room.
func (h *Handler) publishProfile(r *http.Request, s *state, first int, p *profile, room *int) (left []string) {
	for i, value := range [...]string{encodeHeader(p.email), encodeHeader(p.name), p.attributes} {
		if !h.set(r, s, first+i, value, room) {
			left = append(left, h.names[first+i])
		}
	}
	return left
}

// unpublish removes what was published about a request that is refused after all.
func (h *Handler) unpublish(r *http.Request, s *state) {
	for _, name := range h.names {
		delete(r.Header, name)
	}
	s.values = [numHeaders]string{}
	s.user, s.said, s.signed, s.mergeFrom, s.proof, s.assertion, s.proved = "", profile{}, profile{}, "", "", "", proof{}
}

// set sets a header, unless its value is empty or its name off. It reports whether the
// header fits into room, in bytes; nil has no limit.
func (h *Handler) set(r *http.Request, s *state, header int, value string, room *int) bool {
	name := h.names[header]
	if name == "" || value == "" {
		return true
	}
	if room != nil {
		size := len(name) + len(value)
		if size > *room {
			return false
		}
		*room -= size
	}
	s.values[header] = value
	r.Header[name] = s.values[header : header+1 : header+1]
	return true
}

// encodeHeader percent-encodes every byte but letters, digits and -._~@: (RFC 3986 section
// 2.1), so that any URL decoder restores the text. A header loses leading and trailing
// spaces, cannot hold newlines and does not reliably hold anything beyond ASCII.
func encodeHeader(text string) string { return escapeSubDelims.Replace(url.PathEscape(text)) }

// escapeSubDelims are what [url.PathEscape] leaves besides, as the values of form fields.
var escapeSubDelims = strings.NewReplacer("$", "%24", "&", "%26", "+", "%2B", "=", "%3D")
