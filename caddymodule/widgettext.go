package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// widgetText is a text with placeholders that names a request's widget.
type widgetText struct {
	text string
	// header, query and cookie are the names that the placeholders ask for.
	header, query, cookie []string
}

func newWidgetText(text string) *widgetText {
	t := &widgetText{text: text}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return t
		}
		inner, after, ok := strings.Cut(after, "}")
		if !ok {
			return t
		}
		rest = after
		if name, ok := strings.CutPrefix(inner, "http.request.header."); ok {
			t.header = append(t.header, foldHeader(name))
		} else if name, ok := strings.CutPrefix(inner, "http.request.uri.query."); ok {
			t.query = append(t.query, name)
		} else if name, ok := strings.CutPrefix(inner, "http.request.cookie."); ok {
			t.cookie = append(t.cookie, name)
		}
	}
}

// of returns the widget's id, and false where the request names two.
func (t *widgetText) of(r *http.Request) (id string, once bool) {
	for _, wanted := range t.header {
		place, count := headerPlace{name: wanted}, 0
		for name, values := range r.Header {
			if place.is(name) {
				count += len(values)
			}
		}
		if count > 1 {
			return "", false
		}
	}
	if len(t.query) > 0 && r.URL.RawQuery != "" {
		query := r.URL.Query()
		for _, wanted := range t.query {
			if len(query[wanted]) > 1 {
				return "", false
			}
		}
	}
	for _, wanted := range t.cookie {
		if len(r.CookiesNamed(wanted)) > 1 {
			return "", false
		}
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return "", true
	}
	return repl.ReplaceAll(t.text, ""), true
}
