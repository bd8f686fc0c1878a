package caddymodule

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestEncodedNames: in a multipart body that parsers read differently, a name in a
// header's encoding is found wherever a parser may look for it.
func TestEncodedNames(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nconversation body /conversation_id\n}")
	a := g.post(t, strings.Replace(claim("owner"), "{", `{"conversation_id":"cv",`, 1))
	if a.StatusCode != 200 || a.seen.user() != "owner" {
		t.Fatal(a.StatusCode, a.body)
	}
	word := func(name string) string {
		return "form-data; name=\"=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(name)) + "?=\""
	}
	pieces := func(name string) string {
		return fmt.Sprintf("form-data; name*0=%q; name*1=%q", name[:len(name)-2], name[len(name)-2:])
	}
	folded := func(name string) string {
		return "form-data; name=\"" + name[:len(name)-2] + "\r\n " + name[len(name)-2:] + "\""
	}
	for shape, body := range map[string]string{
		"a space before the delimiter": " --XX\r\nContent-Disposition: %s\r\n\r\n%s\r\n--XX--\r\n",
		"a form feed before it":        "\x0c--XX\r\nContent-Disposition: %s\r\n\r\n%s\r\n--XX--\r\n",
		"CR alone":                     "x\r--XX\rContent-Disposition: %s\r\r%s\r--XX--\r",
		"a CR before it":               "x\r--XX\r\nContent-Disposition: %s\r\n\r\n%s\r\n--XX--\r\n",
		"a long header":                "--XX\r\n" + strings.Repeat("X-Pad: "+strings.Repeat("a", 4000)+"\r\n", 3) + "Content-Disposition: %s\r\n\r\n%s\r\n--XX--\r\n",
		"a long line":                  "--XX\r\nX-Pad: " + strings.Repeat("a", 40000) + "\r\nContent-Disposition: %s\r\n\r\n%s\r\n--XX--\r\n",
		"LF alone":                     "--XX\nContent-Disposition: %s\n\n%s\n--XX--\n",
		"no end":                       "--XX\r\nContent-Disposition: %s\r\n\r\n%s",
	} {
		for kind, name := range map[string]func(string) string{"word": word, "pieces": pieces, "folded": folded} {
			for field, value := range map[string]string{"user_id": "victim", "conversation_id": "cv"} {
				for _, query := range []string{"", "?user_id=mallory&user_hash=" + sign("mallory")} {
					for _, media := range []string{"form-data", "mixed"} {
						a := g.do(t, "POST", "/chat"+query, fmt.Sprintf(body, name(field), value), "Content-Type: multipart/"+media+"; boundary=XX")
						if a.StatusCode != 400 {
							t.Errorf("%s, %s, %s, %s, %q: %d %+v", shape, kind, field, media, query, a.StatusCode, a.seen)
						}
					}
				}
			}
			// The same of a name that nobody looks for.
			odd := fmt.Sprintf(body, name("nickname"), "hi")
			if a := g.do(t, "POST", "/chat", odd, "Content-Type: multipart/form-data; boundary=XX"); a.StatusCode != 200 || a.seen.Body != odd {
				t.Errorf("%s, %s: %d %s", shape, kind, a.StatusCode, a.body)
			}
		}
	}
}

// TestEncodedTexts: a text on the way to a field is what some parsers make of it,
// in whatever encoding its part says it is.
func TestEncodedTexts(t *testing.T) {
	g := start(t, "", "handle /at {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nat /variables/input\n}\nreverse_proxy UPSTREAM\n}\n"+
		"handle {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nclaim user_id body /user/id\nclaim user_id query user_id\n}\nreverse_proxy UPSTREAM\n}")
	mallory := "?user_id=mallory&user_hash=" + sign("mallory")
	for path, c := range map[string]struct{ name, text string }{
		"/at":   {"operations", `{"variables":{"input":{"user_id":"victim"}}}`},
		"/user": {"user", `{"id":"victim"}`},
	} {
		utf16 := "\xff\xfe"
		for _, r := range c.text {
			utf16 += string(r) + "\x00"
		}
		for kind, part := range map[string]string{
			"plain":            "\r\n\r\n" + c.text,
			"base64":           "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(c.text)),
			"quoted-printable": "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + strings.ReplaceAll(strings.ReplaceAll(c.text, "{", "=7B"), "_", "=5F"),
			"UTF-7":            "\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n" + strings.NewReplacer("{", "+AHs-", "}", "+AH0-").Replace(c.text),
			"UTF-16":           "\r\n\r\n" + utf16,
			"a file":           "; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n" + c.text,
			"folded, base64":   ";\r\n x=y\r\nX: filename\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(c.text)),
		} {
			body := "--XX\r\nContent-Disposition: form-data; name=\"" + c.name + "\"" + part + "\r\n--XX--\r\n"
			equal(t, g.do(t, "POST", path+mallory, body, "Content-Type: multipart/form-data; boundary=XX").StatusCode, 400, "%s, %s: beside a claim", path, kind)
			if a := g.do(t, "POST", path, body, "Content-Type: multipart/form-data; boundary=XX"); a.StatusCode != 400 && (a.seen == nil || strings.Contains(a.seen.Body, part)) {
				t.Errorf("%s, %s: alone: %d %+v", path, kind, a.StatusCode, a.seen)
			}
		}
	}
}

// TestJoinedLines: PHP joins a line of a part's header without a colon to the one
// before, and cuts each at a NUL.
func TestJoinedLines(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nconversation body /conversation_id\n}")
	equal(t, verdict(t, g.post(t, strings.Replace(claim("owner"), "{", `{"conversation_id":"cv",`, 1))), "owner", "the claim")
	long := `form-data; x="` + strings.Repeat("\r\n "+strings.Repeat("a", 997), 15) + "\r\n " + strings.Repeat("b", 1265) + `"; name=` + strings.Repeat(" ", 90)
	for _, name := range []string{
		"form-data; name=\"conversation_\r\nid\"", "form-data; name=\"conversation_\nid\"", "form-data; name=\"conv\r\nersation\r\n_id\"",
		"form-data; name=\"user_\r\nid\"", "form-data; name=\"conversation\x00zzz\r\n id\"", "form-data; name=\"conversation\x00z\n id\"",
		long + "\"conversation\r\n id\"", "form-data; name=\"=?utf-8*en-" + strings.Repeat("a", 60) + "?b?Y29udmVyc2F0aW9uX2lk?=\"",
	} {
		for _, preamble := range []string{"", "x\r\n"} {
			for _, query := range []string{"", "?user_id=mallory&user_hash=" + sign("mallory")} {
				body := preamble + "--XX\r\nContent-Disposition: " + name + "\r\n\r\ncv\r\n--XX--\r\n"
				equal(t, g.do(t, "POST", "/chat"+query, body, "Content-Type: multipart/form-data; boundary=XX").StatusCode, 400, "%.60q, %q, %q", name, preamble, query)
			}
		}
	}
}

// TestQueryInTexts: what a text takes from the query is the same in the body.
func TestQueryInTexts(t *testing.T) {
	for _, text := range []string{"{query.c}", "shop-{query.c}", "{host}/{query.c}"} {
		g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nconversation "+text+"\n}")
		equal(t, verdict(t, g.do(t, "POST", "/chat?c=theirs", claim("owner"), jsonType)), "owner", "the claim")
		mine := strings.TrimSuffix(claim("mallory"), "}")
		form := "user_id=mallory&user_hash=" + sign("mallory")
		for _, c := range []struct{ path, body, kind string }{
			{"/chat?c=mine", mine + `,"c":"theirs"}`, jsonType}, {"/chat", mine + `,"c":"theirs"}`, jsonType},
			{"/chat?c=mine", "c=theirs&" + form, "Content-Type: application/x-www-form-urlencoded"}, {"/chat", "c=theirs&" + form, "Content-Type: application/x-www-form-urlencoded"}, {"/chat", "c=theirs", "Content-Type: application/x-www-form-urlencoded"},
		} {
			if a := g.do(t, "POST", c.path, c.body, c.kind); a.seen != nil {
				t.Errorf("%s: %s %s: %d %+v", text, c.path, c.body, a.StatusCode, a.seen)
			}
		}
		equal(t, verdict(t, g.do(t, "POST", "/chat?c=mine", mine+`,"c":"mine"}`, jsonType)), "mallory", "%s: the same", text)
	}
}

// TestOffKeepsBodies: where the body names a widget that is off, the body is forwarded
// unchanged.
func TestOffKeepsBodies(t *testing.T) {
	for _, option := range []string{"dialect inviaro", "widget body /key"} {
		g := start(t, "chat_identity {\nwidget a {\nsecret {env.TEST_SECRET}\nmode off\n}\n}", "chat_identity {\n"+option+"\n}\nreverse_proxy UPSTREAM")
		const body = `{"key":"a","user_id":"u","text":"hello"}`
		if a := g.do(t, "POST", "/", body, jsonType); a.StatusCode != 200 || a.seen.Body != body || a.seen.Header.Get("X-Identity-Outcome") != "disabled" {
			t.Errorf("%s: %d %+v", option, a.StatusCode, a.seen)
		}
	}
}

// TestStripWithinAttributes: a field that is cut with a forged claim is cut from the
// attributes, too, however they are written.
func TestStripWithinAttributes(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nunverified strip email\n}")
	for _, form := range []string{
		"user_metadata[email]=x@y", "user_metadata.email=x@y", `user_metadata={}&user_metadata={"email":"x@y"}`, `User_Metadata={"email":"x@y"}`,
		`user_metadata[]={"email":"x@y"}`, `user_metadata=[{"email":"x@y"}]`, `user_metadata={"email":"x@y",}`, `user_metadata=/**/{"email":"x@y"}`, `user_metadata={"email":"x@y"}`,
	} {
		a := g.do(t, "POST", "/chat", "a=1&user_id=v&user_hash=bad&"+form, "Content-Type: application/x-www-form-urlencoded")
		if a.StatusCode != 200 || strings.Contains(a.seen.Body, "x@y") || !strings.HasPrefix(a.seen.Body, "a=1") {
			t.Errorf("%s: %d %s", form, a.StatusCode, a.seen.Body)
		}
	}
}
