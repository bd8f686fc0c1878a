package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// attack is a request by mallory, who is a customer with a signature of her
// own and wants to be victim.
type attack struct {
	name, path, kind, body string
	headers                []string
}

// attacks are all of them, by the surface they are on.
func attacks() []attack {
	return slices.Concat(jsonAttacks(), formAttacks(), headerAttacks())
}

// TestAttacks: mallory never becomes victim, and where nothing is verified no
// backend can read a victim's id out of what arrives.
func TestAttacks(t *testing.T) {
	for _, mode := range []string{"optional", "required"} {
		for _, global := range []string{"", allowAll} {
			g := start(t, global, "chat_identity "+mode+" {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
			for _, c := range attacks() {
				t.Run(mode+"/"+c.name, func(t *testing.T) {
					answer := g.raw(t, c.text(g))
					s := g.upstream.take()
					status := statusOf(answer)
					if status < 200 || status >= 500 {
						t.Fatalf("%.200q", answer)
					}
					if s == nil {
						return
					}
					if mode == "required" && s.user() == "" && c.kind != "OPTIONS" {
						t.Errorf("nobody was let in: %+v", s)
					}
					if user := s.user(); user != "" && user != "mallory" || len(s.Header["X-Verified-User"]) > 1 {
						t.Errorf("users %q", s.Header["X-Verified-User"])
					}
					if all := fmt.Sprintf("%s %v %v %s", s.URI, s.Header, s.Trailer, s.Body); strings.Contains(all, "victim") {
						t.Errorf("victim arrives: %s", all)
					}
				})
			}
		}
	}
}

// text is the request as it is sent.
func (a *attack) text(g *gateway) string {
	method, kind := "POST", a.kind
	if kind == "OPTIONS" {
		method, kind = "OPTIONS", ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, a.path, strings.TrimPrefix(g.url, "http://"))
	if kind != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", kind)
	}
	for _, h := range a.headers {
		b.WriteString(h + "\r\n")
	}
	if a.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	return b.String() + "Connection: close\r\n\r\n" + a.body
}

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3})`)

// statusOf returns the last status of a raw answer, 0 where there is none.
func statusOf(answer string) (status int) {
	for _, m := range statusLine.FindAllStringSubmatch(answer, -1) {
		status, _ = strconv.Atoi(m[1])
	}
	return status
}

// TestGoodClaims: what looks odd but is right must get through, or operators
// will turn the gateway off.
func TestGoodClaims(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	far := `{"text":"` + strings.Repeat("x", 100<<10) + `",`
	for name, c := range map[string]struct{ body, want string }{
		"escapes":                {`{"user_id":"z\u006fe","user_hash":"` + sign("zoe") + `"}`, "zoe"},
		"surrogate pair":         {`{"user_id":"\ud83d\ude00","user_hash":"` + sign("😀") + `"}`, "%F0%9F%98%80"},
		"integer":                {`{"user_id":42,"user_hash":"` + sign("42") + `"}`, "42"},
		"upper-case digest":      {`{"user_id":"zoe","user_hash":"` + strings.ToUpper(sign("zoe")) + `"}`, "zoe"},
		"fields beyond 16 KiB":   {far + claim("zoe")[1:], "zoe"},
		"blanks":                 {" \r\n\t{ \"user_id\" : \"zoe\" , \"user_hash\" : \"" + sign("zoe") + "\" } \n", "zoe"},
		"ids within other names": {`{"user":{"user_id":"other"},"user_id":"zoe","user_hash":"` + sign("zoe") + `","x":[{"user_id":"another"}]}`, "zoe"},
	} {
		if a := g.post(t, c.body); a.seen == nil || a.seen.user() != c.want || a.seen.Body != c.body {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	for _, number := range []string{"42.0", "4.2e1", "42e0", "-0", "042", "+42", "9007199254740993", "1e400", "NaN", "0x2a"} {
		if a := g.post(t, `{"user_id":`+number+`,"user_hash":"`+sign(number)+`"}`); a.StatusCode != 400 || a.seen != nil {
			t.Errorf("%s: %d %+v", number, a.StatusCode, a.seen)
		}
	}
}

// TestSplitSignature: a signature of concatenated fields is good for one split.
func TestSplitSignature(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\ndialect snapengage\n}")
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	good := sign("ab" + testNonce + stamp)
	send := func(user, nonce, stamp string) *answered {
		t.Helper()
		return g.post(t, fmt.Sprintf(`{"user_id":"%s","hmacSignature":"%s","hmacNonce":"%s","hmacTimestamp":"%s"}`, user, good, nonce, stamp))
	}
	if a := send("ab", testNonce, stamp); a.seen == nil || a.seen.user() != "ab" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	for _, c := range [][3]string{
		{"a", "b" + testNonce, stamp}, {"ab" + testNonce[:1], testNonce[1:], stamp}, {"ab", testNonce + stamp[:1], stamp[1:]}, {"ab" + testNonce, "", stamp},
		{"ab" + testNonce[:3], testNonce[3:] + stamp[:3], stamp[3:]},
	} {
		if a := send(c[0], c[1], c[2]); a.seen != nil || a.StatusCode < 400 || a.StatusCode >= 500 {
			t.Errorf("%q: %d %s", c, a.StatusCode, a.body)
		}
	}
}

// TestSignatureOfAnotherWidget: secrets are not shared.
func TestSignatureOfAnotherWidget(t *testing.T) {
	g := start(t, "chat_identity {\nwidget a {\nsecret {env.TEST_SECRET}\n}\nwidget b {\nsecret another-secret-of-widget-b\n}\n}",
		"chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy UPSTREAM")
	if a := g.post(t, claim("zoe"), "X-Widget-Key: a"); a.seen == nil || a.seen.Header.Get("X-Verified-Widget") != "a" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	checkProblem(t, g.post(t, claim("zoe"), "X-Widget-Key: b"), 401, "invalid", "bookbag")
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
			address := strings.TrimPrefix(g.url, "http://")
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// A server that waits for the body gives up after a minute.
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, "POST "+c.path+" HTTP/1.1\r\nHost: "+address+"\r\n"+c.headers); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != c.want || !response.Close || len(body) == 0 {
				t.Errorf("%d, close %v, %s, %v; want %d", response.StatusCode, response.Close, body, err, c.want)
			}
		})
	}
}

// TestUploadsPass: a handler that reads nothing from bodies has no limit for
// them, and one that does has none for what is no claim.
func TestUploadsPass(t *testing.T) {
	g := start(t, "", "handle /head {\nchat_identity required {\nsecret {env.TEST_SECRET}\nmax_body 1KiB\nclaim user_id header X-User\nclaim signature header X-Signature\n}\nreverse_proxy UPSTREAM\n}\n"+
		"handle /small/* {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nmax_body 10\n}\nreverse_proxy UPSTREAM\n}\n"+
		"handle {\nchat_identity optional {\nsecret {env.TEST_SECRET}\nmax_body 1KiB\n}\nreverse_proxy UPSTREAM\n}")
	large := strings.Repeat("x", 3<<20)
	for _, kind := range []string{"application/json", "multipart/form-data; boundary=x", "application/octet-stream", "text/plain"} {
		a := g.do(t, "PUT", "/head", large, "Content-Type: "+kind, "X-User: zoe", "X-Signature: "+sign("zoe"), "Content-Encoding: gzip")
		if a.seen == nil || a.seen.user() != "zoe" || a.seen.Body != large || a.seen.Chunked {
			t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
		}
	}
	for _, path := range []string{"/upload", "/small/upload"} {
		for _, kind := range []string{"application/octet-stream", "text/plain", "image/png"} {
			a := g.do(t, "PUT", path+"?user_id=zoe&user_hash="+sign("zoe"), large, "Content-Type: "+kind)
			if a.seen == nil || a.seen.user() != "zoe" || a.seen.Body != large || a.seen.Chunked {
				t.Errorf("%s, %s: %d %s", path, kind, a.StatusCode, a.body)
			}
		}
		// What may become an object has the limit, though.
		for _, body := range []string{`{"a":` + large, strings.Repeat(" \t", 3<<19)} {
			if a := g.do(t, "PUT", path, body, "Content-Type: text/plain"); a.StatusCode != 413 {
				t.Errorf("%s, %.5q: %d", path, body, a.StatusCode)
			}
		}
	}
}

// TestConcurrentUsers: what is reused between requests carries nothing over.
func TestConcurrentUsers(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\n}")
	g.upstream.mu.Lock()
	g.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Verified-User")+" "+r.Header.Get("X-Identity-Email")+" "+r.Header.Get("X-Identity-Outcome"))
	}
	g.upstream.mu.Unlock()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 60 {
				id := fmt.Sprintf("user-%d-%d", worker, i)
				body, want := `{"text":"hi"}`, "  anonymous"
				switch i % 3 {
				case 0:
					body, want = `{"user_id":"`+id+`","user_hash":"`+sign(id)+`","user_metadata":{"email":"`+id+`@example.com"}}`, id+" "+id+"@example.com verified"
				case 1:
					body, want = `{"user_id":"`+id+`","user_hash":"`+sign("mallory")+`","user_metadata":{"email":"`+id+`@example.com"}}`, "  invalid"
				}
				response, err := http.Post(g.url+"/chat", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if string(got) != want {
					t.Errorf("%s: got %q, want %q", body, got, want)
				}
			}
		})
	}
	group.Wait()
}

// TestMutatedRequests: no bytes that a client can send make this gateway fail,
// or believe in anyone but the one whose signature is in them. Answers that
// net/http gives before Caddy sees a request do not name the server.
func TestMutatedRequests(t *testing.T) {
	g := start(t, allowAll, `chat_identity optional {
		secret {env.TEST_SECRET}
		claim user_id body /user_id
		claim user_id query user_id
		claim user_id cookie uid
		claim signature body /user_hash
		claim signature query user_hash
		claim signature cookie sig
		max_body 4KiB
	}
	reverse_proxy UPSTREAM`)
	host := strings.TrimPrefix(g.url, "http://")
	jsonBody, formBody := claim("zoe"), "user_id=zoe&text=a+b&user_hash="+sign("zoe")
	multi := "--b\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nzoe\r\n--b\r\nContent-Disposition: form-data; name=\"user_hash\"\r\n\r\n" + sign("zoe") + "\r\n--b--\r\n"
	head := " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nX-Verified-User: mallory\r\n"
	seeds := []string{
		fmt.Sprintf("POST /chat%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", head, len(jsonBody), jsonBody),
		fmt.Sprintf("POST /chat%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", head, len(formBody), formBody),
		fmt.Sprintf("POST /chat%sContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", head, len(multi), multi),
		fmt.Sprintf("POST /chat%sContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Verified-User\r\n\r\n%x\r\n%s\r\n0\r\nX-Verified-User: mallory\r\n\r\n", head, len(jsonBody), jsonBody),
		"GET /chat?a=1&user_id=zoe&user_hash=" + sign("zoe") + head + "\r\n",
		"GET /chat" + head + "Cookie: a=1; uid=zoe; sig=" + sign("zoe") + "; b=2\r\n\r\n",
		"OPTIONS /chat?user_id=zoe" + head + "Origin: https://example.com\r\nAccess-Control-Request-Method: POST\r\n\r\n",
	}
	pieces := []string{"\x00", "\r\n", "\n", " ", "\t", "%", "%00", "&", ";", "=", "[", "]", "{", "}", "\"", "\\", "\\u0000", ",", ":", "\xff", "é", "ſ", "user_id", "USER_ID", "0", "-", "?", "#", "/../", "X-Verified-User: mallory\r\n",
		"Content-Encoding: gzip\r\n", "Content-Type: text/plain\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\n", "Incremental: ?1\r\n", "--b", "1e999", "null", "[[[[", "Connection: X-Verified-User\r\n"}
	random := rand.New(rand.NewPCG(20, 26))
	mutate := func(text []byte) []byte {
		for range 1 + random.IntN(4) {
			at := random.IntN(len(text) + 1)
			end := min(len(text), at+random.IntN(12))
			switch random.IntN(5) {
			case 0:
				text = slices.Insert(text, at, []byte(pieces[random.IntN(len(pieces))])...)
			case 1:
				text = slices.Delete(text, at, end)
			case 2:
				text = slices.Insert(text, at, slices.Clone(text[at:end])...)
			case 3:
				if at < len(text) {
					text[at] ^= 1 << random.IntN(8)
				}
			default:
				text = slices.Insert(slices.Delete(text, at, end), at, []byte(pieces[random.IntN(len(pieces))])...)
			}
		}
		return text
	}
	answers := make(map[int]int)
	verified := 0
	for range 4000 {
		text := string(mutate([]byte(seeds[random.IntN(len(seeds))])))
		answer := g.mutated(t, text, random.IntN(10) == 0)
		status := statusOf(answer)
		answers[status]++
		if status >= 500 && strings.Contains(answer, "\r\nServer: Caddy\r\n") {
			t.Errorf("%q: %.100q", text, answer)
		}
		s := g.upstream.take()
		if s == nil {
			continue
		}
		switch user := s.user(); {
		case user == "zoe" && s.Header.Get("X-Identity-Outcome") == "verified":
			verified++
		case user != "" || len(s.Header["X-Verified-User"]) > 1:
			t.Errorf("%q: user %q", text, s.Header["X-Verified-User"])
		}
	}
	t.Logf("%v, %d verified", answers, verified)
	if answers[200] < 300 || answers[400] < 300 || verified < 100 {
		t.Errorf("too few of a kind to prove anything: %v, %d verified", answers, verified)
	}
}

// mutated sends a request that may lack some of what it announces: either it
// stops there, or there is more to come until an answer does.
func (g *gateway) mutated(t *testing.T, text string, stop bool) string {
	t.Helper()
	if stop {
		return g.halfClosed(t, text)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	g.upstream.take()
	_, _ = io.WriteString(c, text+"\r\n\r\n"+strings.Repeat("x", 300))
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	answer, _ := io.ReadAll(c)
	if len(answer) == 0 {
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		answer, _ = io.ReadAll(c)
	}
	return string(answer)
}
