package caddymodule

import (
	"strings"
	"testing"
)

// formAttacks are on the reading of forms and queries.
func formAttacks() []attack {
	mallory, hash := `"user_id":"mallory"`, `"user_hash":"`+sign("mallory")+`"`
	query := "user_hash=" + sign("mallory")
	const js, form = "application/json", "application/x-www-form-urlencoded"
	return []attack{
		{"claim as form", "/chat", form, `{` + mallory + `,` + hash + `,"a":"&user_id=victim&"}`, nil},
		{"form", "/chat", form, "user_id=mallory&user_id=victim&" + query, nil},
		{"form, array", "/chat", form, "user_id=mallory&user_id[]=victim&" + query, nil},
		{"form, dot", "/chat", form, "user_id=mallory&user.id=victim&" + query, nil},
		{"form, space", "/chat", form, "user_id=mallory&+user_id=victim&" + query, nil},
		{"form, semicolon", "/chat", form, "user_id=mallory;user_id=victim&" + query, nil},
		{"form, NUL", "/chat", form, "user_id=mallory&user_id%00=victim&" + query, nil},
		{"form with a bad escape", "/chat", form, "user_id=victim%&" + query, nil},
		{"multipart without a boundary", "/chat", "multipart/form-data", "--a\r\nContent-Disposition: form-data; name=user_id\r\n\r\nvictim", nil},
		{"query beside the body", "/chat?user_id=victim", js, `{` + mallory + `,` + hash + `}`, nil},
		{"query twice", "/chat?user_id=mallory&user_id=victim&" + query, "", "", nil},
		{"query, upper case", "/chat?user_id=mallory&USER_ID=victim&" + query, "", "", nil},
		{"query, escaped name", "/chat?user_id=mallory&%75ser_id=victim&" + query, "", "", nil},
		{"query, semicolon", "/chat?user_id=mallory&x=1;user_id=victim&" + query, "", "", nil},
		{"query, half", "/chat?user_id=victim", "", "", nil},
		{"query, array", "/chat?user_id[0]=victim&" + query, "", "", nil},
		{"query, bad escape", "/chat?user_id=victim%zz&" + query, "", "", nil},
		{"query of an absolute URL", "http://127.0.0.1/chat?user_id=victim&" + query, "", "", nil},
	}
}

// TestMoreThanIsKept: a name that appears more often than the gateway records never
// passes: neither where the request is refused for it, nor where it is forwarded all
// the same, in another dialect, as a preflight or to an error route.
func TestMoreThanIsKept(t *testing.T) {
	const many = 300
	js, form := jsonType, "Content-Type: application/x-www-form-urlencoded"
	multipart := "Content-Type: multipart/form-data; boundary=b"
	part := func(name string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\nvictim\r\n"
	}
	g := start(t, "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\ndialect nextcap\n}\n}", `
	chat_identity optional {
		widget {header.X-Widget}
		refuse error
	}
	reverse_proxy UPSTREAM
	handle_errors {
		chat_identity off
		header X-Orig {http.request.orig_uri}
		reverse_proxy UPSTREAM
	}`)
	for _, c := range []struct {
		name, path, kind, body string
		want                   string // the body as it arrives
	}{
		{"form", "/", form, strings.Repeat("user_id=victim&", many) + "t=1", ""},
		{"form of another dialect", "/", form, strings.Repeat("userId=victim&", many) + "t=1", ""},
		{"JSON", "/", js, `{` + strings.Repeat(`"user_id":"victim","t":1,`, many) + `"t":2}`, ""},
		{"JSON of another dialect", "/", js, `{` + strings.Repeat(`"userId":"victim","t":1,`, many) + `"t":2}`, ""},
		{"JSON of another dialect, less often", "/", js, `{` + strings.Repeat(`"userId":"victim","t":1,`, 9) + `"t":2}`, `{` + strings.Repeat(`"t":1,`, 9) + `"t":2}`},
		{"JSON as a form", "/", form, `{"t":"&` + strings.Repeat("user_id=victim&", many) + `"}`, ""},
		{"multipart", "/", multipart, strings.Repeat(part("user_id"), many) + "--b--", ""},
		{"multipart of another dialect", "/", multipart, strings.Repeat(part("userId"), many) + "--b--", ""},
		{"query", "/?" + strings.Repeat("user_id=victim&", many) + "t=1", js, `{"t":2}`, ""},
		{"query of another dialect", "/?" + strings.Repeat("userId=victim&", many) + "t=1", js, `{"t":2}`, `{"t":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := g.do(t, "POST", c.path, c.body, c.kind, "X-Widget: nobody")
			if a.seen == nil {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			if all := a.seen.URI + a.seen.Body + a.Header.Get("X-Orig"); strings.Contains(all, "victim") || a.seen.Body != c.want {
				t.Errorf("victim arrives, or another body: %.200s", all)
			}
		})
	}
	a := g.do(t, "OPTIONS", "/?a=1&"+strings.Repeat("user_id=victim&", many), "", "Origin: https://example.com", "Access-Control-Request-Method: POST")
	if a.StatusCode != 200 || a.seen == nil || a.seen.URI != "/" {
		t.Errorf("preflight: %d %+v", a.StatusCode, a.seen)
	}
}

// TestUnreadBodies: a refusal comes at once, before a body that never comes.
func TestUnreadBodies(t *testing.T) {
	g := start(t, "", `handle /body {
		chat_identity required {
			secret {env.TEST_SECRET}
		}
		reverse_proxy UPSTREAM
	}
	handle /head {
		chat_identity required {
			secret {env.TEST_SECRET}
			claim user_id header X-User
			claim signature header X-Signature
		}
		reverse_proxy UPSTREAM
	}
	handle /error {
		chat_identity required {
			secret {env.TEST_SECRET}
			claim user_id header X-User
			claim signature header X-Signature
			refuse error
		}
		reverse_proxy UPSTREAM
	}
	handle_errors {
		respond {err.status_code}
	}`)
	for _, c := range []struct {
		name, path, headers string
		want                int
	}{
		{"too large", "/body", "Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n", 413},
		{"too large, continue", "/body", "Content-Type: application/json\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n", 413},
		{"too large form", "/body", "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 100000000\r\n\r\n", 413},
		{"encoded", "/body", "Content-Encoding: br\r\nContent-Length: 10000000\r\n\r\n", 415},
		{"encoded, chunked", "/body", "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 415},
		{"encoded, chunked, nothing sent", "/body", "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n", 415},
		{"a form in UTF-7", "/body", "Content-Type: multipart/form-data; boundary=a; charset=utf-7\r\nTransfer-Encoding: chunked\r\n\r\n", 415},
		{"JSON in UTF-7", "/body", "Content-Type: application/json; charset=utf-7\r\nTransfer-Encoding: chunked\r\n\r\n", 415},
		{"encoded, within the limit", "/body", "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n", 415},
		{"encoded, continue", "/body", "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", 415},
		{"endless chunks", "/body", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n", 300), 413},
		{"nothing read", "/head", "Content-Length: 10000000\r\n\r\n", 401},
		{"nothing read, a little sent", "/head", "Content-Length: 10000000\r\n\r\n" + strings.Repeat("x", 70000), 401},
		{"nothing read, continue", "/head", "Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n", 401},
		{"nothing read, chunked", "/head", "Transfer-Encoding: chunked\r\n\r\n", 401},
		{"error", "/error", "Content-Length: 10000000\r\n\r\n", 401},
		{"error, continue", "/error", "Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n", 401},
		{"error, chunked", "/error", "Transfer-Encoding: chunked\r\n\r\n5\r\n", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			response, body := g.early(t, c.path, c.headers)
			if response.StatusCode != c.want || !response.Close || !strings.Contains(body, map[bool]string{true: "identity_", false: "401"}[c.path != "/error"]) {
				t.Errorf("%d, close %v, %s; want %d", response.StatusCode, response.Close, body, c.want)
			}
		})
	}
}

// TestUploadsPass: a handler that reads bodies has no limit for what is no claim.
func TestUploadsPass(t *testing.T) {
	g := start(t, "", "handle /small/* {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nmax_body 10\n}\nreverse_proxy UPSTREAM\n}\n"+
		"handle {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nmax_body 1KiB\n}\nreverse_proxy UPSTREAM\n}")
	large := strings.Repeat("x", 3<<20)
	for _, path := range []string{"/upload", "/small/upload"} {
		for _, kind := range []string{"application/octet-stream", "text/plain", "image/png"} {
			a := g.do(t, "PUT", path+"?user_id=zoe&user_hash="+sign("zoe"), large, "Content-Type: "+kind)
			if a.seen == nil || a.seen.user() != "zoe" || a.seen.Body != large || a.seen.Chunked {
				t.Errorf("%s, %s: %d %s", path, kind, a.StatusCode, a.body)
			}
		}
		// What may become an object has the limit, though.
		for _, body := range []string{`{"a":` + large, strings.Repeat(" \t", 3<<19)} {
			equal(t, g.do(t, "PUT", path, body, "Content-Type: text/plain").StatusCode, 413, "%s, %.5q", path, body)
		}
	}
}
