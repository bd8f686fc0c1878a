package caddymodule

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// namedText is a text with placeholders that names a request's widget,
// conversation or visitor.
type namedText struct {
	field verifier.Field
	text  string
	// headers, queries and cookies are what the placeholders ask for.
	headers []headerPlace
	queries []*verifier.Reader
	cookies []cookiePlace
}

func (h *Handler) newNamedText(field verifier.Field, text string) (*namedText, error) {
	t := &namedText{field: field, text: text}
	for rest := t.text; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return t, nil
		}
		inner, after, ok := strings.Cut(after, "}")
		if !ok {
			return t, nil
		}
		rest = after
		if name, ok := strings.CutPrefix(inner, "http.request.header."); ok {
			if h.ours(name) {
				return nil, fmt.Errorf("%s: no id can travel in the header %s, which is removed from every request", field, name)
			}
			t.headers = append(t.headers, headerPlace{field, foldHeader(name)})
		} else if name, ok := strings.CutPrefix(inner, "http.request.uri.query."); ok {
			reader, err := verifier.NewReader([]verifier.Place{{Field: field, Location: verifier.Query, Name: name}}, "", false)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field, err)
			}
			t.queries = append(t.queries, reader)
		} else if name, ok := strings.CutPrefix(inner, "http.request.cookie."); ok {
			t.cookies = append(t.cookies, cookiePlace{field, name})
		}
	}
}

// of returns the id. Where the request names two, or one that cannot be read,
// there is none, and the reading says so.
func (t *namedText) of(r *http.Request, to *verifier.Reading) string {
	for i := range t.headers {
		if t.headers[i].read(r, to); !settled(to) {
			return ""
		}
		if t.field != verifier.Widget && t.headers[i].respelled(r) {
			to.Twice()
			return ""
		}
	}
	for _, reader := range t.queries {
		if reader.Query([]byte(r.URL.RawQuery), to); !settled(to) {
			return ""
		}
	}
	for i := range t.cookies {
		if t.cookies[i].read(r, to); !settled(to) {
			return ""
		}
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	if t.field == verifier.Widget {
		return repl.ReplaceAll(t.text, "")
	}
	// A text around an empty placeholder would be everybody's conversation.
	id, err := repl.ReplaceOrErr(t.text, true, true)
	if err != nil {
		return ""
	}
	return id
}

// settled reports whether a place names one thing or none. Then the reading
// forgets it: another place, or the claim, is another matter.
func settled(to *verifier.Reading) bool {
	if !to.Plain() {
		return false
	}
	to.Reset()
	return true
}
