package caddymodule

import (
	"strings"
	"testing"
)

// TestUnknownWidgetLosesClaimsOfAllDialects: where the widget is unknown, a backend
// may read the request as that of any widget. Of a form of another dialect that cannot
// be read in one way, nothing passes.
func TestUnknownWidgetLosesClaimsOfAllDialects(t *testing.T) {
	g := start(t, `
	chat_identity {
		widget shop {
			secret {env.TEST_SECRET}
			dialect nextcap
		}
		widget support {
			secret {env.TEST_SECRET}
			dialect snapengage
		}
	}`, `
	chat_identity optional {
		widget {header.X-Widget}
	}
	reverse_proxy UPSTREAM`)
	const form = "Content-Type: application/x-www-form-urlencoded"
	for name, tc := range map[string]struct{ path, kind, body, uri, want string }{
		"another widget's":   {"/", jsonType, `{"userId":"victim","userHash":"x","text":"hi"}`, "/", `{"text":"hi"}`},
		"the handler's too":  {"/", jsonType, `{"userId":"victim","user_id":"victim","hmacNonce":"n","text":"hi"}`, "/", `{"text":"hi"}`},
		"in the query":       {"/?userId=victim&a=1", jsonType, `{"text":"hi"}`, "/?a=1", `{"text":"hi"}`},
		"no widget's":        {"/?id=7", jsonType, `{"id":"message-7","text":"hi"}`, "/?id=7", `{"id":"message-7","text":"hi"}`},
		"form":               {"/", form, "userId=victim&userHash=x&t=1", "/", "t=1"},
		"form, bad UTF-8":    {"/", form, "userId=victim&userHash=%ff", "/", ""},
		"form, two":          {"/", form, "userId=victim&userId=other", "/", ""},
		"form, JSON or form": {"/", form, `{"a":"&userId=victim&userHash=x&"}`, "/", ""},
		"form, file": {"/", "Content-Type: " + boundaryType, formPart("userId", "victim") +
			strings.Replace(formPart("userHash", "x"), `"userHash"`, `"userHash"; filename="a"`, 1) + "------x--\r\n", "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, widget := range []string{"nobody", "default", ""} {
				a := g.do(t, "POST", tc.path, tc.body, tc.kind, "X-Widget: "+widget)
				if a.StatusCode != 200 || a.seen == nil || a.seen.Body != tc.want || a.seen.URI != tc.uri || a.seen.user() != "" || a.seen.Length != int64(len(tc.want)) {
					t.Errorf("widget %q: %d %+v", widget, a.StatusCode, a.seen)
				}
			}
		})
	}
}
