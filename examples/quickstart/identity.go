package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
)

// identity is what the gateway found out about a request. Who the user is comes from its
// assertion alone: a body and, past the gateway, a header say whatever their sender likes.
type identity struct {
	Outcome    string         `json:"outcome"`
	Reason     string         `json:"reason,omitempty"`
	Widget     string         `json:"widget,omitempty"`
	User       string         `json:"user,omitempty"`
	Email      string         `json:"email,omitempty"`
	Name       string         `json:"name,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	MergeFrom  string         `json:"merge_from,omitempty"` // the anonymous visitor that the user claims to have been
}

// person identifies a user: the same user id of another widget is another person.
type person struct{ widget, user string }

// readIdentity takes what nobody signs from the headers: the browser's word.
func readIdentity(h http.Header, said *guard.Assertion) (identity, error) {
	id := identity{Outcome: said.Outcome, Reason: said.Reason}
	if user := said.User(); user != nil {
		id.Widget, id.User = user[0], user[1]
	}
	for _, f := range []struct {
		header string
		value  *string
		signed string
	}{
		{"X-Identity-Email", &id.Email, said.Email},
		{"X-Identity-Name", &id.Name, said.Name},
		{"X-Identity-Merge-From", &id.MergeFrom, ""},
	} {
		values := h.Values(f.header)
		if len(values) > 1 {
			return identity{}, fmt.Errorf("%s appears more than once", f.header)
		}
		decoded, err := url.PathUnescape(strings.Join(values, ""))
		if err != nil {
			return identity{}, fmt.Errorf("%s: %w", f.header, err)
		}
		*f.value = cmp.Or(f.signed, decoded)
	}
	if id.Attributes = said.Attributes; id.Attributes == nil {
		if line := h.Get("X-Identity-Attributes"); line != "" {
			if err := json.Unmarshal([]byte(line), &id.Attributes); err != nil {
				return identity{}, fmt.Errorf("X-Identity-Attributes: %w", err)
			}
		}
	}
	if id.MergeFrom != "" && !id.verified() {
		return identity{}, fmt.Errorf("X-Identity-Merge-From names a visitor, but there is no user to merge with")
	}
	return id, nil
}

func (id identity) verified() bool { return id.Outcome == "verified" }

func (id identity) person() person { return person{id.Widget, id.User} }

// identityHeaders returns the gateway's headers, for the page to show. An assertion is no
// browser's business: whoever has it could send it to this backend.
func identityHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Verified-") || strings.HasPrefix(name, "X-Identity-") {
			found[name] = strings.Join(values, ", ")
		}
	}
	if assertion := found["X-Verified-Assertion"]; assertion != "" {
		found["X-Verified-Assertion"] = assertion[:min(8, len(assertion))] + "…"
	}
	return found
}
