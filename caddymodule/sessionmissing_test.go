package caddymodule

import (
	"strings"
	"testing"
)

// TestMissingNamesTheSession: a session where none is looked for is missing, and the answer
// says where it is.
func TestMissingNamesTheSession(t *testing.T) {
	const own, way = "secret {env.TEST_SECRET}\n", "or a session in "
	for _, c := range []struct{ options, want string }{
		{"identify /identify\nsession 1h\n", way + "X-Chat-Session or chat_session in the query of a GET or a WebSocket."},
		{"identify /identify\nsession 1h\nclaim session header X-Moved\n", way + "X-Moved."},
		{"", ""},
	} {
		g := chat(t, "chat_identity required {\n"+own+c.options+"}")
		a := g.do(t, "POST", "/x?chat_session=shop~AAAA", "{}", jsonType)
		if equal(t, a.StatusCode, 401, "%q", c.options); !strings.Contains(a.body, c.want) || (c.want == "") == strings.Contains(a.body, way) {
			t.Errorf("%q: %s", c.options, a.body)
		}
	}
}
