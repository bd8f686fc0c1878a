package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// TestUncleanPaths: wherever a text depends on the path, a path that is not clean is
// refused.
func TestUncleanPaths(t *testing.T) {
	const paths = "/chat/mine/../c1 /chat/./c1 /chat//c1 /chat/c1;x /chat/%63%31 /chat/x%2f..%2fc1 /chat/x%5cc1 /chat/c1%00"
	const directive = "chat_identity {\nsecret {env.TEST_SECRET}\nconversation %s\n}\n"
	for _, c := range []struct{ name, before, text string }{
		{"path part", "", "{path.1}"},
		{"path", "", "{path}"},
		{"file", "", "{file}"},
		{"directory", "", "{dir}"},
		{"original path", "", "{orig_path}"},
		{"original URI", "", "{http.request.orig_uri}"},
		{"URI", "", "{uri}"},
		{"within a text", "", "a-{path.1}-b"},
		{"rewritten", "rewrite /c/c1", "{path.1}"},
		{"prefix stripped", "uri strip_prefix /chat", "{path.0}"},
		{"path_regexp", "@c path_regexp c ^/chat/([^/]+)$\nheader @c X-A b", "{re.c.1}"},
		{"path_regexp without the name", "@c path_regexp ^/chat/([^/]+)$\nheader @c X-A b", "{re.1}"},
		{"expression", "@c `path_regexp('c', '^/chat/([^/]+)$')`\nheader @c X-A b", "{re.c.1}"},
		{"map", "map {path} {conv} {\n~^/chat/([^/]+)$ ${1}\n}", "{conv}"},
		{"vars", "vars conv {path.1}", "{vars.conv}"},
		{"vars_regexp", "vars conv {path}\n@c vars_regexp c conv ^/chat/([^/]+)$\nheader @c X-A b", "{re.c.1}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := ledgered(t, "route {\n"+c.before+"\n"+fmt.Sprintf(directive, c.text)+"reverse_proxy UPSTREAM\n}")
			for _, path := range strings.Fields(paths) {
				answer := g.raw(t, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
				if statusOf(answer) != 400 || !strings.Contains(answer, `"reason":"malformed"`) || !strings.Contains(answer, "named by the path") || g.upstream.take() != nil {
					t.Errorf("%s: %.300s", path, answer)
				}
			}
			if got := verdict(t, g.do(t, "GET", "/chat/c1?next=/a/../b;c//d", "")); !strings.Contains(c.text, "uri") && got != "anonymous missing" {
				t.Error(got)
			}
		})
	}
	for name, site := range map[string]string{
		"another text":      "route {\nvars conv {query.x}\n" + fmt.Sprintf(directive, "{vars.conv}") + "reverse_proxy UPSTREAM\n}",
		"a header's regexp": "route {\n@p path_regexp p ^/\nheader @p X-A b\n@c header_regexp c X-Conv (.*)\nheader @c X-A b\n" + fmt.Sprintf(directive, "{re.c.1}") + "reverse_proxy UPSTREAM\n}",
		"the query":         fmt.Sprintf(directive, "{query.c}") + "reverse_proxy UPSTREAM",
	} {
		g := ledgered(t, site)
		for _, path := range strings.Fields(paths) {
			answer := g.raw(t, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
			if statusOf(answer) != 200 {
				t.Errorf("%s: %s: %.300s", name, path, answer)
			}
		}
	}
	// A widget that is named so is malformed, too.
	g := ledgered(t, "chat_identity {\nwidget {path.1}\n}\nreverse_proxy UPSTREAM")
	if answer := g.raw(t, "GET /chat/x/../shop HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"); !strings.Contains(answer, "named by the path, which has a segment '..'") {
		t.Errorf("%.300s", answer)
	}
}
