package caddymodule

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
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
					answer, s := c.send(t, g)
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

// send sends the request. A kind of OPTIONS is a method, and no type.
func (a *attack) send(t testing.TB, g *gateway) (answer string, s *seen) {
	t.Helper()
	method, headers := "POST", a.headers
	switch a.kind {
	case "":
	case "OPTIONS":
		method = a.kind
	default:
		headers = append([]string{"Content-Type: " + a.kind}, headers...)
	}
	answer = g.raw(t, g.wire(method, a.path, a.body, headers...))
	return answer, g.upstream.take()
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
	jsonBody, formBody := claim("zoe"), "user_id=zoe&text=a+b&user_hash="+sign("zoe")
	multi := "--b\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nzoe\r\n--b\r\nContent-Disposition: form-data; name=\"user_hash\"\r\n\r\n" + sign("zoe") + "\r\n--b--\r\n"
	head := " HTTP/1.1\r\nHost: " + g.host() + "\r\nConnection: close\r\nX-Verified-User: mallory\r\n"
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
	for range 2000 {
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
	if answers[200] < 150 || answers[400] < 150 || verified < 50 {
		t.Errorf("too few of a kind to prove anything: %v, %d verified", answers, verified)
	}
}

// mutated sends a request that may be incomplete: either it stops there, or more
// follows until there is an answer.
func (g *gateway) mutated(t *testing.T, text string, stop bool) string {
	t.Helper()
	if stop {
		return g.halfClosed(t, text)
	}
	c := g.dial(t)
	defer c.Close()
	g.upstream.take()
	_, _ = io.WriteString(c, text+"\r\n\r\n"+strings.Repeat("x", 300))
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // if it waits for more, or for the next request
	answer, _ := io.ReadAll(c)
	if len(answer) == 0 {
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(patience))
		answer, _ = io.ReadAll(c)
	}
	return string(answer)
}
