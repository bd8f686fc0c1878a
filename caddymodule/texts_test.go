package caddymodule

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// textSite reads a claim within JSON texts wherever they travel.
const textSite = `chat_identity optional {
secret {env.TEST_SECRET}
claim user_id body /user_data /user_id else body /user_data /email
claim user_id query coded base64 /user_id else query coded base64 /email
claim user_id header User-Data /user_id else header User-Data /email
claim user_id cookie ud /user_id
claim user_id header Coded base64 /user_id
claim signature body /user_data /user_hash
claim signature query coded base64 /user_hash
claim signature header User-Data /user_hash
claim signature cookie ud /user_hash
claim signature header Coded base64 /user_hash
claim email body /user_data /email
claim email header User-Data /email
claim attributes body /user_data
claim attributes header User-Data
unverified strip email
}`

const formType = "Content-Type: application/x-www-form-urlencoded"

// TestTextsThroughGateway: a claim within a JSON text is verified wherever it travels, and
// of one that is not the rest of the text goes on.
func TestTextsThroughGateway(t *testing.T) {
	g := chat(t, textSite)
	right := `{"plan":"pro","user_id":"u~1","email":"e@x","user_hash":"` + sign("u~1") + `","q":["é"]}`
	forged, rest := strings.Replace(right, sign("u~1"), sign("other"), 1), `{"plan":"pro","q":["é"]}`
	std, web := base64.StdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	plain := func(text string) string { return strings.ReplaceAll(text, " ", "") }
	decoded := func(text string) string {
		text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
		raw, err := base64.RawStdEncoding.DecodeString(text)
		must(t, err)
		return plain(string(raw))
	}
	cookie := func(s *seen, name string) string {
		c, err := (&http.Request{Header: s.Header}).Cookie(name)
		must(t, err)
		value, err := url.PathUnescape(c.Value)
		must(t, err)
		return value
	}
	part := "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--XX\r\nContent-Disposition: form-data; name=\"user_data\"\r\n\r\nTEXT\r\n--XX--\r\n"
	for name, c := range map[string]struct {
		send func(text string) *answered
		left func(s *seen) string
	}{
		"JSON": {
			func(text string) *answered { return g.post(t, `{"user_data":`+text+`}`) },
			func(s *seen) string { return s.Body[len(`{"user_data":`) : len(s.Body)-1] },
		},
		"form": {
			func(text string) *answered {
				return g.do(t, "POST", "/chat", "a=1&user_data="+url.QueryEscape(text)+"&b=2", formType)
			},
			func(s *seen) string {
				values, err := url.ParseQuery(s.Body)
				must(t, err)
				equal(t, values.Get("a")+values.Get("b"), "12", "beside the text")
				return values.Get("user_data")
			},
		},
		"multipart": {
			func(text string) *answered {
				return g.do(t, "POST", "/chat", strings.Replace(part, "TEXT", text, 1), "Content-Type: multipart/form-data; boundary=XX")
			},
			func(s *seen) string {
				before, behind, _ := strings.Cut(part, "TEXT")
				return strings.TrimSuffix(strings.TrimPrefix(s.Body, before), behind)
			},
		},
		"query": {
			func(text string) *answered {
				return g.do(t, "GET", "/chat?a=1&coded="+url.QueryEscape(std([]byte(text)))+"&b=2", "")
			},
			func(s *seen) string {
				u, err := url.Parse(s.URI)
				must(t, err)
				equal(t, u.Query().Get("a")+u.Query().Get("b"), "12", "beside the text")
				return decoded(u.Query().Get("coded"))
			},
		},
		"header": {
			func(text string) *answered { return g.do(t, "GET", "/chat", "", "User-Data: "+text) },
			func(s *seen) string { return s.Header.Get("User-Data") },
		},
		"base64 header": {
			func(text string) *answered { return g.do(t, "GET", "/chat", "", "Coded: "+web([]byte(text))) },
			func(s *seen) string { return decoded(s.Header.Get("Coded")) },
		},
		"cookie": {
			func(text string) *answered {
				return g.do(t, "GET", "/chat", "", "Cookie: a=1; ud="+url.PathEscape(text)+"; b=2")
			},
			func(s *seen) string {
				equal(t, cookie(s, "a")+cookie(s, "b"), "12", "beside the text")
				return cookie(s, "ud")
			},
		},
	} {
		a := c.send(right)
		equal(t, verdict(t, a), "u~1", "%s: a claim", name)
		if name != "query" && name != "base64 header" && name != "cookie" {
			equal(t, a.seen.Header.Get("X-Identity-Email"), "e@x", "%s: e-mail", name)
			equal(t, a.seen.Header.Get("X-Identity-Attributes"), `{"plan":"pro","q":["\u00e9"]}`, "%s: attributes", name)
		}
		equal(t, c.left(a.seen), right, "%s: forwarded", name)
		a = c.send(forged)
		equal(t, verdict(t, a), "invalid invalid", "%s: forged", name)
		want := rest
		if name == "cookie" || name == "base64 header" {
			want = `{"plan":"pro","email":"e@x","q":["é"]}` // it is no field there
		}
		equal(t, c.left(a.seen), want, "%s: what is left", name)
		equal(t, verdict(t, c.send(rest)), "anonymous missing", "%s: nobody", name)
		equal(t, c.left(c.send(rest).seen), rest, "%s: nobody's text", name)
		equal(t, verdict(t, c.send(strings.Replace(right, `"q"`, `"q`, 1))), "400 malformed", "%s: broken", name)
		equal(t, verdict(t, c.send(strings.Replace(right, `{`, `{"USER_ID":"victim",`, 1))), "400 ambiguous", "%s: twice", name)
	}
}

// TestTextsAppearOnce: a text that appears more than once is refused if it has a claim.
func TestTextsAppearOnce(t *testing.T) {
	g := chat(t, textSite)
	text := `{"user_id":"u","user_hash":"` + sign("u") + `"}`
	coded := base64.StdEncoding.EncodeToString([]byte(text))
	escaped := url.PathEscape(text)
	for _, c := range []struct {
		path, body string
		headers    []string
		want       string
	}{
		{"/chat", "", []string{"User-Data: {}", "User-Data: hello"}, "anonymous missing"},
		{"/chat", "", []string{"User-Data: {}, " + text}, "400 malformed"},
		{"/chat", "", []string{"Coded: " + coded, "Coded: " + coded}, "400 ambiguous"},
		{"/chat", "", []string{"Coded: " + coded[:20] + " " + coded[20:]}, "400 malformed"},
		{"/chat", "", []string{"Coded: hello there"}, "anonymous missing"},
		{"/chat", "", []string{"Cookie: ud=" + escaped + "; ud=" + escaped}, "u"},
		{"/chat", "", []string{"Cookie: ud=" + escaped + "; ud=x"}, "400 ambiguous"},
		{"/chat", "", []string{"Cookie: ud=x; ud=y"}, "anonymous missing"},
		{"/chat", "", []string{"Cookie: UD=" + escaped}, "anonymous partial"},
		{"/chat", "", []string{"Cookie: ud=" + escaped + "; UD=" + escaped}, "400 ambiguous"},
		{"/chat", "", []string{`Cookie: ud="` + text + `"`}, "400 malformed"},
		{"/chat?coded=" + url.QueryEscape(coded) + "&coded=x", "", nil, "400 ambiguous"},
		{"/chat?coded[user_id]=u&coded=" + url.QueryEscape(coded), "", nil, "400 ambiguous"},
		{"/chat?coded[user_id]=u", "", nil, "anonymous partial"},
		{"/chat", `{"user_data":` + `"` + strings.ReplaceAll(text, `"`, `\"`) + `"}`, []string{jsonType}, "anonymous partial"},
		{"/chat", "user_data=" + url.QueryEscape(text) + "&user_data[user_id]=victim", []string{formType}, "400 ambiguous"},
		{"/chat", "user_data=" + url.QueryEscape(text), []string{formType, "User-Data: " + strings.Replace(text, `"u"`, `"v"`, 1)}, "400 ambiguous"},
	} {
		method := "GET"
		if c.body != "" {
			method = "POST"
		}
		a := g.do(t, method, c.path, c.body, c.headers...)
		equal(t, verdict(t, a), c.want, "%s %s %q", c.path, c.body, c.headers)
		if a.seen != nil && a.seen.user() == "" {
			for _, left := range []string{a.seen.URI, a.seen.Body, a.seen.Header.Get("Cookie"), a.seen.Header.Get("User-Data")} {
				if left, err := url.QueryUnescape(left); err != nil || strings.Contains(left, "user_id") || strings.Contains(left, sign("u")) {
					t.Errorf("%s %s %q: left %s", c.path, c.body, c.headers, left)
				}
			}
		}
	}
}

// TestTextsCutElsewhere: a preflight, the original URL of error routes, and mode off.
func TestTextsCutElsewhere(t *testing.T) {
	coded := func(text string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))) }
	forged := `{"a":1,"user_id":"u","user_hash":"` + sign("v") + `"}`
	g := start(t, "", textSite+"\nrewrite * /moved?{query}\nreverse_proxy 127.0.0.1:1\nhandle_errors {\nrewrite * {http.request.orig_uri}\nreverse_proxy UPSTREAM\n}")
	query := "/chat?x=1&coded=" + coded(forged)
	for name, a := range map[string]*answered{
		"an error route": g.do(t, "GET", query, ""),
		"a preflight":    g.do(t, "OPTIONS", query, "", "Origin: https://a.example", "Access-Control-Request-Method: POST"),
	} {
		if a.seen == nil {
			t.Fatalf("%s: %d %s", name, a.StatusCode, a.body)
		}
		u, err := url.Parse(a.seen.URI)
		must(t, err)
		raw, err := base64.StdEncoding.DecodeString(u.Query().Get("coded"))
		must(t, err)
		equal(t, strings.ReplaceAll(string(raw), " ", ""), `{"a":1}`, "%s: %s", name, a.seen.URI)
	}
}

// TestTextsAcrossBounds: a text that backends read across several headers or past a cookie's
// bounds and escapes is none that passes unread.
func TestTextsAcrossBounds(t *testing.T) {
	g := chat(t, strings.Replace(textSite, "claim user_id cookie ud /user_id", "claim user_id cookie ud /user_id\nclaim user_id cookie bd base64 /user_id\nclaim signature cookie bd base64 /user_hash", 1))
	coded := base64.StdEncoding.EncodeToString([]byte(`{"k":"ab?","user_id":"victim"}`))
	percent := "%65" + coded[1:]
	plus := base64.StdEncoding.EncodeToString([]byte(`{"k":"ab>","user_id":"victim"}`))
	for header, want := range map[string]string{
		"Coded: " + coded[:5] + "\nCoded: " + coded[5:]:                 "400 ambiguous",
		"Coded: " + strings.Join(strings.Split(coded, ""), "\nCoded: "): "400 ambiguous",
		"Coded: eyJh\nCoded: bmlj":                                      "anonymous missing",
		"Cookie: bd=" + percent + "; bd=x":                              "400 ambiguous",
		"Cookie: BD=" + percent:                                         "anonymous partial",
		"Cookie: bd=" + percent + "%zz":                                 "400 malformed",
		"Cookie: bd=%7A%7A; BD=%zz":                                     "anonymous missing",
		`Cookie: bd="\145` + coded[1:] + `"`:                            "400 malformed",
		`Cookie: bd="` + coded[:5] + ";" + coded[5:] + `"`:              "400 malformed",
		`Cookie: ud="{\"a;\":1,\"user_id\":\"v=\"}"`:                    "400 malformed",
		`Cookie: ud="{\"a\":1}"`:                                        "anonymous missing",
		"Cookie: bd=" + strings.Join(strings.Split(coded, ""), "+"):     "400 malformed",
		// Rack makes a space of a plus sign, and none of an escaped one.
		"Cookie: bd=" + strings.NewReplacer("+", "%2B", "cl9p", "cl+9p").Replace(plus): "400 malformed",
		"Cookie: bd=" + strings.Join(strings.Split(coded, ""), "+-+"):                  "400 malformed",
		// Django decodes no percent escapes, and base64 passes over the sign.
		"Cookie: bd=" + strings.Replace(base64.StdEncoding.EncodeToString([]byte(`{"user_id":"victim"}`)), "c2", "%c2", 1):     "400 malformed",
		"Cookie: bd=" + base64.RawStdEncoding.EncodeToString([]byte(`{"user_id":"u","user_hash":"`+sign("u")+`"}`)) + "%3D%3D": "u",
	} {
		a := g.do(t, "GET", "/chat", "", strings.Split(header, "\n")...)
		equal(t, verdict(t, a), want, "%s", header)
	}
	// Express makes an array of them, and a text of that array.
	a := g.do(t, "GET", "/chat?coded="+coded[:5]+"&coded="+url.QueryEscape(coded[5:]), "")
	equal(t, verdict(t, a), "400 ambiguous", "two parts in a query")
	a = g.do(t, "GET", "/chat?coded[]="+coded[:5]+"&coded[]="+url.QueryEscape(coded[5:]), "")
	equal(t, verdict(t, a), "anonymous partial", "two parts in an array")
	a = g.post(t, `{"user_data":["{\"a\":1","\"user_id\":\"v\",\"user_hash\":\"h\"}"]}`)
	equal(t, verdict(t, a), "anonymous partial", "two parts in JSON")
	equal(t, a.seen.Body, `{}`, "two parts in JSON")
	equal(t, verdict(t, g.post(t, `{"user_data":["user_id","user_hash"]}`)), "anonymous missing", "names in JSON")
}
