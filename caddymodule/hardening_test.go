package caddymodule

import (
	"bufio"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// attack is a request by mallory, who is a customer with a signature of her
// own and wants to be victim.
type attack struct {
	name, path, kind, body string
	headers                []string
}

func attacks() []attack {
	mallory, hash := `"user_id":"mallory"`, `"user_hash":"`+sign("mallory")+`"`
	victim := `"user_id":"victim"`
	query := "user_hash=" + sign("mallory")
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	const js, form = "application/json", "application/x-www-form-urlencoded"
	return []attack{
		// HAProxy takes the first, njs, node and Go the last.
		{"second id after the signed one", "/chat", js, `{` + mallory + `,` + hash + `,` + victim + `}`, nil},
		{"id before the signed one", "/chat", js, `{` + victim + `,` + mallory + `,` + hash + `}`, nil},
		{"second signature", "/chat", js, `{` + victim + `,` + hash + `,"user_hash":"` + sign("victimx") + `"}`, nil},
		{"upper-case name", "/chat", js, `{` + mallory + `,` + hash + `,"USER_ID":"victim"}`, nil},
		{"long s in the name", "/chat", js, `{` + mallory + `,` + hash + `,"uſer_id":"victim"}`, nil},
		{"escaped name", "/chat", js, `{` + mallory + `,` + hash + `,"user\u005fid":"victim"}`, nil},
		{"variants alone", "/chat", js, `{"User_Id":"victim","User_Hash":"` + sign("mallory") + `"}`, nil},
		{"another's signature", "/chat", js, `{` + victim + `,` + hash + `}`, nil},
		{"empty id with its right signature", "/chat", js, `{"user_id":"","user_hash":"` + sign("") + `"}`, nil},
		{"null id with the empty one's signature", "/chat", js, `{"user_id":null,"user_hash":"` + sign("") + `"}`, nil},
		{"array of ids", "/chat", js, `{"user_id":["mallory","victim"],` + hash + `}`, nil},
		{"object as id", "/chat", js, `{"user_id":{"$ne":"victim"},` + hash + `}`, nil},
		{"no signature", "/chat", js, `{` + victim + `}`, nil},
		{"signature null", "/chat", js, `{` + victim + `,"user_hash":null}`, nil},
		{"signature true", "/chat", js, `{` + victim + `,"user_hash":true}`, nil},
		{"signature of the empty key", "/chat", js, `{` + victim + `,"user_hash":"` + signWith("", "victim") + `"}`, nil},
		{"signature of the id as the key", "/chat", js, `{` + victim + `,"user_hash":"` + signWith("victim", testSecret) + `"}`, nil},
		{"truncated signature", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim")[:62] + `"}`, nil},
		{"64 characters beyond ASCII as signature", "/chat", js, `{` + victim + `,"user_hash":"` + strings.Repeat("é", 64) + `"}`, nil},
		{"long s in the signature", "/chat", js, `{` + victim + `,"user_hash":"` + strings.Repeat("ſ", 32) + `"}`, nil},
		{"signature with dashes", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim")[:32] + "-" + sign("victim")[32:] + `"}`, nil},
		{"signature with a line end", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim") + `\n"}`, nil},
		{"line end in the id", "/chat", js, `{"user_id":"mallory\r\nX-Verified-User: victim","user_hash":"` + sign("mallory\r\nX-Verified-User: victim") + `"}`, nil},
		{"NUL in the id", "/chat", js, `{"user_id":"victim\u0000","user_hash":"` + sign("victim\x00") + `"}`, nil},
		{"second document", "/chat", js, `{` + mallory + `,` + hash + `}{` + victim + `}`, nil},
		{"garbage after the fields", "/chat", js, `{` + mallory + `,` + hash + `,victim}`, nil},
		{"comment", "/chat", js, `{` + mallory + `,` + hash + `/*` + victim + `*/}`, nil},
		{"trailing comma", "/chat", js, `{` + mallory + `,` + hash + `,}`, nil},
		{"byte-order mark", "/chat", js, "\xef\xbb\xbf{" + victim + `}`, nil},
		{"UTF-16", "/chat", js, "\xff\xfe{\x00}\x00", nil},
		{"UTF-7", "/chat", "application/json; charset=utf-7", `{` + victim + `}`, nil},
		{"not UTF-8", "/chat", js, "{\"user_id\":\"victim\xff\",\"user_hash\":\"" + sign("victim\xff") + `"}`, nil},
		{"half a surrogate pair", "/chat", js, `{"user_id":"victim\ud800","user_hash":"` + sign("victim\ufffd") + `"}`, nil},
		{"deep", "/chat", js, deep, nil},
		{"a megabyte of brackets", "/chat", js, strings.Repeat("[", 1<<20-1), nil},
		{"a megabyte of braces", "/chat", "text/plain", strings.Repeat(`{"":`, 1<<18-1), nil},
		{"claim in the text", "/chat", "text/plain", `{` + victim + `,` + hash + `}`, nil},
		{"claim without a type", "/chat", "", `{` + victim + `,` + hash + `}`, nil},
		{"claim as image", "/chat", "image/png", " \r\n{ " + victim + `,` + hash + `}`, nil},
		{"claim as form", "/chat", form, `{` + mallory + `,` + hash + `,"a":"&user_id=victim&"}`, nil},
		{"form", "/chat", form, "user_id=mallory&user_id=victim&" + query, nil},
		{"form, array", "/chat", form, "user_id=mallory&user_id[]=victim&" + query, nil},
		{"form, dot", "/chat", form, "user_id=mallory&user.id=victim&" + query, nil},
		{"form, blank", "/chat", form, "user_id=mallory&+user_id=victim&" + query, nil},
		{"form, semicolon", "/chat", form, "user_id=mallory;user_id=victim&" + query, nil},
		{"form, NUL", "/chat", form, "user_id=mallory&user_id%00=victim&" + query, nil},
		{"form with a bad escape", "/chat", form, "user_id=victim%&" + query, nil},
		{"two types", "/chat", js, `{` + victim + `}`, []string{"Content-Type: text/plain"}},
		{"bad type", "/chat", "application/json; charset=utf-8; charset=utf-16", `{` + victim + `}`, nil},
		{"long type beyond ASCII", "/chat", "multipart/form-data; x=\"" + strings.Repeat("\u212a", 40) + "\"; boundary=a", "--a--", nil},
		{"multipart without a boundary", "/chat", "multipart/form-data", "--a\r\n\r\nvictim", nil},
		{"compressed", "/chat", js, `{` + victim + `}`, []string{"Content-Encoding: gzip"}},
		{"query beside the body", "/chat?user_id=victim", js, `{` + mallory + `,` + hash + `}`, nil},
		{"query twice", "/chat?user_id=mallory&user_id=victim&" + query, "", "", nil},
		{"query, upper case", "/chat?user_id=mallory&USER_ID=victim&" + query, "", "", nil},
		{"query, escaped name", "/chat?user_id=mallory&%75ser_id=victim&" + query, "", "", nil},
		{"query, semicolon", "/chat?user_id=mallory&x=1;user_id=victim&" + query, "", "", nil},
		{"query, half", "/chat?user_id=victim", "", "", nil},
		{"query, array", "/chat?user_id[0]=victim&" + query, "", "", nil},
		{"query, bad escape", "/chat?user_id=victim%zz&" + query, "", "", nil},
		{"query of an absolute URL", "http://127.0.0.1/chat?user_id=victim&" + query, "", "", nil},
		{"attributes that name the id", "/chat", js, `{` + mallory + `,` + hash + `,"user_metadata":{"name":"a","name":"victim"}}`, nil},
		{"our headers", "/chat", js, `{}`, []string{"X-Verified-User: victim", "X_Verified_User: victim", "x-verified-user: victim", "X.Verified.User: victim",
			"X-Verified-Widget: victim", "X-Identity-Outcome: victim", "X-Identity-Email: victim", "Trailer: X-Verified-User"}},
		{"our headers and the connection", "/chat", js, `{}`, []string{"X-Verified-User: victim", "Connection: close, X-Verified-User"}},
		{"preflight", "/chat?user_id=victim", "OPTIONS", "", []string{"Origin: https://example.com", "Access-Control-Request-Method: GET"}},
	}
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

// TestAttacksOnHeadersAndCookies is TestAttacks for claims that travel there.
func TestAttacksOnHeadersAndCookies(t *testing.T) {
	g := chat(t, `chat_identity {
		secret {env.TEST_SECRET}
		claim user_id header X-Claim-User
		claim user_id cookie uid
		claim signature header X-Claim-Hash
		claim signature cookie sig
	}`)
	hash := sign("mallory")
	for _, headers := range [][]string{
		{"X-Claim-User: victim", "X-Claim-Hash: " + hash},
		{"X-Claim-User: mallory", "X-Claim-User: victim", "X-Claim-Hash: " + hash},
		{"X-Claim-User: mallory, victim", "X-Claim-Hash: " + hash},
		{"X-Claim-User: victim\xff", "X-Claim-Hash: " + hash},
		{"X-Claim-User: victim"},
		{"Connection: X-Claim-Hash", "X-Claim-User: victim", "X-Claim-Hash: " + hash},
		{"Cookie: uid=victim; sig=" + hash},
		{"Cookie: uid=mallory; uid=victim; sig=" + hash},
		{"Cookie: uid=mallory; sig=" + hash, "Cookie: uid=victim"},
		{"Cookie: uid=mallory; UID=victim; sig=" + hash},
		{"Cookie: uid=mallory; %75id=victim; sig=" + hash},
		{"Cookie: uid=mallory;uid=victim;sig=" + hash},
		{"Cookie: uid=\"victim\"; sig=" + hash},
		{"Cookie: uid=victim%zz; sig=" + hash},
		{"Cookie: uid=victim"},
		{"Cookie: uid=mallory; sig=" + hash, "X-Claim-User: victim"},
		{"X-Claim-User: mallory", "Cookie: uid=victim; sig=" + hash},
	} {
		a := attack{path: "/chat", headers: headers}
		answer := g.raw(t, a.text(g))
		s := g.upstream.take()
		if status := statusOf(answer); status < 200 || status >= 500 || s == nil != (status == 400) {
			t.Errorf("%q: %.200q", headers, answer)
		}
		if s != nil && (s.user() != "" || strings.Contains(fmt.Sprint(s.Header), "victim")) {
			t.Errorf("%q: %v", headers, s.Header)
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
		{"too large form", "/body", "Content-Type: multipart/form-data; boundary=a\r\nContent-Length: 10000000\r\n\r\n", 413},
		{"encoded", "/body", "Content-Encoding: gzip\r\nContent-Length: 10000000\r\n\r\n", 415},
		{"encoded, chunked", "/body", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 415},
		{"encoded, chunked, nothing sent", "/body", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 415},
		{"two types", "/body", "Content-Type: a/b\r\nContent-Type: c/d\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
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
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
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
		for _, body := range []string{`{"a":` + large, strings.Repeat(" ", 3<<20)} {
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
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, _ = io.ReadAll(c)
	}
	return string(answer)
}

// logged runs a site whose logs go to a file, and returns a way to read it.
func logged(t *testing.T, level, site string) (*gateway, func() []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := start(t, "log {\noutput file "+file+"\nformat json\nlevel "+level+"\n}\nservers {\ntrace\n}", site)
	return g, func() []string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

const ourLogger = `"logger":"http.handlers.chat_identity"`

// TestLogsHoldNoSecrets: no line of this module holds a signature, a secret or
// anything of the user, and no line of Caddy's, traces included, a secret.
func TestLogsHoldNoSecrets(t *testing.T) {
	g, lines := logged(t, "DEBUG", `chat_identity /chat required {
		secret {env.TEST_SECRET} a-literal-secret-of-the-operator
	}
	chat_identity /error required {
		secret {env.TEST_SECRET}
		refuse error
	}
	chat_identity optional {
		secret {env.TEST_SECRET}
	}
	reverse_proxy UPSTREAM`)
	metadata := `,"user_metadata":{"email":"zoe@example.com","name":"Zoë Private"}}`
	bodies := []string{
		strings.TrimSuffix(claim("zoe"), "}") + metadata,
		`{"user_id":"zoe-private","user_hash":"` + sign("ada") + `"` + metadata,
		`{"user_id":"zoe-private","user_hash":"` + signWith("zoe-private", testSecret) + `"` + metadata, // key and message swapped
		`{"user_id":"zoe-private","user_hash":"` + sign("zoe@example.com") + `"` + metadata,             // the e-mail was signed
		`{"user_id":"zoe-private"` + metadata,
		`{"user_id":{"zoe-private":1}` + metadata,
		`{"user_id":"zoe-private","user_id":"x"` + metadata,
		`{"user_id":"zoe-private",`,
		`{"user_id":"zoe","user_hash":"` + sign("zoe") + `","user_metadata":{"x":"` + strings.Repeat("private", 800) + `"}}`,
	}
	for _, path := range []string{"/chat", "/error", "/other"} {
		for _, body := range bodies {
			g.do(t, "POST", path, body, jsonType)
		}
	}
	ours, traced, warned, told := 0, 0, false, false
	for _, line := range lines() {
		if strings.Contains(line, testSecret) || strings.Contains(line, "a-literal-secret") {
			t.Errorf("a secret in %.300s", line)
		}
		traced += strings.Count(line, `"logger":"http.handlers.trace"`) + strings.Count(line, `"module":{`)
		if !strings.Contains(line, ourLogger) {
			continue
		}
		ours++
		warned = warned || strings.Contains(line, "written into the configuration")
		told = told || strings.Contains(line, `"reason":"invalid","widget":"default","dialect":"bookbag","request_id":"`) && strings.Contains(line, `"status":401`)
		for _, private := range []string{"zoe@", "zoe-private", "Private", "private"} {
			if strings.Contains(line, private) {
				t.Errorf("%q in %s", private, line)
			}
		}
		if hexDigest.MatchString(line) {
			t.Errorf("a digest in %s", line)
		}
	}
	if ours < 5 || traced == 0 || !warned || !told {
		t.Errorf("%d lines, %d traced, literal secret warned of %v, forgery told %v: too few to prove anything", ours, traced, warned, told)
	}
}

// TestFloodOfForgeries: clients cannot fill the log. What is left out is counted.
func TestFloodOfForgeries(t *testing.T) {
	g, lines := logged(t, "INFO", "chat_identity required {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	forged := `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`
	type entry struct {
		Logger  string  `json:"logger"`
		Reason  string  `json:"reason"`
		Second  float64 `json:"ts"`
		LeftOut int     `json:"left_out"`
	}
	// What was left out in one second is told in the next.
	for deadline := time.Now().Add(20 * time.Second); ; {
		sent := 0
		for range 200 {
			g.post(t, forged)
			sent++
		}
		perSecond, left := make(map[int64]int), 0
		for _, line := range lines() {
			var e entry
			if json.Unmarshal([]byte(line), &e) == nil && e.Logger == "http.handlers.chat_identity" && e.Reason == "invalid" {
				perSecond[int64(e.Second)]++
				left += e.LeftOut
			}
		}
		for second, n := range perSecond {
			// A line may be written a moment after it was allowed.
			if n > 2*warningsPerSecond {
				t.Fatalf("%d lines in second %d", n, second)
			}
		}
		if left > 100 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v lines a second, %d left out", perSecond, left)
		}
	}
}

// TestConfigurationHidesSecrets: what an operator can look at shows where
// secrets come from, and what is provisioned shows none.
func TestConfigurationHidesSecrets(t *testing.T) {
	config, err := adapt("{\n" + globals + "\nchat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}\n}\n:80 {\nchat_identity {\nsecret {env.TEST_SECRET}\n}\n}")
	if err != nil || strings.Contains(string(config), testSecret) || strings.Count(string(config), "{env.TEST_SECRET}") != 2 {
		t.Errorf("%v %s", err, config)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{AppsRaw: caddy.ModuleMap{
		"chat_identity": json.RawMessage(`{"inline_widgets":[{"id":"shop","secrets":["{env.TEST_SECRET}","` + testSecret + `-two"]}]}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("chat_identity")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := ctx.LoadModuleByID("http.handlers.chat_identity", json.RawMessage(`{"secrets":["{env.TEST_SECRET}","`+testSecret+`-two"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{app, handler} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%s %+v %#v %v %s", text, value, value, value, value)
		if strings.Contains(all, testSecret) {
			t.Errorf("%T shows its secret: %s", value, all)
		}
	}
}

// TestLoadErrorsHideSecrets: nor does an error about a secret that is refused.
func TestLoadErrorsHideSecrets(t *testing.T) {
	t.Setenv("SHORT_SECRET", "hunter2hunter2")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"{env.SHORT_SECRET}", "{file." + file + "}", "hunter2hunter2"} {
		for _, caddyfile := range []string{
			":0 {\nchat_identity {\nsecret " + secret + "\n}\n}",
			"{\nchat_identity {\nwidget shop {\nsecret " + secret + "\n}\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}",
		} {
			err := validate(caddyfile)
			if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "shorter than 16 bytes") {
				t.Errorf("%s: %v", secret, err)
			}
		}
	}
}

// TestNamesAreNoSecrets: a placeholder that was misspelled, or that no shell or
// template has replaced, would be a secret that everybody can guess.
func TestNamesAreNoSecrets(t *testing.T) {
	for _, name := range []string{
		"env.CHAT_IDENTITY_SECRET", "$env.CHAT_IDENTITY_SECRET", "${env.CHAT_IDENTITY_SECRET}", "{{env.CHAT_IDENTITY_SECRET}}",
		"{env.CHAT_IDENTITY_SECRET", "env.CHAT_IDENTITY_SECRET}", "$env:CHAT_IDENTITY_SECRET", "ENV.CHAT_IDENTITY_SECRET",
		"{env.CHAT_IDENTITY}{env.SECRET}", "prefix-{env.CHAT_IDENTITY_SECRET}", "{ENV.CHAT_IDENTITY_SECRET}", " {env.CHAT_IDENTITY_SECRET} ",
		"file./run/secrets/chat", "{file./run/secrets/chat", "file./run/secrets/chat}", "$file./run/secrets/chat", "file:///run/secrets/chat",
		"file.chat-identity-secret", "{file.C:\\secrets\\chat.txt",
		"$CHAT_IDENTITY_SECRET", "${CHAT_IDENTITY_SECRET}", "${CHAT_IDENTITY_SECRET", "$CHAT_IDENTITY_SECRET}", "${chat_secret:-change me}",
		"{CHAT_IDENTITY_SECRET}", "{CHAT_IDENTITY_SECRET", "CHAT_IDENTITY_SECRET}", "{chat_identity_secret}",
		"{http.vars.secret}", "{vault.chat.secret", "$(cat /run/secrets/chat)", "{{ .Values.chatSecret }}",
		"%CHAT_IDENTITY_SECRET%", "<CHAT_IDENTITY_SECRET>", "<your secret goes here>",
	} {
		quoted, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NAME_AS_SECRET", name)
		for where, err := range map[string]error{
			"handler":     validate(":0 {\nchat_identity {\nsecret `" + name + "`\n}\n}"),
			"widget":      validate("{\nchat_identity {\nwidget shop {\nsecret `" + name + "`\n}\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}"),
			"JSON":        validateHandler(`{}`, `{"handler":"chat_identity","secrets":[`+string(quoted)+`]}`),
			"JSON widget": validateHandler(`{"inline_widgets":[{"id":"shop","secrets":[`+string(quoted)+`]}]}`, `{"handler":"chat_identity","widget":"shop"}`),
			"key":         validateHandler(`{"encryption_keys":[`+string(quoted)+`]}`, `{"handler":"chat_identity","widget":"shop"}`),
			"variable":    validate(":0 {\nchat_identity {\nsecret {env.NAME_AS_SECRET}\n}\n}"),
		} {
			if err == nil || !strings.Contains(err.Error(), "nothing has replaced") || strings.Contains(err.Error(), strings.TrimSpace(name)) {
				t.Errorf("%s as %s: %v", name, where, err)
			}
		}
	}
	for _, password := range []string{"{env.REDIS_PASSWORD", "env.REDIS_PASSWORD", "$REDIS_PASSWORD"} {
		store := `{"widgets":{"store":"redis","url":"redis://:` + password + `@localhost"},"encryption_keys":["` + widgets.NewEncryptionKey() + `"]}`
		if err := validateHandler(store, `{"handler":"chat_identity","widget":"shop"}`); err == nil || !strings.Contains(err.Error(), "nothing has replaced") {
			t.Errorf("password %s: %v", password, err)
		}
	}
}

// TestSecretsAreNoNames: what secrets look like is taken, punctuation or not.
func TestSecretsAreNoNames(t *testing.T) {
	secrets := []string{
		"correct horse battery staple", "correct.horse.battery.staple", "file.acorn.march.hut.lamp", "environment.of.the.file",
		"CORRECT_HORSE_BATTERY_STAPLE", "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "{ braces } within { it", "a {env.X} that is no placeholder",
		"$2a$10$N9qo8uLOickgx2ZMRZoMye", "<<<<<<<<>>>>>>>>", "100% of the users, %%", "a<b>c<d>e<f>g<h>", "$ecret-of-the-shop!", `{"kty":"oct","k":"abc"}`,
		"sk_live_51H8xZ2eZvKYlo2C", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "env-of-production-9f31", "profile./a/b/c/d/e",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		bytes := make([]byte, 16+random.IntN(32))
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		secrets = append(secrets, hex.EncodeToString(bytes), base64.StdEncoding.EncodeToString(bytes),
			base64.RawURLEncoding.EncodeToString(bytes), base32.StdEncoding.EncodeToString(bytes))
		for i := range bytes {
			bytes[i] = byte('!' + random.IntN('~'-'!'+1))
		}
		secrets = append(secrets, string(bytes))
	}
	for _, secret := range secrets {
		if err := checkLiterals([]string{secret}); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// validate does what `caddy validate` does.
func validate(caddyfile string) error {
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		return err
	}
	return caddy.Validate(&parsed)
}

// TestHeaderNamesFold: where Caddy lets headers with _ or . pass, as older
// versions do, they count as the one with - that a CGI-like backend takes them for.
func TestHeaderNamesFold(t *testing.T) {
	place := headerPlace{verifier.UserID, foldHeader("X-Claim-User")}
	for _, spelling := range spellings("X-Claim-User") {
		var reading verifier.Reading
		place.read(&http.Request{Header: http.Header{spelling: {"victim"}, "x-CLAIM_user": {"mallory"}}}, &reading)
		if reading.Plain() {
			t.Errorf("%q beside another spelling: %q", spelling, reading.Claim[verifier.UserID])
		}
	}
}

// TestSplitTokens: of one signed text, whichever way it is cut into user,
// nonce and timestamp, one token comes, and so one user.
func TestSplitTokens(t *testing.T) {
	var site strings.Builder
	for length := 31; length <= 33; length++ {
		fmt.Fprintf(&site, "handle /%d {\n%sreverse_proxy UPSTREAM\n}\n", length, oneTime("required", fmt.Sprint("nonce_length ", length)))
	}
	g := ledgered(t, site.String())
	send := func(text string, length, stamp int) string {
		t.Helper()
		user, nonce := len(text)-stamp-length, len(text)-stamp
		k := ticket{text[:user], text[user:nonce], text[nonce:], sign(text)}
		return verdict(t, g.do(t, "POST", fmt.Sprint("/", length), k.json(), jsonType))
	}
	for first := 31; first <= 33; first++ {
		k := newToken("zoe-and-ada")
		text := k.user + k.nonce + k.stamp
		want := text[:len(text)-10-first]
		if got := send(text, first, 10); got != want {
			t.Errorf("a nonce of %d: %s, want %s", first, got, want)
		}
		for length := 31; length <= 33; length++ {
			if got := send(text, length, 10); got != "403 replayed" {
				t.Errorf("first of %d, then of %d: %s", first, length, got)
			}
			for _, stamp := range []int{9, 11, 13} {
				if got := send(text, length, stamp); got != "400 malformed" && got != "401 expired" {
					t.Errorf("first of %d, then of %d with %d digits: %s", first, length, stamp, got)
				}
			}
		}
	}
	// Before it is used, the splits that are none neither pass nor spend it.
	k := newToken("zoe")
	for _, c := range []ticket{
		{"zo", "e" + k.nonce, k.stamp, k.signature}, {"zoe" + k.nonce[:1], k.nonce[1:], k.stamp, k.signature},
		{"zoe", k.nonce + k.stamp[:1], k.stamp[1:], k.signature}, {"zo", "e" + k.nonce[:31], k.nonce[31:] + k.stamp, k.signature},
		{"zoe" + k.nonce + k.stamp, "", "", k.signature},
	} {
		if got := verdict(t, g.do(t, "POST", "/32", c.json(), jsonType)); got != "400 malformed" && got != "401 partial" {
			t.Errorf("%+v: %s", c, got)
		}
	}
	for _, want := range []string{"zoe", "403 replayed"} {
		if got := verdict(t, g.do(t, "POST", "/32", k.json(), jsonType)); got != want {
			t.Errorf("the owner: %s, want %s", got, want)
		}
	}
}

// TestSplitTimestamp: a timestamp of ten digits before an id of digits reads as
// one of thirteen before another id. At no moment of its life may the signature
// be good for both, nor for the one who did not get it.
func TestSplitTimestamp(t *testing.T) {
	g := ledgered(t, `chat_identity required {
		secret {env.TEST_SECRET}
		message "{timestamp}{user_id}"
		claim timestamp body /at
		max_age 1s
		skew 0s
		one_time
	}
	reverse_proxy UPSTREAM`)
	begun := time.Now().Unix()
	stamp := fmt.Sprint(begun)
	body := func(at, user string) string {
		return fmt.Sprintf(`{"user_id":"%s","at":"%s","user_hash":"%s"}`, user, at, sign(stamp+"999456"))
	}
	for time.Now().Unix() < begun+3 {
		if got := verdict(t, g.post(t, body(stamp+"999", "456"))); got != "400 malformed" && got != "401 expired" {
			t.Fatalf("the signature of user 999456, %v after %s, is good for: %s", time.Since(time.Unix(begun, 0)), stamp, got)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestTimestampUnit: a token that was signed months ago, in milliseconds, for a
// user of his own choice, reads today as one in seconds for another, whose id is
// his and what his nonce begins with. Where the unit is known, it never does.
func TestTimestampUnit(t *testing.T) {
	g := start(t, "", "handle /either {\n"+snapengageIn("")+"}\nhandle /seconds {\n"+snapengageIn("seconds")+
		"}\nhandle /milliseconds {\n"+snapengageIn("milliseconds")+"}\n")
	now := fmt.Sprint(time.Now().Unix())
	const nonce = "ice0123456789abcdef0123456789abc"
	old := signedToken("al", nonce, "170"+now) // of the year 2023, in milliseconds
	cut := ticket{"alice", nonce[3:] + "170", now, old.signature}
	fresh := signedToken("zoe", nonce, now)
	milli := signedToken("zoe", nonce, fmt.Sprint(time.Now().UnixMilli()))
	for _, c := range []struct {
		path  string
		token ticket
		want  string
	}{
		{"/either", cut, "alice"}, // as the documentation says
		{"/milliseconds", cut, "400 malformed"},
		{"/milliseconds", old, "401 expired"},
		{"/milliseconds", fresh, "400 malformed"},
		{"/milliseconds", milli, "zoe"},
		{"/seconds", old, "400 malformed"},
		{"/seconds", milli, "400 malformed"},
		{"/seconds", fresh, "zoe"},
	} {
		if got := verdict(t, g.do(t, "POST", c.path, c.token.json(), jsonType)); got != c.want {
			t.Errorf("%s, %s of %s: %s, want %s", c.path, c.token.user, c.token.stamp, got, c.want)
		}
	}
}

// snapengageIn is a site whose timestamps count that unit, "" for either.
func snapengageIn(unit string) string {
	if unit != "" {
		unit = "timestamp_unit " + unit
	}
	return "chat_identity required {\ndialect snapengage\nsecret {env.TEST_SECRET}\n" + unit + "\n}\nreverse_proxy UPSTREAM\n"
}

// TestConversationSpellings: zoe has c1, victim's-conversation to everyone
// else. Mallory, with a claim of her own, names it in every way that some
// backend may read as its name; anonymous requests do, too. None arrives.
func TestConversationSpellings(t *testing.T) {
	const js, form = "application/json", "application/x-www-form-urlencoded"
	mallory := `"user_id":"mallory","user_hash":"` + sign("mallory") + `"`
	query := signedQuery("mallory")
	part := func(name, value string) string {
		return "------x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	multi := part("user_id", "mallory") + part("user_hash", sign("mallory"))
	type spelling struct {
		name, path, kind, body string
		headers                []string
	}
	for _, site := range []struct {
		option    string
		claim     spelling // zoe's
		spellings []spelling
	}{
		{"body /c", spelling{"", "/", js, in("c1", claim("zoe")), nil}, []spelling{
			{"as it is", "/", js, `{"c":"c1",` + mallory + `}`, nil},
			{"capitals", "/", js, `{"c":"C1",` + mallory + `}`, nil},
			{"escaped value", "/", js, `{"c":"\u00631",` + mallory + `}`, nil},
			{"escaped name", "/", js, `{"\u0063":"c1",` + mallory + `}`, nil},
			{"beside her own", "/", js, `{"c":"hers","c":"c1",` + mallory + `}`, nil},
			{"before her own", "/", js, `{"c":"c1","c":"hers",` + mallory + `}`, nil},
			{"beside null", "/", js, `{"c":null,"c":"c1",` + mallory + `}`, nil},
			{"beside the empty", "/", js, `{"c":"c1","c":"",` + mallory + `}`, nil},
			{"name in capitals", "/", js, `{"C":"c1",` + mallory + `}`, nil},
			{"name in capitals beside her own", "/", js, `{"c":"hers","C":"c1",` + mallory + `}`, nil},
			{"array", "/", js, `{"c":["c1"],` + mallory + `}`, nil},
			{"object", "/", js, `{"c":{"id":"c1"},` + mallory + `}`, nil},
			{"blank", "/", js, `{"c":" c1",` + mallory + `}`, nil},
			{"blank behind", "/", js, `{"c":"c1 ",` + mallory + `}`, nil},
			{"NUL", "/", js, `{"c":"c1\u0000",` + mallory + `}`, nil},
			{"line end", "/", js, `{"c":"c1\n",` + mallory + `}`, nil},
			{"soft hyphen", "/", js, `{"c":"c\u00ad1",` + mallory + `}`, nil},
			{"full width", "/", js, `{"c":"ｃ1",` + mallory + `}`, nil},
			{"half a pair", "/", js, `{"c":"c1\ud800",` + mallory + `}`, nil},
			{"as text", "/", "text/plain", `{"c":"c1",` + mallory + `}`, nil},
			{"without a type", "/", "", `{"c":"c1",` + mallory + `}`, nil},
			{"second document", "/", js, `{` + mallory + `}{"c":"c1"}`, nil},
			{"JSON as form", "/", form, `{` + mallory + `,"a":"&c=c1&"}`, nil},
			{"form", "/", form, "c=c1&" + query, nil},
			{"form beside her own", "/", form, "c=hers&c=c1&" + query, nil},
			{"form, array", "/", form, "c[]=c1&" + query, nil},
			{"form, array beside her own", "/", form, "c=hers&c[]=c1&" + query, nil},
			{"form, index", "/", form, "c[0]=c1&" + query, nil},
			{"form, capitals", "/", form, "C=c1&" + query, nil},
			{"form, escaped name", "/", form, "%63=c1&" + query, nil},
			{"form, escaped value", "/", form, "c=%631&" + query, nil},
			{"form, blank", "/", form, "+c=c1&" + query, nil},
			{"form, NUL", "/", form, "c%00=c1&" + query, nil},
			{"form, semicolon", "/", form, "a=1;c=c1&" + query, nil},
			{"form, bad escape", "/", form, "c=c1%&" + query, nil},
			{"multipart", "/", boundaryType, multi + part("c", "c1") + "------x--\r\n", nil},
			{"multipart beside her own", "/", boundaryType, multi + part("c", "hers") + part("c", "c1") + "------x--\r\n", nil},
			{"multipart, file", "/", boundaryType, multi + strings.Replace(part("c", "c1"), `"c"`, `"c"; filename="c1"`, 1) + "------x--\r\n", nil},
			{"multipart, array", "/", boundaryType, multi + part("c[]", "c1") + "------x--\r\n", nil},
		}},
		{"body /meta/c", spelling{"", "/", js, `{"meta":{"c":"c1"},` + claim("zoe")[1:], nil}, []spelling{
			{"nested", "/", js, `{"meta":{"c":"c1"},` + mallory + `}`, nil},
			{"twice on the way", "/", js, `{"meta":{},"meta":{"c":"c1"},` + mallory + `}`, nil},
			{"capitals on the way", "/", js, `{"META":{"c":"c1"},` + mallory + `}`, nil},
			{"capitals on the way, beside", "/", js, `{"meta":{"c":"hers"},"Meta":{"c":"c1"},` + mallory + `}`, nil},
			{"nested, form", "/", form, "c=c1&" + query, nil},
			{"nested, form with brackets", "/", form, "meta[c]=c1&" + query, nil},
			{"nested, form with escaped brackets", "/", form, "meta%5Bc%5D=c1&" + query, nil},
			{"nested, form with brackets beside her own", "/", form, "c=hers&meta[c]=c1&" + query, nil},
			{"nested, multipart with brackets", "/", boundaryType, multi + part("meta[c]", "c1") + "------x--\r\n", nil},
		}},
		{"query c", spelling{"", "/?c=c1&" + signedQuery("zoe"), "", "", nil}, []spelling{
			{"query", "/?c=c1&" + query, "", "", nil},
			{"query, capitals", "/?c=C1&" + query, "", "", nil},
			{"query beside her own", "/?c=hers&c=c1&" + query, "", "", nil},
			{"query, name in capitals", "/?C=c1&" + query, "", "", nil},
			{"query, array", "/?c[]=c1&" + query, "", "", nil},
			{"query, escaped array", "/?c%5B%5D=c1&" + query, "", "", nil},
			{"query, semicolon", "/?a=1;c=c1&" + query, "", "", nil},
			{"query, escaped", "/?%63=%631&" + query, "", "", nil},
			{"query, blank", "/?c=c1+&" + query, "", "", nil},
			{"query, bad escape", "/?c=c1%zz&" + query, "", "", nil},
			{"query of an absolute URL", "http://127.0.0.1/?c=c1&" + query, "", "", nil},
		}},
		{"header X-Conversation", spelling{"", "/", js, claim("zoe"), []string{"X-Conversation: c1"}}, []spelling{
			{"header", "/", js, `{` + mallory + `}`, []string{"X-Conversation: c1"}},
			{"small letters", "/", js, `{` + mallory + `}`, []string{"x-conversation: C1"}},
			{"headers", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X-Conversation: c1"}},
			{"header and underscore", "/", js, `{` + mallory + `}`, []string{"X_Conversation: c1"}},
			{"header beside underscore", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X_Conversation: c1"}},
			{"header and dot", "/", js, `{` + mallory + `}`, []string{"X.Conversation: c1"}},
			{"header, list", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers, c1"}},
			{"header, empty first", "/", js, `{` + mallory + `}`, []string{"X-Conversation:", "X-Conversation: c1"}},
		}},
		{"cookie c", spelling{"", "/", js, claim("zoe"), []string{"Cookie: c=c1"}}, []spelling{
			{"cookie", "/", js, `{` + mallory + `}`, []string{"Cookie: c=c1"}},
			{"cookies", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers; c=c1"}},
			{"two lines of cookies", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers", "Cookie: c=c1"}},
			{"cookie in capitals", "/", js, `{` + mallory + `}`, []string{"Cookie: C=c1"}},
			{"cookie, escaped", "/", js, `{` + mallory + `}`, []string{"Cookie: c=%631"}},
			{"cookie, escaped name", "/", js, `{` + mallory + `}`, []string{"Cookie: %63=c1"}},
			{"cookie, array", "/", js, `{` + mallory + `}`, []string{"Cookie: c[]=c1"}},
			{"cookie, quoted", "/", js, `{` + mallory + `}`, []string{`Cookie: c="c1"`}},
		}},
		{"{header.X-Conversation}", spelling{"", "/", js, claim("zoe"), []string{"X-Conversation: c1"}}, []spelling{
			{"text", "/", js, `{` + mallory + `}`, []string{"X-Conversation: c1"}},
			{"text, two", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X-Conversation: c1"}},
			{"text, underscore", "/", js, `{` + mallory + `}`, []string{"X_Conversation: c1"}},
			{"text, list", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers,c1"}},
		}},
		{"{query.c}", spelling{"", "/?c=c1&" + signedQuery("zoe"), "", "", nil}, []spelling{
			{"text of a query", "/?c=c1&" + query, "", "", nil},
			{"text of a query, two", "/?c=hers&c=c1&" + query, "", "", nil},
			{"text of a query, capitals", "/?C=c1&" + query, "", "", nil},
			{"text of a query, array", "/?c[]=c1&" + query, "", "", nil},
			{"text of a query, bad escape", "/?c=c1%zz&" + query, "", "", nil},
		}},
		{"{cookie.c}", spelling{"", "/", js, claim("zoe"), []string{"Cookie: c=c1"}}, []spelling{
			{"text of a cookie", "/", js, `{` + mallory + `}`, []string{"Cookie: c=c1"}},
			{"text of a cookie, two", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers; c=c1"}},
			{"text of a cookie, capitals", "/", js, `{` + mallory + `}`, []string{"Cookie: C=c1"}},
			{"text of a cookie, escaped", "/", js, `{` + mallory + `}`, []string{"Cookie: c=%631"}},
		}},
	} {
		path := "ledger bolt " + filepath.Join(t.TempDir(), "ledger.db")
		for _, global := range []string{"", allowAll + "\n"} {
			allowed := strings.NewReplacer("X_* ", "X_* X_Conversation ", "X.* ", "X.* X.Conversation ").Replace(global)
			g := start(t, allowed+"chat_identity {\n"+path+"\n}", "chat_identity {\nsecret {env.TEST_SECRET}\nconversation "+site.option+"\n}\nreverse_proxy UPSTREAM")
			send := func(c spelling) (status int, arrived *seen) {
				t.Helper()
				a := attack{path: c.path, kind: c.kind, body: c.body, headers: c.headers}
				status = statusOf(g.raw(t, a.text(g)))
				return status, g.upstream.take()
			}
			if status, s := send(site.claim); status != 200 || s == nil || s.user() != "zoe" {
				t.Fatalf("%s: %d %+v", site.option, status, s)
			}
			anonymous := strings.NewReplacer(","+mallory, "", mallory+",", "", mallory, "", "&"+query, "", multi, "")
			for _, c := range site.spellings {
				t.Run(site.option+"/"+c.name, func(t *testing.T) {
					unsigned := c
					unsigned.path, unsigned.body = anonymous.Replace(c.path), anonymous.Replace(c.body)
					for who, c := range map[string]spelling{"mallory": c, "anonymous": unsigned} {
						status, s := send(c)
						if s != nil && !strings.Contains(fmt.Sprintf("%s %v %s", s.URI, s.Header, s.Body), "c1") {
							continue // Caddy has dropped the header that named it
						}
						if s != nil {
							t.Errorf("%s: %d, the upstream saw %s %q", who, status, s.URI, s.Body)
						} else if status != 400 && status != 403 {
							t.Errorf("%s: %d", who, status)
						}
					}
				})
			}
			if status, s := send(site.claim); status != 200 || s == nil || s.user() != "zoe" {
				t.Errorf("%s, afterwards: %d %+v", site.option, status, s)
			}
		}
	}
}

// TestConversationIDs: what is an id of a conversation, and what is not.
func TestConversationIDs(t *testing.T) {
	g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nconversation body /c\n}\nreverse_proxy UPSTREAM")
	send := func(user, c string) string {
		t.Helper()
		return verdict(t, g.post(t, `{"c":`+c+`,`+claim(user)[1:]))
	}
	long := strings.Repeat("x", 128)
	for c, others := range map[string][]string{
		`"a.B_c:d-9"`:      {`"a.b_c:d-9"`, `"A.B_C:D-9"`, `"\u0061.b_c:d-9"`},
		`42`:               {`"42"`, `42`},
		`"43"`:             {`43`},
		`-7`:               {`"-7"`},
		`9007199254740991`: {`"9007199254740991"`},
		`"` + long + `"`:   {`"` + strings.ToUpper(long) + `"`},
		`"constructor"`:    nil,
		`"."`:              nil,
		`0`:                {`"0"`},
	} {
		if got := send("zoe", c); got != "zoe" {
			t.Errorf("%.40s: %s", c, got)
		}
		for _, other := range append(others, c) {
			if got := send("ada", other); got != "403 conversation_claimed" {
				t.Errorf("%.40s, held as %.40s: %s", other, c, got)
			}
			if got := send("zoe", other); got != "zoe" {
				t.Errorf("%.40s, his own: %s", other, got)
			}
		}
	}
	for _, c := range []string{
		`"` + long + `x"`, `"a b"`, `"a/b"`, `"a%20b"`, `"ä"`, `"a\u0000"`, `"a,b"`, `"a+b"`, `"{a}"`, `"a\"b"`, `true`, `1.5`, `1e3`, `-0`, `9007199254740992`,
		`-9007199254740992`, `[]`, `{}`, `["a"]`, `"\ud800"`, `" "`, `"\u212a"`,
	} {
		if got := send("zoe", c); got != "400 malformed" {
			t.Errorf("%.40s: %s", c, got)
		}
		if got := verdict(t, g.post(t, `{"c":`+c+`}`)); got != "400 malformed" {
			t.Errorf("%.40s, anonymous: %s", c, got)
		}
	}
}

// TestOneTimeCutsOtherDialects: a widget that a one_time handler cannot speak to
// is an unknown one, of which nobody may read a claim either.
func TestOneTimeCutsOtherDialects(t *testing.T) {
	for name, directive := range map[string]string{
		"without": "chat_identity {\ndialect snapengage\nwidget {header.X-Widget-Key}\n}\n",
		"with":    "chat_identity {\ndialect snapengage\nwidget {header.X-Widget-Key}\none_time\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := live(t, "widget next {\nsecret {env.TEST_SECRET}\ndialect nextcap\n}\n"+ownLedger(t), directive+"reverse_proxy UPSTREAM")
			for _, widget := range []string{"next", "nobody"} {
				a := g.post(t, `{"userId":"victim","userHash":"`+sign("mallory")+`","text":"hi"}`, "X-Widget-Key: "+widget)
				if a.StatusCode != 200 || a.seen == nil || a.seen.user() != "" || a.seen.Body != `{"text":"hi"}` {
					t.Errorf("%s: %d %+v", widget, a.StatusCode, a.seen)
				}
			}
		})
	}
}

// TestNoBackendReadsATakenConversation: zoe has every conversation that the
// differential test's bodies name. Of those that arrive for mallory, no parser
// of a backend may read one.
func TestNoBackendReadsATakenConversation(t *testing.T) {
	taken := []string{"alice", "victim", "42", "1", "43"}
	g := ledgered(t, "chat_identity required {\nsecret {env.TEST_SECRET}\nclaim user_id header X-User\nclaim signature header X-Hash\nconversation body /cid\n}\nreverse_proxy UPSTREAM")
	for _, conversation := range taken {
		if got := verdict(t, g.post(t, `{"cid":"`+conversation+`"}`, "X-User: zoe", "X-Hash: "+sign("zoe"))); got != "zoe" {
			t.Fatalf("%s: %s", conversation, got)
		}
	}
	s := &differentialSite{names: []string{"cid"}, signature: "sig"}
	known := make(map[sample]bool)
	var survivors []question
	refused := 0
	for _, p := range s.samples(rand.New(rand.NewPCG(20, 26))) {
		if known[p] || p.chunked || strings.ContainsFunc(p.contentType, func(c rune) bool { return c < ' ' && c != '\t' }) {
			continue // a client cannot send it, or has
		}
		known[p] = true
		headers := []string{"X-User: mallory", "X-Hash: " + sign("mallory")}
		if p.contentType != "" {
			headers = append(headers, "Content-Type: "+p.contentType)
		}
		a := g.do(t, "POST", "/chat", p.body, headers...)
		switch {
		case a.StatusCode >= 500:
			t.Errorf("%d for type %q, body %q", a.StatusCode, p.contentType, p.body)
		case a.seen == nil:
			refused++
		default:
			kind := a.seen.Header.Get("Content-Type")
			survivors = append(survivors, question{kindOf(kind), kind, []byte(a.seen.Body), s.paths(), s.names})
		}
	}
	t.Logf("%d arrived, %d were refused", len(survivors), refused)
	if len(survivors) < 300 || refused < 300 {
		t.Error("too few of a kind to prove anything")
	}
	for name, b := range startBackends(t) {
		failures := 0
		for i := range survivors {
			q := &survivors[i]
			answer, err := b.ask(q)
			if err != nil {
				t.Fatalf("%s, asked about %q: %v", name, q.Body, err)
			}
			for parser, values := range answer {
				for _, value := range values { // behind a letter for its type
					if failures < 5 && slices.Contains(taken, strings.ToLower(value[1:])) {
						failures++
						t.Errorf("%s reads zoe's %q: type %q, body %q", parser, value, q.Type, q.Body)
					}
				}
			}
		}
	}
}

// hostile is what an attacker would like a page, a log or a scrape to take for
// its own. The mark is in no text of ours.
var hostile = []string{
	`<img src=x onerror=alert('m4rk')>`,
	`</script><script>m4rk()</script>`,
	"m4rk\n{\"level\":\"error\"}\r\nm4rk",
	"\x1b[2J\x1b]0;m4rk\x07",
	`m4rk",reason="verified"} 1 #`,
	`m4rk{label="x"}\n`,
	"=m4rk|calc'!A1",
	strings.Repeat("m4rk", 2000),
}

// sendHostile sends the text in every field that a client controls.
func sendHostile(t *testing.T, g *gateway, text string) {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	q, escaped := string(quoted), url.QueryEscape(text)
	head := strings.Map(func(r rune) rune {
		if r < ' ' {
			return '~' // Go's client sends no other
		}
		return r
	}, text)
	forged := sign("somebody else")
	for _, body := range []string{
		`{"user_id":` + q + `,"user_hash":"` + forged + `","user_metadata":{"email":` + q + `,"name":` + q + `}}`,
		`{"user_id":"ada","user_hash":` + q + `}`,
		`{"user_id":[` + q + `]}`,
		`{"user_id":` + q + `}`,
		`{` + q + `:` + q + `,"user_id":1,"USER_ID":` + q + `,"user_hash":"` + forged + `"}`,
		`{"userId":` + q + `,"userHash":"` + forged + `","key":` + q + `}`,
		`{"id":` + q + `,"signature":"` + forged + `","traits":{` + q + `:` + q + `}}`,
		`{"user_id":` + q + `,"hmacNonce":` + q + `,"hmacTimestamp":` + q + `,"hmacSignature":` + q + `}`,
		q,
		text,
	} {
		for _, path := range []string{"/chat", "/query?user_id=" + escaped + "&user_hash=" + escaped + "&" + escaped + "=" + escaped, "/inviaro", "/snap", "/" + url.PathEscape(text)} {
			if len(path) > 6000 {
				continue // beyond what Caddy takes
			}
			g.do(t, "POST", path, body, jsonType, "X-Widget-Key: "+head, "User-Agent: "+head, "X-Forwarded-For: "+head, "Cookie: a="+url.QueryEscape(head))
			g.do(t, "POST", path, body, "Content-Type: "+head, "X-Widget-Key: shop", "X-Request-Id: "+head)
			g.do(t, "POST", path, body, jsonType, "X-Widget-Key: shop", "Referer: "+head)
		}
	}
}

const manyKinds = `chat_identity /inviaro {
	dialect inviaro
}
chat_identity /snap required {
	widget {header.X-Widget-Key}
	dialect snapengage
}
chat_identity /query required {
	secret {env.TEST_SECRET}
}
` + liveSite

// TestNothingOfClientsIsTold: whatever a client sends, metrics, stats, readiness
// and this module's log lines hold words of ours alone.
func TestNothingOfClientsIsTold(t *testing.T) {
	countAnew(t, time.Now)
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := newLive(t, "", manyKinds)
	g.config = strings.Replace(g.config, "{\n", "{\nlog {\noutput file "+file+"\nformat json\nlevel DEBUG\n}\n", 1)
	g.config = strings.Replace(g.config, "chat_identity /inviaro", "log\nchat_identity /inviaro", 1)
	load(t, g.config)
	g.create(t, `{"id":"shop"}`)
	for _, text := range hostile {
		sendHostile(t, g, text)
	}
	places := map[string]string{}
	for _, path := range []string{"stats", "overview", "overview?view=all", "widgets/shop/readiness", "widgets/default/readiness", "widgets"} {
		c := g.call(t, "GET", path, "")
		if c.status != 200 {
			t.Errorf("%s: %d %s", path, c.status, c.body)
		}
		places[path] = c.body
	}
	response, err := adminHTTP.Get("http://" + g.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	places["metrics"] = string(metrics)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines, fields := 0, 0
	for line := range strings.Lines(string(log)) {
		var entry struct {
			Logger string          `json:"logger"`
			Ours   json.RawMessage `json:"chat_identity"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if entry.Logger == "http.handlers.chat_identity" {
			lines++
			places["log"] += line
		}
		if entry.Ours != nil {
			fields++
			places["access log"] += string(entry.Ours)
		}
	}
	if lines < 5 || fields < 100 {
		t.Errorf("%d lines and %d fields prove nothing", lines, fields)
	}
	for name, text := range places {
		for _, bad := range []string{"m4rk", "M4RK", "onerror", "\x1b", `\u001b`, `\u003c`, "<img"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q: %.2000s", name, bad, text)
			}
		}
	}
	for _, want := range []string{`"reason":"invalid"`, `"reason":"malformed"`, `"reason":"partial"`} {
		if !strings.Contains(places["widgets/shop/readiness"], want) {
			t.Errorf("the attacks did not reach it: no %s in %s", want, places["widgets/shop/readiness"])
		}
	}
}

// TestSeriesOfAFlood: a flood of made-up widgets, users and dialects makes no
// series, and no widget in the stats.
func TestSeriesOfAFlood(t *testing.T) {
	countAnew(t, time.Now)
	g := live(t, "", manyKinds)
	g.create(t, `{"id":"shop"}`)
	for _, text := range hostile {
		sendHostile(t, g, text)
	}
	count := func() (series, widgets int) {
		var stats struct{ Widgets []any }
		g.askInto(t, "stats", &stats)
		return len(g.scrape(t)), len(stats.Widgets)
	}
	series, widgets := count()
	for i := range 5 {
		sendHostile(t, g, fmt.Sprintf("w-%d.%d", i, rand.Uint64()))
	}
	if s, w := count(); s != series || w != widgets {
		t.Errorf("%d series became %d, %d widgets %d", series, s, widgets, w)
	}
	t.Logf("%d series, %d widgets", series, widgets)
}

// TestForgeriesOfManyWidgets: a flood of forgeries for a thousand widgets takes
// what a first wave took, and no more.
func TestForgeriesOfManyWidgets(t *testing.T) {
	countAnew(t, time.Now)
	g := live(t, "", liveSite)
	g.fill(t, traffic.MaxShown)
	wave := func() uint64 {
		for i := range traffic.MaxShown {
			g.post(t, `{"user_id":"zoe","user_hash":"`+sign(fmt.Sprint(i))+`"}`, fmt.Sprintf("X-Widget-Key: w-%05d", i))
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	wave()
	first := wave()
	wave()
	last := wave()
	// Five examples and a hint of each widget, and what the cache of keys takes.
	if last > first+4<<20 {
		t.Errorf("%d bytes became %d", first, last)
	}
	t.Logf("%.1f MB after the second wave, %.1f MB after the fourth", float64(first)/(1<<20), float64(last)/(1<<20))
}
