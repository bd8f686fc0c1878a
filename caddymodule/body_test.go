package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const bookbagSite = "chat_identity %s {\nsecret {env.TEST_SECRET}\n%s\n}"

func bookbag(t testing.TB, mode, options string) *gateway {
	t.Helper()
	return chat(t, fmt.Sprintf(bookbagSite, mode, options))
}

func randomBytes(n int) string {
	random, b := rand.New(rand.NewPCG(1, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

const boundaryType = "multipart/form-data; boundary=----x"

// formPart is a part of a multipart body.
func formPart(name, value string) string {
	return "------x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

// formWithFile is a multipart body of a claim, a file and a text.
func formWithFile(user, signature, file string) string {
	return formPart("text", "hi") + formPart("user_id", user) + "------x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\b.bin\"\r\n" +
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + file + "\r\n" + formPart("user_hash", signature) + "------x--\r\n"
}

func TestBodyPassesByteForByte(t *testing.T) {
	g := bookbag(t, "optional", "")
	file := randomBytes(200 << 10)
	for _, c := range []struct{ title, contentType, body, user string }{
		{"claim with spaces", "application/json", " \r\n\t{ \"text\" : \"\\u00e9\\/\" ,\"user_id\":\"zo\\u00eb\",\n\"user_hash\":\"" + sign("zoë") + "\", \"n\": 1.50e+03 } \n", "zo%C3%AB"},
		{"JSON without a claim", "application/json", `{"a":[1,2,{"user_id":"nested"}],"é":null}`, ""},
		{"JSON array", "application/json", `[{"id":"x"}]`, ""},
		{"JSON scalar", "application/json", ` "user_id" `, ""},
		{"type unknown", "application/x-whatever", claim("alice"), "alice"},
		{"no type", "", claim("alice"), "alice"},
		{"form", "application/x-www-form-urlencoded", "text=a+b%20c&&user_id=alice&user_hash=" + sign("alice") + "&x", "alice"},
		{"multipart with a file", boundaryType, formWithFile("alice", sign("alice"), file), "alice"},
		{"opaque", "application/octet-stream", "\x01" + file, ""},
		{"text", "text/plain", "user_id=alice&user_hash=" + sign("alice"), ""},
		{"a brace that opens no object", "text/plain", "{ hello }", ""},
		{"a brace alone", "text/plain", "{", ""},
		{"spaces alone", "text/plain", " \n\t", ""},
		{"large", "application/json", claim("alice") + strings.Repeat(" ", 1<<20-len(claim("alice"))), "alice"},
	} {
		var typed []string
		if c.contentType != "" {
			typed = []string{"Content-Type: " + c.contentType}
		}
		for _, framing := range []struct {
			name, text string
			length     int64
		}{
			{"length", g.wire("POST", "/chat", c.body, typed...), int64(len(c.body))},
			{"chunked", g.wire("POST", "/chat", chunks(c.body), append(typed, "Transfer-Encoding: chunked")...), -1},
		} {
			if c.user != "" || c.contentType == "application/json" || strings.HasPrefix(c.body, "{") {
				framing.length = int64(len(c.body)) // what was read whole goes on with its length
			}
			if c.contentType == "" {
				c.contentType = "application/json" // so that nobody takes it for a form
			}
			answer := g.raw(t, framing.text)
			s := g.upstream.take()
			if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || s == nil {
				t.Errorf("%s, %s: %.300q", c.title, framing.name, answer)
				continue
			}
			if s.Body != c.body || s.Length != framing.length || s.Chunked != (framing.length < 0) {
				t.Errorf("%s, %s: the upstream saw %d bytes (the same: %v), length %d, chunked %v", c.title, framing.name, len(s.Body), s.Body == c.body, s.Length, s.Chunked)
			}
			if s.user() != c.user || s.Header.Get("Content-Type") != c.contentType {
				t.Errorf("%s, %s: user %q, type %q", c.title, framing.name, s.user(), s.Header.Get("Content-Type"))
			}
		}
	}
}

func TestEmptyBodyKeepsItsFraming(t *testing.T) {
	g := bookbag(t, "optional", "")
	for _, framing := range [][]string{nil, {"Content-Length: 0"}, {"Transfer-Encoding: chunked"}} {
		body, length := "", int64(0)
		if slices.Contains(framing, "Transfer-Encoding: chunked") {
			body, length = chunks(""), -1
		}
		answer := g.raw(t, g.wire("POST", "/chat", body, append(framing, jsonType)...))
		s := g.upstream.take()
		if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || s == nil || s.Body != "" || s.Length != length || s.Header.Get("X-Identity-Reason") != "missing" {
			t.Errorf("%q: %.200q %+v", framing, answer, s)
		}
	}
}

// streamed runs a gateway in front of a handler of the test's own.
func streamed(t *testing.T, directive string, handler http.HandlerFunc) *gateway {
	t.Helper()
	u := httptest.NewServer(handler)
	t.Cleanup(u.Close)
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t))}
	load(t, fmt.Sprintf("{%s}\n%s {\n%s\nreverse_proxy %s\n}\n", globals, g.url, directive, strings.TrimPrefix(u.URL, "http://")))
	return g
}

// An opaque body is not held back: the upstream has its beginning before the
// client has sent the rest.
func TestOpaqueBodyIsStreamed(t *testing.T) {
	const size = 5 << 20
	arrived, done := make(chan string, 1), make(chan int64, 1)
	g := streamed(t, fmt.Sprintf(bookbagSite, "optional", ""), func(_ http.ResponseWriter, r *http.Request) {
		first := make([]byte, 3)
		_, _ = io.ReadFull(r.Body, first)
		arrived <- string(first)
		n, _ := io.Copy(io.Discard, r.Body)
		done <- n + 3
	})
	for _, c := range []struct{ contentType, first string }{
		{"application/octet-stream", "\x7fEL"}, {"text/plain", "[1,"}, {"", "abc"}, {"text/plain", "42["}, {"image/png", "\x89PN"},
		{"text/csv", "/ a"}, {"application/pdf", "%PD"},
	} {
		out, in := io.Pipe()
		r, err := http.NewRequest("PUT", g.url+"/upload", out)
		must(t, err)
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		answered := make(chan error, 1)
		go func() {
			response, err := http.DefaultClient.Do(r)
			if err == nil {
				_ = response.Body.Close()
				if response.StatusCode != 200 {
					err = errors.New(response.Status)
				}
			}
			answered <- err
		}()
		_, _ = io.WriteString(in, c.first)
		select {
		case first := <-arrived:
			if first != c.first {
				t.Errorf("%s: the upstream saw %q", c.contentType, first)
			}
		case err := <-answered:
			t.Fatalf("%s %q: answered before its end: %v", c.contentType, c.first, err)
		case <-time.After(patience):
			t.Fatalf("%s %q was held back", c.contentType, c.first)
		}
		_, _ = in.Write(make([]byte, size-3))
		_ = in.Close()
		if n := <-done; n != size {
			t.Errorf("%s: %d of %d bytes arrived", c.contentType, n, size)
		}
		errorSays(t, <-answered, "", "%s", c.contentType)
	}
}

// What is not read is not kept either.
func TestOpaqueBodyIsNotHeldInMemory(t *testing.T) {
	const size = 64 << 20
	g := streamed(t, fmt.Sprintf(bookbagSite, "optional", ""), func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	send := func(size int64) {
		response, err := http.Post(g.url, "application/octet-stream", io.LimitReader(zeros{}, size))
		must(t, err)
		_ = response.Body.Close()
	}
	send(1 << 20) // what connections need once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(size)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > size/8 {
		t.Errorf("%d bytes allocated for a body of %d that nobody reads", took, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'z'
	}
	return len(p), nil
}

func TestMaxBodyBoundsWhatIsRead(t *testing.T) {
	const limit = 4000
	g := bookbag(t, "optional", fmt.Sprintf("max_body %d\nmax_upload %[1]d", limit))
	padded := func(n int) string { return claim("alice") + strings.Repeat(" ", n-len(claim("alice"))) }
	form := func(n int) string {
		start := "user_id=alice&user_hash=" + sign("alice") + "&text="
		return start + strings.Repeat("a", n-len(start))
	}
	multi := func(n int) string {
		return formWithFile("alice", sign("alice"), strings.Repeat("f", n-len(formWithFile("alice", sign("alice"), ""))))
	}
	spaces := func(n int) string { return strings.Repeat(" \t", (n-1)/2) + "{}"[:n-(n-1)/2*2] }
	for _, c := range []struct {
		title, contentType string
		body               func(int) string
		user               string
		opaque             bool
	}{
		{"JSON", "application/json", padded, "alice", false},
		{"JSON, type unknown", "text/plain", padded, "alice", false},
		{"JSON without a type", "", padded, "alice", false},
		{"form", "application/x-www-form-urlencoded", form, "alice", false},
		{"multipart", boundaryType, multi, "alice", false},
		// Only reading on shows whether something follows.
		{"spaces before a brace", "text/plain", spaces, "", false},
		{"opaque", "text/plain", func(n int) string { return "x" + strings.Repeat(" ", n-1) }, "", true},
		{"array of a type unknown", "text/plain", func(n int) string { return "[1]" + strings.Repeat(" ", n-3) }, "", true},
	} {
		for _, n := range []int{limit - 1, limit, limit + 1, 10 * limit} {
			for _, chunked := range []bool{false, true} {
				r := g.request(t, "POST", "/chat", c.body(n), chunked)
				if c.contentType != "" {
					r.Header.Set("Content-Type", c.contentType)
				}
				a := g.send(t, r)
				if n > limit && !c.opaque {
					if p := a.problem(t); a.StatusCode != 413 || p.Reason != "too_large" || a.seen != nil {
						t.Errorf("%s, %d bytes, chunked %v: %d %+v", c.title, n, chunked, a.StatusCode, p)
					}
					continue
				}
				if a.StatusCode != 200 || a.seen == nil || a.seen.user() != c.user || a.seen.Body != c.body(n) {
					t.Errorf("%s, %d bytes, chunked %v: %d %.200s", c.title, n, chunked, a.StatusCode, a.body)
				}
			}
		}
	}
}

func TestBodyThatCannotBeReadIsRefused(t *testing.T) {
	g := bookbag(t, "optional", "")
	signed := claim("alice")
	for _, c := range []struct {
		title   string
		body    string
		headers []string
		status  int
	}{
		{"gzip", signed, []string{jsonType, "Content-Encoding: gzip"}, 415},
		{"upper case and a list", signed, []string{jsonType, "Content-Encoding: identity, GZIP"}, 415},
		{"a second coding line", signed, []string{jsonType, "Content-Encoding: identity", "Content-Encoding: br"}, 415},
		{"identity", signed, []string{jsonType, "Content-Encoding: Identity"}, 200},
		{"opaque and gzip", "\x1f\x8b", []string{"Content-Type: application/octet-stream", "Content-Encoding: gzip"}, 200},
		{"no type and gzip", "\x1f\x8b", []string{"Content-Encoding: gzip"}, 200},
		{"an object that says gzip", "{}", []string{"Content-Encoding: gzip"}, 415},
		{"an unknown coding", "x", []string{"Content-Encoding: br"}, 415},
		{"charset", signed, []string{"Content-Type: application/json; charset=utf-16"}, 415},
		{"quoted charset", signed, []string{"Content-Type: application/json; charset=\"ISO-8859-1\""}, 415},
		{"charset of an opaque type", "hi", []string{"Content-Type: text/plain; charset=utf-7"}, 200},
		{"a charset that hides names, an object", "{+ACI-user+AF8-id+ACI-:1}", []string{"Content-Type: text/plain; charset=utf-7"}, 415},
		{"UTF-8 in quotes and capitals", signed, []string{"Content-Type: application/json; Charset=\"UTF-8\""}, 200},
		{"charset of a form", "a=b", []string{"Content-Type: application/x-www-form-urlencoded; charset=windows-1252"}, 200},
		{"charset of a form with a name", "a=b&User_ID=x", []string{"Content-Type: application/x-www-form-urlencoded; charset=windows-1252"}, 415},
		{"a charset that hides names", "a=b", []string{"Content-Type: application/x-www-form-urlencoded; charset=utf-7"}, 415},
		{"charset hidden in a value", signed, []string{"Content-Type: application/json; x=\"; charset=utf-7\""}, 415},
		{"charset hidden in a name", signed, []string{"Content-Type: application/json; xcharset=utf-7"}, 415},
		{"two types", signed, []string{jsonType, jsonType}, 200},
		{"two types, opaque", "x", []string{"Content-Type: text/plain", "Content-Type: text/plain"}, 200},
		{"a list of types", signed, []string{"Content-Type: application/json, text/plain"}, 200},
		{"no subtype", "x", []string{"Content-Type: text"}, 200},
		{"an empty type", "x", []string{"Content-Type: "}, 200},
		{"a parameter without a value", "x", []string{"Content-Type: text/plain; charset"}, 200},
		{"a parameter twice", "x", []string{"Content-Type: text/plain; a=1; A=2"}, 200},
		{"an extended parameter", "x", []string{"Content-Type: text/plain; charset*=utf-8''utf-8"}, 200},
		{"an escape in quotes", "x", []string{"Content-Type: text/plain; a=\"\\b\""}, 200},
		{"an open quote", "x", []string{"Content-Type: text/plain; a=\"b"}, 200},
		{"letters beyond ASCII, shorter in lower case", signed, []string{"Content-Type: application/json; x=\"\u212a\u212a\u212a\"; charset=utf-8"}, 400},
		{"multipart without a boundary", "x", []string{"Content-Type: multipart/form-data"}, 200},
		{"a boundary that PHP finds first", formWithFile("alice", sign("alice"), ""), []string{"Content-Type: multipart/form-data; xboundary=c; boundary=----x"}, 400},
		{"a boundary that Ruby finds last", formWithFile("alice", sign("alice"), ""), []string{"Content-Type: multipart/form-data; boundary=----x; x=\"boundary=c\""}, 400},
		{"byte-order mark", "\ufeff" + signed, []string{jsonType}, 400},
		{"byte-order mark, opaque", " \n\ufeffhi", []string{"Content-Type: text/csv"}, 200},
		{"UTF-16, opaque", "\xff\xfeh\x00", []string{"Content-Type: text/plain"}, 200},
		{"NUL, opaque", "\x00\x01", []string{"Content-Type: application/octet-stream"}, 200},
		{"comment, opaque", "/* x */", []string{"Content-Type: text/css"}, 200},
		{"line comment without a type", " // x", nil, 200},
		{"half a comment", "/", []string{"Content-Type: text/plain"}, 200},
		{"half a byte-order mark", "\xef\xbb", []string{"Content-Type: text/plain"}, 200},
		{"not JSON", "{", []string{jsonType}, 200},
		{"spaces alone", "  ", []string{jsonType}, 200},
		{"JSON in a form", signed, []string{"Content-Type: application/x-www-form-urlencoded"}, 200},
		{"a form as JSON", "user_id=alice", []string{jsonType}, 400},
		{"bytes that are not UTF-8", "{\"a\":\"\xff\"}", []string{jsonType}, 200},
	} {
		a := g.do(t, "POST", "/chat", c.body, c.headers...)
		if a.StatusCode != c.status || (a.seen != nil) != (c.status == 200) {
			t.Errorf("%s: %d, not %d: %s", c.title, a.StatusCode, c.status, a.body)
		}
		if reason := string(a.problem(t).Reason); c.status == 400 && reason != "malformed" || c.status == 415 && reason != "unsupported" {
			t.Errorf("%s: reason %q", c.title, reason)
		}
	}
}

func TestExpectedContinueIsAsked(t *testing.T) {
	g := bookbag(t, "required", "")
	body := claim("alice")
	c := g.begin(t, "/chat", body, jsonType)
	c.write(body)
	response, text := c.answer()
	if s := g.upstream.take(); response.StatusCode != 200 || s == nil || s.user() != "alice" || s.Body != body {
		t.Errorf("%d %s %+v", response.StatusCode, text, s)
	}
}

func TestLimitBeforeUsIsTooLarge(t *testing.T) {
	g := start(t, "", "request_body {\nmax_size 50\n}\n"+fmt.Sprintf(bookbagSite, "optional", "")+"\nreverse_proxy UPSTREAM")
	for _, chunked := range []bool{false, true} {
		if a := g.send(t, g.request(t, "POST", "/", claim("alice"), chunked, jsonType)); a.StatusCode != 413 || a.seen != nil {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
}

// With all places outside of the body, uploads pass whatever they are.
func TestHandlerWithoutPlacesInTheBodyDoesNotReadIt(t *testing.T) {
	g := bookbag(t, "required", "max_body 10\nclaim user_id header X-User\nclaim signature header X-User-Hash")
	claimed := []string{"X-User: alice", "X-User-Hash: " + sign("alice")}
	large := "{\"" + randomBytes(5<<20)
	for title, c := range map[string]struct {
		body    string
		headers []string
	}{
		"gzip":          {"\x1f\x8b\x00", []string{jsonType, "Content-Encoding: gzip"}},
		"5 MiB":         {large, []string{"Content-Type: application/json"}},
		"charset":       {"\x00{", []string{"Content-Type: application/json; charset=utf-16"}},
		"two types":     {"x", []string{jsonType, "Content-Type: text/plain"}},
		"another claim": {`{"user_id":"bob","user_hash":"x"}`, []string{jsonType}},
		"multipart":     {large, []string{"Content-Type: multipart/form-data; boundary=x", "Content-Encoding: gzip"}},
		"text":          {large, []string{"Content-Type: text/plain", "Content-Encoding: gzip"}},
		"opaque":        {large, []string{"Content-Type: application/octet-stream", "Content-Encoding: gzip"}},
	} {
		a := g.do(t, "PUT", "/upload", c.body, append(c.headers, claimed...)...)
		if a.StatusCode != 200 || a.seen == nil || a.seen.user() != "alice" || a.seen.Body != c.body || a.seen.Length != int64(len(c.body)) || a.seen.Chunked {
			t.Errorf("%s: %d %.200s", title, a.StatusCode, a.body)
		}
	}
	// A refusal does not wait for such a body at all.
	if response, body := g.early(t, "/upload", "Content-Length: 5000000\r\n\r\n"); response.StatusCode != 401 || !response.Close {
		t.Errorf("%d, close %v: %s", response.StatusCode, response.Close, body)
	}
}

func TestUnverifiedClaimIsCutOutOfTheBody(t *testing.T) {
	g := bookbag(t, "optional", "")
	file := randomBytes(50 << 10)
	forged := strings.Repeat("0", 64)
	digests := []string{"Content-Digest: sha-256=:x:", "Repr-Digest: sha-256=:x:", "Digest: sha-256=x", "Content-Md5: x"}
	cutForm := strings.NewReplacer(formPart("user_id", "victim"), "", formPart("user_hash", forged), "").Replace(formWithFile("victim", forged, file))
	for _, c := range []struct{ contentType, body, want string }{
		{"application/json", `{ "a" : 1, "user_id":"victim" , "b":"é\u00e9", "user_hash":"` + forged + `" }`, `{ "a" : 1, "b":"é\u00e9" }`},
		{"application/json", `{"user_id":"victim"}`, `{}`},
		{"", `{"user_id":"victim","x":1}`, `{"x":1}`},
		{"application/json", `{"x":1,"USER_ID":"victim"}`, `{"x":1}`},
		{"application/json", `{"user_id":"victim","user_metadata":{"name":"Zoë","user_id":"kept"}}`, `{"user_metadata":{"name":"Zoë","user_id":"kept"}}`},
		{"application/x-www-form-urlencoded", "a=1&user_id=victim&b=%20&user_hash=" + forged, "a=1&b=%20"},
		{"application/x-www-form-urlencoded", "user_id=victim&a=1", "a=1"},
		{boundaryType, formWithFile("victim", forged, file), cutForm},
	} {
		for _, chunked := range []bool{false, true} {
			r := g.request(t, "POST", "/chat", c.body, chunked, digests...)
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			a := g.send(t, r)
			if a.seen == nil || withoutSpaces(a.seen.Body) != withoutSpaces(c.want) || a.seen.user() != "" || a.seen.Length != int64(len(a.seen.Body)) {
				t.Errorf("%.200q, chunked %v: %d %+v", c.body, chunked, a.StatusCode, a.seen)
				continue
			}
			for _, header := range digests {
				if name, _, _ := strings.Cut(header, ":"); a.seen.Header.Get(name) != "" {
					t.Errorf("%s of a body that was cut is kept", name)
				}
			}
		}
	}
	// The digests of an unchanged body stay.
	if a := g.post(t, `{"a":1}`, digests...); a.seen == nil || a.seen.Header.Get("Content-Digest") == "" {
		t.Errorf("the digest of an untouched body is gone: %+v", a.seen)
	}
}

// withoutSpaces evens out which of the spaces around a cut member remain.
func withoutSpaces(text string) string { return strings.ReplaceAll(text, " ", "") }

// A body that was read, in full or in part, is sent to the next backend where the first cannot be reached.
func TestRetryKeepsTheBody(t *testing.T) {
	dead := freePort(t)
	g := start(t, "", fmt.Sprintf(bookbagSite, "optional", "")+
		fmt.Sprintf("\nreverse_proxy 127.0.0.1:%d UPSTREAM {\nlb_policy first\nlb_try_duration 5s\nlb_try_interval 10ms\nfail_duration 1m\n}", dead))
	large := strings.Repeat("opaque ", 100_000)
	for _, c := range []struct{ contentType, body, user string }{
		{"application/json", claim("alice"), "alice"},
		{"application/json", `{"user_id":"victim","x":1}`, ""},
		{"text/plain", large, ""},
	} {
		for _, chunked := range []bool{false, true} {
			a := g.send(t, g.request(t, "PUT", "/", c.body, chunked, "Content-Type: "+c.contentType))
			want := strings.Replace(c.body, `"user_id":"victim",`, "", 1)
			if a.StatusCode != 200 || a.seen == nil || a.seen.Body != want || a.seen.user() != c.user {
				t.Errorf("%.60q, chunked %v: %d", c.body, chunked, a.StatusCode)
			}
		}
	}
}

// In mode off nothing of a body is read, so anything passes at once.
func TestModeOffDoesNotReadBodies(t *testing.T) {
	g := bookbag(t, "off", "max_body 10")
	body := bytes.Repeat([]byte("\x00{"), 1000)
	a := g.do(t, "POST", "/", string(body), jsonType, jsonType, "Content-Encoding: gzip")
	if a.StatusCode != 200 || a.seen == nil || a.seen.Body != string(body) || a.seen.Header.Get("X-Identity-Outcome") != "disabled" {
		t.Errorf("%d %.100s", a.StatusCode, a.body)
	}
}

// TestBodyWithoutTypeIsNoForm: some backends take a body without a type for a
// form, which the gateway has not read as one.
func TestBodyWithoutTypeIsNoForm(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\n}")
	const body = "user_id=victim&user_hash=x"
	if a := g.do(t, "POST", "/", body); a.StatusCode != 200 || a.seen.Body != body || a.seen.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
	if a := g.do(t, "POST", "/", claim("zoe")); a.StatusCode != 200 || a.seen.user() != "zoe" || a.seen.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
	if a := g.do(t, "GET", "/", ""); a.StatusCode != 200 || a.seen.Header.Get("Content-Type") != "" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
}
