package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// identity is what the gateway found out about a request. It is read only from
// headers: the gateway removes every X-Verified-* and X-Identity-* header of a client,
// while a body says whatever its sender likes.
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

func readIdentity(h http.Header) (identity, error) {
	var id identity
	// What a token signs comes after what the browser says, and takes its place.
	for _, f := range []struct {
		header  string
		value   *string
		encoded bool
	}{
		{"X-Identity-Outcome", &id.Outcome, false},
		{"X-Identity-Reason", &id.Reason, false},
		{"X-Verified-Widget", &id.Widget, false},
		{"X-Verified-User", &id.User, true},
		{"X-Identity-Email", &id.Email, true},
		{"X-Identity-Name", &id.Name, true},
		{"X-Verified-Email", &id.Email, true},
		{"X-Verified-Name", &id.Name, true},
		{"X-Identity-Merge-From", &id.MergeFrom, false},
	} {
		values := h.Values(f.header)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			return identity{}, fmt.Errorf("%s appears more than once", f.header)
		}
		*f.value = values[0]
		if f.encoded {
			decoded, err := url.PathUnescape(values[0])
			if err != nil {
				return identity{}, fmt.Errorf("%s: %w", f.header, err)
			}
			*f.value = decoded
		}
	}
	for _, name := range []string{"X-Identity-Attributes", "X-Verified-Attributes"} {
		if line := h.Get(name); line != "" {
			id.Attributes = nil
			if err := json.Unmarshal([]byte(line), &id.Attributes); err != nil {
				return identity{}, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if id.Outcome == "" {
		return identity{}, fmt.Errorf("X-Identity-Outcome is missing: the request did not come through the gateway")
	}
	if (id.Outcome == "verified") != (id.User != "" && id.Widget != "") {
		return identity{}, fmt.Errorf("the outcome is %s, the user %q, the widget %q", id.Outcome, id.User, id.Widget)
	}
	if id.MergeFrom != "" && !id.verified() {
		return identity{}, fmt.Errorf("X-Identity-Merge-From names a visitor, but there is no user to merge with")
	}
	return id, nil
}

func (id identity) verified() bool { return id.Outcome == "verified" }

func (id identity) person() person { return person{id.Widget, id.User} }

// identityHeaders returns the gateway's headers, for the page to show.
func identityHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Verified-") || strings.HasPrefix(name, "X-Identity-") {
			found[name] = strings.Join(values, ", ")
		}
	}
	return found
}
