package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// headerAttacks are on the header fields of a request.
func headerAttacks() []attack {
	victim := `"user_id":"victim"`
	const js = "application/json"
	return []attack{
		{"two types", "/chat", js, `{` + victim + `}`, []string{"Content-Type: text/plain"}},
		{"bad type", "/chat", "application/json; charset=utf-8; charset=utf-16", `{` + victim + `}`, nil},
		{"long type beyond ASCII", "/chat", "multipart/form-data; x=\"" + strings.Repeat("\u212a", 40) + "\"; boundary=a", "--a--", nil},
		{"compressed", "/chat", js, `{` + victim + `}`, []string{"Content-Encoding: gzip"}},
		{"our headers", "/chat", js, `{}`, []string{"X-Verified-User: victim", "X_Verified_User: victim", "x-verified-user: victim", "X.Verified.User: victim",
			"X-Verified-Widget: victim", "X-Identity-Outcome: victim", "X-Identity-Email: victim", "Trailer: X-Verified-User"}},
		{"our headers and the connection", "/chat", js, `{}`, []string{"X-Verified-User: victim", "Connection: close, X-Verified-User"}},
		{"preflight", "/chat?user_id=victim", "OPTIONS", "", []string{"Origin: https://example.com", "Access-Control-Request-Method: GET"}},
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
		answer, s := a.send(t, g)
		if status := statusOf(answer); status < 200 || status >= 500 || s == nil != (status == 400) {
			t.Errorf("%q: %.200q", headers, answer)
		}
		if s != nil && (s.user() != "" || strings.Contains(fmt.Sprint(s.Header), "victim")) {
			t.Errorf("%q: %v", headers, s.Header)
		}
	}
}

// TestHeaderNamesFold: where Caddy lets headers with _ or . pass, as older
// versions do, they count as the one with - that a CGI-like backend takes them for.
func TestHeaderNamesFold(t *testing.T) {
	place := intake.NewHeader(verifier.Place{Field: verifier.UserID, Name: "X-Claim-User"})
	for _, spelling := range spellings("X-Claim-User") {
		var reading verifier.Reading
		place.Read(http.Header{spelling: {"victim"}, "x-CLAIM_user": {"mallory"}}, &reading)
		if reading.Plain() {
			t.Errorf("%q beside another spelling: %q", spelling, reading.Single(verifier.UserID))
		}
	}
}

// TestRenamedEverywhere: a header name of one handler is removed by all handlers of
// its site, whatever block they are in.
func TestRenamedEverywhere(t *testing.T) {
	const named = "chat_identity optional {\nsecret {env.TEST_SECRET}\nheader user X-User\n}\n"
	const proxy = "reverse_proxy UPSTREAM\n"
	for name, site := range map[string]string{
		"another block":     "handle /chat* {\n" + named + proxy + "}\nhandle {\nchat_identity off\n" + proxy + "}",
		"error routes":      "request_body /other {\nmax_size 1\n}\n" + named + proxy + "handle_errors {\nchat_identity off\n" + proxy + "}",
		"a nested block":    "chat_identity /chat* {\nsecret {env.TEST_SECRET}\nheader user X-Login\n}\nhandle /chat* {\n" + named + proxy + "}\nhandle {\n" + proxy + "}",
		"a guard elsewhere": "handle /chat* {\n" + named + proxy + "}\nhandle {\nchat_identity /none* {\nsecret {env.TEST_SECRET}\n}\n" + proxy + "}",
	} {
		g := start(t, "", site)
		headers := []string{"X-User: victim", "x_user: victim"}
		if name == "a nested block" {
			headers = append(headers, "X-Login: victim")
		}
		arrived := 0
		for _, path := range []string{"/chat", "/other"} {
			a := g.do(t, "POST", path, "some text", headers...)
			if a.seen == nil {
				continue // refused
			}
			arrived++
			if text := fmt.Sprint(a.seen.Header); strings.Contains(text, "victim") {
				t.Errorf("%s, %s: %s", name, path, text)
			}
		}
		if arrived == 0 {
			t.Errorf("%s: nothing arrived", name)
		}
	}
}

// TestTrailersOfPlaces: what is read from a header is watched in the trailer, too,
// whether or not the body is read, and in every spelling: no trailer arrives.
func TestTrailersOfPlaces(t *testing.T) {
	g := ledgered(t, "chat_identity /chat* {\nsecret {env.TEST_SECRET}\nclaim user_id header X-Claim-User\nclaim signature header X-Claim-Hash\nconversation header X-Conversation\n}\nreverse_proxy UPSTREAM")
	for _, path := range []string{"/chat", "/other"} {
		for _, kind := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded"} {
			for _, announced := range [][]string{nil, {"Trailer: X-Claim-User, x_claim_user, X-Conversation"}} {
				answer := g.raw(t, g.wire("POST", path, "2\r\n{}\r\n0\r\nX-Claim-User: victim\r\nx_claim_user: victim\r\nX.Claim.User: victim\r\nX-Conversation: victims\r\n\r\n",
					append(announced, "X-Claim-User: zoe", "X-Claim-Hash: "+sign("zoe"), "Content-Type: "+kind, "Transfer-Encoding: chunked")...))
				s := g.upstream.take()
				if statusOf(answer) != 200 || s == nil || path == "/chat" && s.user() != "zoe" || len(s.Trailer) > 0 || strings.Contains(fmt.Sprint(s.Header), "victim") {
					t.Errorf("%s %s %q: %.200q %+v", path, kind, announced, answer, s)
				}
			}
		}
	}
}

// TestConcurrentUsers: what is reused between requests carries nothing over.
func TestConcurrentUsers(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\n}")
	g.answers(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Verified-User")+" "+r.Header.Get("X-Identity-Email")+" "+r.Header.Get("X-Identity-Outcome"))
	})
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
