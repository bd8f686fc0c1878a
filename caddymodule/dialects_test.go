package caddymodule

import "testing"

// TestUnknownWidgetLosesClaimsOfAllDialects: where the widget is unknown, a backend
// may read the request as that of any widget.
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
	for name, tc := range map[string]struct{ path, body, uri, want string }{
		"another widget's":  {"/", `{"userId":"victim","userHash":"x","text":"hi"}`, "/", `{"text":"hi"}`},
		"the handler's too": {"/", `{"userId":"victim","user_id":"victim","hmacNonce":"n","text":"hi"}`, "/", `{"text":"hi"}`},
		"in the query":      {"/?userId=victim&a=1", `{"text":"hi"}`, "/?a=1", `{"text":"hi"}`},
		"no widget's":       {"/?id=7", `{"id":"message-7","text":"hi"}`, "/?id=7", `{"id":"message-7","text":"hi"}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, widget := range []string{"nobody", "default", ""} {
				a := g.do(t, "POST", tc.path, tc.body, jsonType, "X-Widget: "+widget)
				if a.StatusCode != 200 || a.seen == nil || a.seen.Body != tc.want || a.seen.URI != tc.uri || a.seen.user() != "" {
					t.Errorf("widget %q: %d %+v", widget, a.StatusCode, a.seen)
				}
				if a.seen != nil && a.seen.Length != int64(len(tc.want)) {
					t.Errorf("widget %q: length %d", widget, a.seen.Length)
				}
			}
		})
	}
}

// TestUnknownWidgetLosesFormsThatCannotBeCut: where a form of another dialect
// cannot be read in one way, nothing of it passes.
func TestUnknownWidgetLosesFormsThatCannotBeCut(t *testing.T) {
	g := start(t, `
	chat_identity {
		widget shop {
			secret {env.TEST_SECRET}
			dialect nextcap
		}
	}`, `
	chat_identity optional {
		widget {header.X-Widget}
	}
	reverse_proxy UPSTREAM`)
	for name, tc := range map[string]struct{ kind, body, want string }{
		"whole":        {"application/x-www-form-urlencoded", "userId=victim&userHash=x&t=1", "t=1"},
		"bad UTF-8":    {"application/x-www-form-urlencoded", "userId=victim&userHash=%ff", ""},
		"twice":        {"application/x-www-form-urlencoded", "userId=victim&userId=other", ""},
		"JSON or form": {"application/x-www-form-urlencoded", `{"a":"&userId=victim&userHash=x&"}`, ""},
		"file part": {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"userId\"\r\n\r\nvictim\r\n" +
			"--b\r\nContent-Disposition: form-data; name=\"userHash\"; filename=\"a\"\r\n\r\nx\r\n--b--\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := g.do(t, "POST", "/", tc.body, "Content-Type: "+tc.kind, "X-Widget: nobody")
			if a.StatusCode != 200 || a.seen == nil || a.seen.Body != tc.want {
				t.Errorf("%d %+v", a.StatusCode, a.seen)
			}
		})
	}
}
