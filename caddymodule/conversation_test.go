package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// conversing is a directive whose requests name a conversation in their body.
func conversing(mode, options string) string {
	return "chat_identity " + mode + " {\nsecret {env.TEST_SECRET}\nconversation body /c\n" + options + "\n}\n"
}

// in returns a JSON body that names a conversation, too.
func in(conversation, body string) string {
	return strings.Replace(body, "{", `{"c":"`+conversation+`",`, 1)
}

// say posts as a user of bookbag's, in a conversation.
func (g *gateway) say(t testing.TB, user, conversation string, headers ...string) *answered {
	t.Helper()
	return g.post(t, in(conversation, claim(user)), headers...)
}

// answersWith has the upstream answer with a status.
func (g *gateway) answersWith(status int) {
	g.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// heldUntil returns until when the ledger of the running gateway has the
// conversation of the handler's only widget, the zero time where nobody does.
func heldUntil(t *testing.T, conversation string) time.Time {
	t.Helper()
	app := active(t)
	entry, err := app.ledger.Held(t.Context(), ledger.Key(ledgerDigest(kindConversation, defaultWidget, []byte(conversation))))
	must(t, err)
	return entry.Until
}

// TestConversation goes through who asks, for whose conversation, in which mode.
func TestConversation(t *testing.T) {
	var site strings.Builder
	for _, mode := range []string{"off", "optional", "required"} {
		fmt.Fprintf(&site, "handle /%s {\nchat_identity %[1]s {\ndialect snapengage\nwidget {header.X-Widget-Key}\nconversation body /c\n}\nreverse_proxy UPSTREAM\n}\n", mode)
	}
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\n"+ownLedger(t), site.String())
	forged := func() string { k := newToken("zoe"); k.signature = sign("zoe"); return k.json() }
	asks := []struct {
		who, widget string
		body        func() string
		optional    string // where nothing is against it
		required    string
	}{
		{"verified", "shop", func() string { return newToken("zoe").json() }, "zoe", "zoe"},
		{"anonymous", "shop", func() string { return `{"text":"hi"}` }, "anonymous missing", "401 missing"},
		{"partial", "shop", func() string { return `{"user_id":"zoe","text":"hi"}` }, "anonymous partial", "401 partial"},
		{"invalid", "shop", forged, "invalid invalid", "403 invalid"},
		{"expired", "shop", func() string { return tokenAt("zoe", time.Now().Add(-time.Hour)).json() }, "expired expired", "401 expired"},
		{"unknown widget", "nobody", func() string { return newToken("zoe").json() }, "403 widget_unknown", "403 widget_unknown"},
		{"unknown widget, anonymous", "nobody", func() string { return `{"text":"hi"}` }, "403 widget_unknown", "401 missing"},
		{"no widget, anonymous", "", func() string { return `{"text":"hi"}` }, "403 widget_unknown", "401 missing"},
	}
	for i, ask := range asks {
		for _, mode := range []string{"off", "optional", "required"} {
			free, own, others := fmt.Sprintf("free-%d-%s", i, mode), fmt.Sprintf("own-%d-%s", i, mode), fmt.Sprintf("others-%d-%s", i, mode)
			send := func(who, widget, conversation string) string {
				t.Helper()
				return verdict(t, g.do(t, "POST", "/"+mode, in(conversation, who), jsonType, "X-Widget-Key: "+widget))
			}
			for user, conversation := range map[string]string{"zoe": own, "ada": others} {
				if a := g.do(t, "POST", "/required", in(conversation, newToken(user).json()), jsonType, "X-Widget-Key: shop"); verdict(t, a) != user {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
			}
			wants := map[string]string{free: ask.optional, own: "403 conversation_claimed", others: "403 conversation_claimed"}
			switch {
			case mode == "off":
				wants = map[string]string{free: "disabled", own: "disabled", others: "disabled"}
			case ask.who == "verified":
				wants[own] = "zoe"
			case ask.widget != "shop" && mode == "optional":
				wants = map[string]string{free: ask.optional, own: ask.optional, others: ask.optional}
			case mode == "required":
				wants = map[string]string{free: ask.required, own: ask.required, others: ask.required}
			}
			for conversation, want := range wants {
				for range 2 {
					equal(t, send(ask.body(), ask.widget, conversation), want, "%s, %s, %s", mode, ask.who, conversation)
				}
			}
			// Requests that are not verified claim nothing.
			if ask.who != "verified" && mode != "off" {
				if a := g.do(t, "POST", "/required", in(free, newToken("ada").json()), jsonType, "X-Widget-Key: shop"); verdict(t, a) != "ada" {
					t.Errorf("%s, %s has taken a conversation: %d %s", mode, ask.who, a.StatusCode, a.body)
				}
			}
		}
	}
	// Without a conversation, an unknown widget is what it always was.
	equal(t, verdict(t, g.do(t, "POST", "/optional", newToken("zoe").json(), jsonType, "X-Widget-Key: nobody")), "invalid widget_unknown", "without a conversation")
	for _, empty := range []string{`""`, "null"} {
		equal(t, verdict(t, g.do(t, "POST", "/optional", newToken("zoe").json(`"c":`+empty), jsonType, "X-Widget-Key: shop")), "zoe", "%s", empty)
	}
}

// TestConversationRefusal: the refusal says nothing of whose it is; the outcome
// is what the claim was found to be.
func TestConversationRefusal(t *testing.T) {
	const forged = `{"user_id":"zoe","user_hash":"no"}`
	g := ledgered(t, "handle /problem {\n"+conversing("optional", "")+"reverse_proxy UPSTREAM\n}\n"+
		"handle /status {\n"+conversing("optional", "reject conversation_claimed 409")+"reverse_proxy UPSTREAM\n}\n"+
		"handle {\n"+conversing("optional", "refuse error")+"reverse_proxy UPSTREAM\n}\n"+strings.Replace(errorSite, "FIRST", "chat_identity off", 1))
	equal(t, verdict(t, g.do(t, "POST", "/problem", in("c1", claim("mallory")), jsonType)), "mallory", "at first")
	for body, outcome := range map[string]string{claim("zoe"): "verified", `{"a":1}`: "anonymous", forged: "invalid"} {
		checkProblem(t, g.do(t, "POST", "/problem", in("c1", body), jsonType), 403, "conversation_claimed", "bookbag")
		checkProblem(t, g.do(t, "POST", "/status", in("c1", body), jsonType), 409, "conversation_claimed", "bookbag")
		a := g.do(t, "POST", "/error", in("c1", body), jsonType)
		if a.seen == nil || a.seen.Body != "" || a.Header.Get("X-Status") != "403" || a.Header.Get("X-Reason") != "conversation_claimed" || a.Header.Get("X-Outcome") != outcome {
			t.Errorf("%s: %d %v", body, a.StatusCode, a.Header)
		}
		if a.seen != nil && len(ourHeaders(a.seen)) > 0 {
			t.Errorf("%s: headers %v", body, ourHeaders(a.seen))
		}
	}
}

// TestConversationPlaces: wherever a request names its conversation.
func TestConversationPlaces(t *testing.T) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	signed := func(user string) string { return `{"user_id":"` + user + `","user_hash":"` + sign(user) + `"` }
	for _, c := range []struct {
		name, option string
		send         func(g *gateway, user, conversation string) *answered
	}{
		{"body", "body /c", func(g *gateway, user, c string) *answered { return g.say(t, user, c) }},
		{"body of another type", "body /c", func(g *gateway, user, c string) *answered {
			return g.do(t, "PUT", "/chat", in(c, claim(user)), "Content-Type: text/plain")
		}},
		{"body, number", "body /c", func(g *gateway, user, c string) *answered {
			return g.post(t, signed(user)+`,"c":`+strings.TrimPrefix(c, "c")+`}`)
		}},
		{"nested", "body /meta/chat~1id", func(g *gateway, user, c string) *answered {
			return g.post(t, signed(user)+`,"meta":{"a":[],"chat/id":"`+c+`"}}`)
		}},
		{"beside at", "body /c\nat /message/sender", func(g *gateway, user, c string) *answered {
			return g.post(t, `{"message":{"sender":`+claim(user)+`},"c":"`+c+`"}`)
		}},
		{"form", "body /meta/c", func(g *gateway, user, c string) *answered {
			return g.do(t, "POST", "/chat", "a=1&c="+c+"&"+signedQuery(user), form)
		}},
		{"form, escaped", "body /c", func(g *gateway, user, c string) *answered {
			return g.do(t, "POST", "/chat", "%63="+escapeAll(c)+"&"+signedQuery(user), form)
		}},
		{"multipart", "body /c", func(g *gateway, user, c string) *answered {
			return g.do(t, "POST", "/chat", formPart("c", c)+formPart("user_id", user)+formPart("user_hash", sign(user))+"------x--\r\n", "Content-Type: "+boundaryType)
		}},
		{"query", "query c", func(g *gateway, user, c string) *answered {
			return g.do(t, "GET", "/chat?a=1&c="+c+"&"+signedQuery(user), "")
		}},
		{"query, escaped", "query c", func(g *gateway, user, c string) *answered {
			return g.do(t, "GET", "/chat?%63="+escapeAll(c)+"&"+signedQuery(user), "")
		}},
		{"header", "header X-Conversation", func(g *gateway, user, c string) *answered {
			return g.post(t, claim(user), "x-conversation: "+c)
		}},
		{"cookie", "cookie c", func(g *gateway, user, c string) *answered {
			return g.post(t, claim(user), "Cookie: a=1; c="+c)
		}},
		{"cookie, escaped", "cookie c", func(g *gateway, user, c string) *answered {
			return g.post(t, claim(user), "Cookie: c="+escapeAll(c)+"; a=1")
		}},
		{"text of a header", "{header.X-Conversation}", func(g *gateway, user, c string) *answered {
			return g.post(t, claim(user), "X-Conversation: "+c)
		}},
		{"text of a query", "{query.c}", func(g *gateway, user, c string) *answered {
			return g.do(t, "GET", "/chat?c="+c+"&"+signedQuery(user), "")
		}},
		{"text of a cookie", "{cookie.c}", func(g *gateway, user, c string) *answered {
			return g.post(t, claim(user), "Cookie: c="+c)
		}},
		{"text of the path", "{path.1}", func(g *gateway, user, c string) *answered {
			return g.do(t, "POST", "/chats/"+c+"/messages", claim(user), jsonType)
		}},
		{"text of two", "{header.X-Room}:{query.c}", func(g *gateway, user, c string) *answered {
			return g.do(t, "POST", "/chat?c="+c, claim(user), jsonType, "X-Room: lobby")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nconversation "+c.option+"\n}\nreverse_proxy UPSTREAM")
			for i, step := range []struct{ user, conversation, want string }{
				{"zoe", "c1", "zoe"}, {"zoe", "c1", "zoe"}, {"ada", "c1", "403 conversation_claimed"}, {"ada", "c2", "ada"},
				{"zoe", "c2", "403 conversation_claimed"}, {"zoe", "c1", "zoe"},
			} {
				a := c.send(g, step.user, step.conversation)
				if got := verdict(t, a); got != step.want {
					t.Errorf("step %d: %s, want %s; %s", i, got, step.want, a.body)
				}
			}
		})
	}
	// A text with a missing part names nothing; it is not a conversation that all share.
	g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nconversation {header.X-Room}:{query.c}\n}\nreverse_proxy UPSTREAM")
	for _, user := range []string{"zoe", "ada"} {
		for _, headers := range [][]string{{jsonType}, {jsonType, "X-Room: lobby"}} {
			equal(t, verdict(t, g.do(t, "POST", "/chat", claim(user), headers...)), user, "%s %v", user, headers)
		}
	}
}

// escapeAll percent-encodes every byte.
func escapeAll(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02x", text[i])
	}
	return b.String()
}

// TestConversationWidgets: each widget has users and conversations of its own.
func TestConversationWidgets(t *testing.T) {
	g := live(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget help {\nsecret {env.TEST_SECRET}\n}\n"+ownLedger(t),
		"chat_identity {\nwidget {header.X-Widget-Key}\nconversation body /c\n}\nreverse_proxy UPSTREAM")
	for i, step := range []struct{ user, widget, want string }{
		{"zoe", "shop", "zoe"}, {"ada", "help", "ada"}, {"ada", "shop", "403 conversation_claimed"}, {"zoe", "help", "403 conversation_claimed"},
		{"zoe", "shop", "zoe"}, {"ada", "help", "ada"},
	} {
		equal(t, verdict(t, g.say(t, step.user, "c1", "X-Widget-Key: "+step.widget)), step.want, "step %d", i)
	}
	equal(t, g.post(t, `{"c":"c1"}`, "X-Widget-Key: shop").StatusCode, 403, "anonymous")
}

// TestConversationProvisional: what the upstream does not accept is nobody's
// again, and what it accepts is kept as long as is configured.
func TestConversationProvisional(t *testing.T) {
	dead := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	for _, keep := range []string{"", "30d", "25h", "24h", "1h"} {
		t.Run("keep "+keep, func(t *testing.T) {
			block, kept := "", 90*24*time.Hour
			if keep != "" {
				block = " {\nkeep " + keep + "\n}"
				kept = map[string]time.Duration{"30d": 720 * time.Hour, "25h": 25 * time.Hour, "24h": 24 * time.Hour, "1h": time.Hour}[keep]
			}
			guard := strings.Replace(conversing("", ""), "body /c", "body /c"+block, 1)
			g := ledgered(t, guard+"reverse_proxy /dead "+dead+"\nredir /moved /\nerror /failed 418\nreverse_proxy UPSTREAM\nhandle_errors {\nrespond {err.status_code}\n}")
			for i, c := range []struct {
				path   string
				status int
				kept   bool
			}{
				{"/chat", 200, true}, {"/chat", 201, true}, {"/chat", 204, true}, {"/chat", 206, true}, {"/chat", 299, true},
				{"/chat", 300, false}, {"/chat", 303, false}, {"/chat", 304, false}, {"/chat", 400, false}, {"/chat", 401, false},
				{"/chat", 404, false}, {"/chat", 409, false}, {"/chat", 422, false}, {"/chat", 500, false}, {"/chat", 503, false},
				{"/dead", 200, false}, {"/moved", 200, false}, {"/failed", 200, false},
			} {
				name := fmt.Sprintf("%s %d", c.path, c.status)
				conversation := fmt.Sprint("c", i)
				g.answersWith(c.status)
				r, err := http.NewRequest("POST", g.url+c.path, strings.NewReader(in(conversation, claim("zoe"))))
				must(t, err)
				r.Header.Set("Content-Type", "application/json")
				response, err := http.DefaultTransport.RoundTrip(r) // follows nowhere
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				_ = response.Body.Close()
				g.answersWith(200)
				until, now := heldUntil(t, conversation), time.Now()
				if off := until.Sub(now.Add(kept)); c.kept && (off < -time.Minute || off > time.Minute) || !c.kept && !until.IsZero() {
					t.Errorf("%s: it is held for %v, want %v", name, until.Sub(now).Round(time.Second), kept)
				}
				want := map[bool]string{true: "403 conversation_claimed", false: "ada"}[c.kept]
				equal(t, verdict(t, g.say(t, "ada", conversation)), want, "%s: another user", name)
			}
			// Once accepted, it stays claimed, whatever the next answers are.
			g.say(t, "zoe", "stays")
			for _, status := range []int{500, 404, 302} {
				g.answersWith(status)
				g.say(t, "zoe", "stays")
				equal(t, verdict(t, g.say(t, "ada", "stays")), "403 conversation_claimed", "a conversation that was accepted, and then a %d", status)
			}
		})
	}
}

// TestConversationUse: a conversation is kept since its last use, which is
// recorded once a day; a use that fails neither prolongs nor ends it.
func TestConversationUse(t *testing.T) {
	const day, kept = 24 * time.Hour, 90 * 24 * time.Hour
	g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
	app := active(t)
	key := ledger.Key(ledgerDigest(kindConversation, defaultWidget, []byte("c1")))
	zoe := ledger.Holder(ledgerDigest(kindUser, defaultWidget, []byte("zoe")))
	equal(t, verdict(t, g.say(t, "zoe", "c1")), "zoe", "at first")
	for _, c := range []struct {
		name    string
		ago     time.Duration // since the last use
		user    string
		status  int
		written bool
	}{
		{"an hour ago", time.Hour, "zoe", 200, false},
		{"a day ago", day + time.Minute, "zoe", 200, true},
		{"long ago", 80 * day, "zoe", 201, true},
		{"long ago, and the upstream fails", 80 * day, "zoe", 500, false},
		{"long ago, and the upstream refuses", 80 * day, "zoe", 404, false},
		{"long ago, by another", 80 * day, "ada", 200, false},
		{"long ago, by nobody", 80 * day, "", 200, false},
	} {
		before := time.Now().Add(kept - c.ago)
		if entry, err := app.ledger.Keep(t.Context(), key, zoe, before); err != nil || entry.Holder != zoe {
			t.Fatalf("%s: %v, %v", c.name, entry, err)
		}
		g.answersWith(c.status)
		if c.user == "" {
			g.post(t, `{"c":"c1"}`)
		} else {
			g.say(t, c.user, "c1")
		}
		want := before
		if c.written {
			want = time.Now().Add(kept)
		}
		if off := heldUntil(t, "c1").Sub(want); off < -time.Minute || off > time.Minute {
			t.Errorf("%s: it is held %v longer than expected", c.name, off)
		}
	}
}

// TestConversationClientGone: a client that leaves before its answer has taken nothing.
func TestConversationClientGone(t *testing.T) {
	g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
	arrived, end := make(chan struct{}), make(chan struct{})
	g.answers(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		select {
		case <-r.Context().Done():
		case <-end:
		}
	})
	defer close(end)
	c := g.dial(t)
	body := in("c1", claim("zoe"))
	c.write(fmt.Sprintf("POST /chat HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", strings.TrimPrefix(g.url, "http://"), len(body), body))
	<-arrived
	if until := heldUntil(t, "c1"); until.IsZero() || time.Until(until) > 3*time.Minute {
		t.Errorf("while the upstream thinks, it is held until %v", until)
	}
	c.Close()
	g.answersWith(200)
	eventually(t, "it is not released", func() bool { return verdict(t, g.say(t, "ada", "c1")) == "ada" })
}

// TestConversationAnswers: the final answer counts, and it counts at once.
func TestConversationAnswers(t *testing.T) {
	g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request)
		kept   bool
	}{
		{"early hints, then accepted", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusCreated)
		}, true},
		{"early hints, then refused", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusConflict)
		}, false},
		{"nothing said", func(http.ResponseWriter, *http.Request) {}, true},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) }, true},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		{"hangs up in the middle", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, true},
	} {
		g.answers(c.answer)
		conversation := strings.NewReplacer(" ", "-", ",", "").Replace(c.name)
		g.status(http.DefaultClient, in(conversation, claim("zoe")))
		g.answersWith(200)
		want := map[bool]string{true: "403 conversation_claimed", false: "ada"}[c.kept]
		equal(t, verdict(t, g.say(t, "ada", conversation)), want, "%s: another user", c.name)
	}
	// An event stream goes on; it has been accepted when it begins.
	end := make(chan struct{})
	g.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-end
	})
	defer close(end)
	response, err := http.Post(g.url+"/events", "application/json", strings.NewReader(in("stream", claim("zoe"))))
	must(t, err)
	defer response.Body.Close()
	event := make([]byte, 9)
	if _, err := io.ReadFull(response.Body, event); err != nil || string(event) != "data: 1\n\n" {
		t.Fatalf("%q, %v", event, err)
	}
	if until := heldUntil(t, "stream"); time.Until(until) < 80*24*time.Hour {
		t.Errorf("while it streams, it is held until %v", until)
	}
}

// TestConversationUploads: a conversation outside of the body is no reason to
// read it; one within is.
func TestConversationUploads(t *testing.T) {
	const header = "chat_identity required {\nsecret {env.TEST_SECRET}\nmax_body 1KiB\nclaim user_id header X-User\nclaim signature header X-Hash\n"
	g := ledgered(t, "handle /query {\n"+header+"conversation query c\n}\nreverse_proxy UPSTREAM\n}\nhandle {\n"+header+"conversation body /c\n}\nreverse_proxy UPSTREAM\n}")
	large := `{"c":"c1","text":"` + strings.Repeat("x", 1<<20) + `"}`
	for i, c := range []struct{ user, path, body, want string }{
		{"zoe", "/query?c=c1", large, "zoe"}, {"ada", "/query?c=c1", large, "403 conversation_claimed"}, {"ada", "/query?c=c2", large, "ada"},
		{"zoe", "/body", large, "413 too_large"}, {"ada", "/body", `{"c":"c1"}`, "403 conversation_claimed"}, {"zoe", "/body", `{"c":"c1"}`, "zoe"},
	} {
		a := g.do(t, "POST", c.path, c.body, jsonType, "X-User: "+c.user, "X-Hash: "+sign(c.user))
		if got := verdict(t, a); got != c.want || a.seen != nil && a.seen.Body != c.body {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
}

// TestConversationOverlap: of two requests of one user in a new conversation,
// whatever becomes of the other, the one that is accepted keeps it.
func TestConversationOverlap(t *testing.T) {
	for name, order := range map[string][2]int{"refused first": {500, 200}, "accepted first": {200, 500}} {
		t.Run(name, func(t *testing.T) {
			g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
			arrived := make(chan struct{}, 2)
			turns := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
			g.answers(func(w http.ResponseWriter, r *http.Request) {
				i := strings.IndexByte("01", r.URL.Path[1])
				arrived <- struct{}{}
				<-turns[i]
				w.WriteHeader(order[i])
			})
			client := manyClients(2)
			done := [2]chan int{make(chan int, 1), make(chan int, 1)}
			for i := range 2 {
				go func() {
					response, err := client.Post(fmt.Sprint(g.url, "/", i), "application/json", strings.NewReader(in("c1", claim("zoe"))))
					if err != nil {
						done[i] <- 0
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
					done[i] <- response.StatusCode
				}()
			}
			<-arrived
			<-arrived
			for i := range 2 {
				close(turns[i])
				if got := <-done[i]; got != order[i] {
					t.Fatalf("request %d: %d", i, got)
				}
			}
			g.answersWith(200)
			equal(t, verdict(t, g.say(t, "ada", "c1")), "403 conversation_claimed", "another user")
			if until := heldUntil(t, "c1"); time.Until(until) < 80*24*time.Hour {
				t.Errorf("it is held until %v", until)
			}
		})
	}
}

// TestConversationRace: of many users who name a new conversation at once, one
// has it.
func TestConversationRace(t *testing.T) {
	const users, conversations = 32, 15
	g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
	client := manyClients(users)
	var mu sync.Mutex
	let := make(map[string]int)
	g.answers(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		let[r.Header.Get("X-Verified-User")]++
	})
	for i := range conversations {
		mu.Lock()
		clear(let)
		mu.Unlock()
		var refused atomic.Int64
		var group sync.WaitGroup
		for u := range users {
			group.Go(func() {
				if g.status(client, in(fmt.Sprint("c", i), claim(fmt.Sprint("user-", u)))) == 403 {
					refused.Add(1)
				}
			})
		}
		group.Wait()
		mu.Lock()
		if len(let) != 1 || refused.Load() != users-1 {
			t.Errorf("conversation %d: %v were let in, %d refused", i, let, refused.Load())
		}
		mu.Unlock()
	}
}

// TestConversationRaceForNothing: while the upstream accepts nobody, nobody
// keeps anything, however many try.
func TestConversationRaceForNothing(t *testing.T) {
	const users = 16
	g := ledgered(t, conversing("", "")+"reverse_proxy UPSTREAM")
	client := manyClients(users)
	g.answersWith(500)
	var group sync.WaitGroup
	for u := range users {
		group.Go(func() {
			for range 10 {
				if status := g.status(client, in("c1", claim(fmt.Sprint("user-", u)))); status != 500 && status != 403 {
					t.Errorf("status %d", status)
				}
			}
		})
	}
	group.Wait()
	g.answersWith(200)
	equal(t, verdict(t, g.say(t, "zoe", "c1")), "zoe", "once it is accepted")
}

// TestConversationSurvives: a conversation that the upstream has accepted is
// its user's after kill -9.
func TestConversationSurvives(t *testing.T) {
	t.Parallel()
	p := newProcess(t, ownLedger(t), conversing("", "")+"reverse_proxy UPSTREAM")
	p.run(t)
	for i := range 3 {
		equal(t, verdict(t, p.say(t, "zoe", fmt.Sprint("c", i))), "zoe", "at first")
		p.kill(t)
		http.DefaultClient.CloseIdleConnections()
		p.run(t)
		for before := range i + 1 {
			for user, want := range map[string]string{"ada": "403 conversation_claimed", "zoe": "zoe"} {
				equal(t, verdict(t, p.say(t, user, fmt.Sprint("c", before))), want, "after kill %d: conversation %d for %s", i, before, user)
			}
		}
	}
}

// TestConversationReload: a reload forgets nothing, and what it changes counts
// from then on.
func TestConversationReload(t *testing.T) {
	g := newLive(t, ownLedger(t), conversing("", "")+"reverse_proxy UPSTREAM")
	load(t, g.config)
	throughReloads(t)
	for i := range 5 {
		g.say(t, "zoe", fmt.Sprint("c", i))
	}
	for _, limit := range []string{"5", "6"} {
		load(t, strings.Replace(g.config, "body /c", "body /c {\nlimit "+limit+"\n}", 1))
		want := map[string]string{"5": "403 conversation_claimed", "6": "zoe"}[limit]
		equal(t, verdict(t, g.say(t, "zoe", "new")), want, "limit %s", limit)
		for i := range 5 {
			equal(t, verdict(t, g.say(t, "zoe", fmt.Sprint("c", i))), "zoe", "limit %s, conversation %d", limit, i)
			equal(t, verdict(t, g.say(t, "ada", fmt.Sprint("c", i))), "403 conversation_claimed", "limit %s, conversation %d for another", limit, i)
		}
	}
}

// TestConversationUpgrade: a WebSocket takes part in a conversation, and one
// that is not upgraded does not.
func TestConversationUpgrade(t *testing.T) {
	u := websocketBackend(t)
	g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nconversation query c\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	for i, step := range []struct {
		user, conversation, upgrade string
		want                        int
	}{
		{"zoe", "c1", "websocket", 101}, {"ada", "c1", "websocket", 403}, {"", "c1", "websocket", 403}, {"zoe", "C1", "websocket", 101},
		{"", "c2", "websocket", 101}, {"zoe", "c2", "h2c", 418}, {"ada", "c2", "websocket", 101}, {"zoe", "c2", "websocket", 403},
	} {
		query := "?c=" + step.conversation
		if step.user != "" {
			query += "&" + signedQuery(step.user)
		}
		c, response := g.upgrade(t, "/ws"+query, step.upgrade)
		if response.StatusCode != step.want {
			t.Errorf("step %d: %d, want %d", i, response.StatusCode, step.want)
		} else if step.want == 101 {
			c.echoes(t, "conversation")
		}
	}
}

// TestConversationLimit: a user claims no more than his share, and refused claims do
// not count.
func TestConversationLimit(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	g, lines := logged(t, "INFO", strings.Replace(conversing("", ""), "body /c", "body /c {\nlimit 3\n}", 1)+"reverse_proxy UPSTREAM")
	g.answersWith(500)
	for i := range 10 {
		equal(t, verdict(t, g.say(t, "zoe", fmt.Sprint("failed-", i))), "zoe", "one that fails")
	}
	g.answersWith(200)
	for i := range 6 {
		want := "zoe"
		if i >= 3 {
			want = "403 conversation_claimed"
		}
		equal(t, verdict(t, g.say(t, "zoe", fmt.Sprint("c", i))), want, "conversation %d", i)
	}
	for i := range 3 {
		equal(t, verdict(t, g.say(t, "zoe", fmt.Sprint("C", i))), "zoe", "one of his")
	}
	equal(t, verdict(t, g.say(t, "ada", "c4")), "ada", "one that he did not get, for another")
	logged := false
	for _, line := range lines() {
		logged = logged || strings.Contains(line, ourLogger) && strings.Contains(line, `"reason":"conversation_claimed"`) && strings.Contains(line, "share is used up")
	}
	if !logged {
		t.Error("the log does not say that his share is used up")
	}
}

// TestConversationLimitAtOnce: nor does he get more with concurrent requests.
func TestConversationLimitAtOnce(t *testing.T) {
	const limit, asked = 5, 40
	g := ledgered(t, strings.Replace(conversing("", ""), "body /c", fmt.Sprintf("body /c {\nlimit %d\n}", limit), 1)+"reverse_proxy UPSTREAM")
	client := manyClients(asked)
	var accepted atomic.Int64
	var group sync.WaitGroup
	for i := range asked {
		group.Go(func() {
			if g.status(client, in(fmt.Sprint("c", i), claim("zoe"))) == 200 {
				accepted.Add(1)
			}
		})
	}
	group.Wait()
	if accepted.Load() != limit {
		t.Errorf("he got %d", accepted.Load())
	}
}

// TestConversationLedgerDown: while the ledger cannot say whose a conversation is,
// requests that name one are refused, and others are not.
func TestConversationLedgerDown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.WriteFile(path, []byte("damaged"), 0o600))
	g := live(t, "ledger bolt "+path, "handle /optional {\n"+conversing("optional", "")+"reverse_proxy UPSTREAM\n}\nhandle {\n"+conversing("required", "")+"reverse_proxy UPSTREAM\n}")
	const forged = `{"user_id":"zoe","user_hash":"no"}`
	for _, c := range []struct{ name, path, body, want string }{
		{"verified, none", "/", claim("zoe"), "zoe"},
		{"verified", "/", in("c1", claim("zoe")), "503 unavailable"},
		{"anonymous", "/", in("c1", `{"a":1}`), "401 missing"},
		{"forged", "/", in("c1", forged), "401 invalid"},
		{"verified, none, optional", "/optional", claim("zoe"), "zoe"},
		{"anonymous, none, optional", "/optional", `{"a":1}`, "anonymous missing"},
		{"verified, optional", "/optional", in("c1", claim("zoe")), "503 unavailable"},
		{"anonymous, optional", "/optional", in("c1", `{"a":1}`), "503 unavailable"},
		{"forged, optional", "/optional", in("c1", forged), "503 unavailable"},
		{"malformed, optional", "/optional", in("c 1", claim("zoe")), "400 malformed"},
	} {
		a := g.do(t, "POST", c.path, c.body, jsonType)
		equal(t, verdict(t, a), c.want, "%s", c.name)
		if a.StatusCode == 503 {
			checkProblem(t, a, 503, "unavailable", "bookbag")
			if a.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", c.name)
			}
		}
	}
	must(t, os.Rename(path, path+".damaged"))
	eventually(t, "it does not recover", func() bool { return verdict(t, g.say(t, "zoe", "c1")) == "zoe" })
	equal(t, verdict(t, g.say(t, "ada", "c1")), "403 conversation_claimed", "another user")
}

// TestConversationWidgetUnavailable: a claim that cannot be checked may be the
// conversation's own user's.
func TestConversationWidgetUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	ledger := ownLedger(t)
	site := "chat_identity {\nwidget {header.X-Widget-Key}\nconversation body /c\n}\nreverse_proxy UPSTREAM"
	g := live(t, "encryption_key {env.TEST_KEY}\nwidgets file "+path+"\n"+ledger, site)
	secret := g.create(t, `{"id":"shop"}`)
	body := strings.Replace(claim("zoe"), sign("zoe"), signWith(secret, "zoe"), 1)
	const shop = "X-Widget-Key: shop"
	equal(t, verdict(t, g.post(t, in("c1", body), shop)), "zoe", "at first")
	t.Setenv("ANOTHER_KEY", "YW5vdGhlci1lbmNyeXB0aW9uLWtleS0zMi1ieXRlcyE=")
	g = live(t, "encryption_key {env.ANOTHER_KEY}\nwidgets file "+path+"\n"+ledger, site)
	for name, c := range map[string]struct{ body, want string }{
		"none":            {body, "unavailable unavailable"},
		"his":             {in("c1", body), "503 unavailable"},
		"free":            {in("c2", body), "503 unavailable"},
		"anonymous":       {in("c1", `{"a":1}`), "403 conversation_claimed"},
		"anonymous, free": {in("c2", `{"a":1}`), "anonymous missing"},
	} {
		a := g.post(t, c.body, shop)
		equal(t, verdict(t, a), c.want, "%s", name)
		if a.seen != nil && name == "none" && (strings.Contains(a.seen.Body, "zoe") || !maps.Equal(ourHeaders(a.seen),
			map[string]string{"X-Identity-Outcome": "unavailable", "X-Identity-Reason": "unavailable"})) {
			t.Errorf("%s: %+v", name, a.seen)
		}
	}
}
