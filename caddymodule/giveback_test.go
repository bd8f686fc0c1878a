package caddymodule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// hangup takes connections, reads something and answers nothing.
func hangup(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadByte()
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// TestGivenBack: a one-time signature is free again where no upstream was reached,
// and only there. What is sent twice is answered by the status and, if refused here,
// the reason.
func TestGivenBack(t *testing.T) {
	const free, spent = "502 502", "502 403 replayed"
	once := oneTime("required", "")
	retry := "{\nlb_policy first\nlb_retries 1\nlb_retry_match {\nmethod POST\n}\nfail_duration 1m\n}"
	for _, test := range []struct {
		name, site, more, want string
		upstream               http.HandlerFunc
	}{
		{name: "dead", site: once + "reverse_proxy DEAD", want: free},
		{name: "dead, tried again", site: once + "reverse_proxy DEAD {\nlb_retries 2\n}", want: free},
		{name: "two, both dead", site: once + "reverse_proxy DEAD unix//nowhere.sock {\nlb_policy round_robin\nlb_retries 3\n}", want: free},
		{name: "dead, by TLS", site: once + "reverse_proxy https://DEAD", want: free},
		{name: "dead, by h2c", site: once + "reverse_proxy h2c://DEAD", want: free},
		{name: "dead, by FastCGI", site: once + "root * .\nreverse_proxy DEAD {\ntransport fastcgi\n}", want: free},
		{name: "dead, in a handle block", site: once + "handle /chat* {\nreverse_proxy DEAD\n}", want: free},
		{name: "dead, in a named route", site: once + "invoke proxy", more: "&(proxy) {\nreverse_proxy DEAD\n}", want: free},
		{name: "with a conversation", site: oneTime("required", "conversation header X-Conversation") + "reverse_proxy DEAD", want: free},
		{name: "hung up", site: once + "reverse_proxy HANGUP", want: spent},
		{name: "hung up, by TLS", site: once + "reverse_proxy https://HANGUP", want: spent},
		{name: "hung up, by h2c", site: once + "reverse_proxy h2c://HANGUP", want: spent},
		{name: "hung up, by FastCGI", site: once + "root * .\nreverse_proxy HANGUP {\ntransport fastcgi\n}", want: spent},
		{name: "one hung up, then a dead one", site: once + "reverse_proxy HANGUP DEAD " + retry, want: spent},
		{name: "one hung up, then a dead one, by FastCGI", site: once + "root * .\nreverse_proxy HANGUP DEAD {\ntransport fastcgi\n" + retry[2:], want: spent},
		{
			name: "one that was known hung up, then a dead one", site: once + "reverse_proxy UPSTREAM DEAD " + retry, want: spent,
			upstream: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/warm" {
					panic(http.ErrAbortHandler)
				}
			},
		},
		{name: "answered 502", site: once + "reverse_proxy UPSTREAM", want: spent, upstream: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }},
		{name: "asked another server first", site: "route {\n" + once + "forward_auth UPSTREAM {\nuri /auth\n}\nreverse_proxy DEAD\n}", want: spent},
		{name: "an error of its own", site: once + "error 502", want: spent},
		{name: "error routes that answer", site: once + "reverse_proxy DEAD\nhandle_errors {\nheader X-A b\nrespond 502\n}", want: free},
		{name: "error routes with a page", site: once + "reverse_proxy DEAD\nhandle_errors 502 {\nrewrite /x\nfile_server\nrespond 502\n}", want: free},
		{name: "error routes that proxy", site: once + "reverse_proxy DEAD\nhandle_errors {\nreverse_proxy UPSTREAM\n}", want: "200 zoe 403 replayed"},
		{name: "error routes that proxy by another", site: once + "reverse_proxy DEAD\nhandle_errors {\nreverse_proxy DEAD\n}", want: spent},
		{name: "error routes of another site", site: once + "reverse_proxy DEAD", more: "http://other.test:PORT {\nhandle_errors {\nreverse_proxy UPSTREAM\n}\n}", want: free},
		{name: "error routes of every site", site: once + "reverse_proxy DEAD", more: "http://:PORT {\nhandle_errors {\nreverse_proxy UPSTREAM\n}\n}", want: "200 zoe 403 replayed"},
		{name: "the host was changed", site: "request_header Host other.test\n" + once + "reverse_proxy DEAD", more: "http://other.test:PORT {\nhandle_errors {\nreverse_proxy UPSTREAM\n}\n}", want: "200 zoe 403 replayed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dead := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			g := newLive(t, ownLedger(t), test.site)
			at, _ := url.Parse(g.url)
			g.config = strings.NewReplacer("DEAD", dead, "HANGUP", hangup(t), "PORT", at.Port(),
				"UPSTREAM", strings.TrimPrefix(g.upstream.URL, "http://")).Replace(g.config + test.more)
			load(t, g.config)
			g.answers(test.upstream)
			k := newToken("zoe")
			if strings.Contains(test.name, "known") {
				g.do(t, "GET", "/warm?"+newToken("ann").query(), "")
			}
			var got []string
			for range 2 {
				if strings.Contains(test.name, "h2c") {
					// Without a body: by h2c, Caddy 2.11.9 reads its wrapper and closes it concurrently, which is a race.
					r := g.do(t, "GET", "/chat?"+k.query(), "")
					got = append(got, strings.TrimSpace(fmt.Sprint(r.StatusCode, " ", r.problem(t).Reason)))
				} else {
					got = append(got, g.fate(t, k))
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// fate sends a token and says what became of it: the status, and the user as whom
// it was forwarded or the reason of the refusal.
func (g *gateway) fate(t *testing.T, k ticket) string {
	t.Helper()
	answer := g.post(t, k.json(), "X-Conversation: c1")
	said := fmt.Sprint(answer.StatusCode, " ", answer.problem(t).Reason)
	if answer.StatusCode == 200 && answer.seen != nil {
		said += answer.seen.user()
	}
	return strings.TrimSpace(said)
}

// TestNotGivenBackWithinErrorRoutes: routes that handle the error and continue may
// still reach an upstream.
func TestNotGivenBackWithinErrorRoutes(t *testing.T) {
	g := newLive(t, ownLedger(t), oneTime("required", "")+fmt.Sprintf("reverse_proxy 127.0.0.1:%d", freePort(t)))
	text := adapted(t, g.config)
	var config map[string]any
	must(t, json.Unmarshal(text, &config))
	server := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["srv0"].(map[string]any)
	answer := []any{map[string]any{"handle": []any{map[string]any{"handler": "headers"}}}}
	server["routes"] = []any{map[string]any{"handle": []any{
		map[string]any{"handler": "subroute", "routes": server["routes"], "errors": map[string]any{"routes": answer}},
		map[string]any{"handler": "reverse_proxy", "upstreams": []any{map[string]any{"dial": strings.TrimPrefix(g.upstream.URL, "http://")}}},
	}}}
	text, err := json.Marshal(config)
	must(t, err)
	must(t, activate(text))
	t.Cleanup(func() { _ = caddy.Stop() })
	k := newToken("zoe")
	equal(t, g.fate(t, k)+", "+g.fate(t, k), "200 zoe, 403 replayed", "sent twice")
}

// TestGivenBackOnce: while a request is on its way, another with its signature is a
// replay, and what is free again goes to one of many.
func TestGivenBackOnce(t *testing.T) {
	const clients = 32
	g := newLive(t, ownLedger(t), oneTime("required", "")+"reverse_proxy UPSTREAM")
	live := g.config
	dead := strings.Replace(live, strings.TrimPrefix(g.upstream.URL, "http://"),
		fmt.Sprintf("127.0.0.1:%d {\nlb_try_duration 10m\nlb_try_interval 9m\n}", freePort(t)), 1)
	load(t, dead)
	arrived, client := g.arrivals(), manyClients(clients)
	defer client.CloseIdleConnections()
	k := newToken("zoe")
	send := func(n int) <-chan int {
		statuses := make(chan int, n)
		for range n {
			go func() { statuses <- g.status(client, k.json()) }()
		}
		return statuses
	}
	first := send(clients)
	for range clients - 1 {
		if status := <-first; status != 403 {
			t.Fatalf("beside one on its way: %d", status)
		}
	}
	// The proxy gives up when its configuration ends.
	load(t, live)
	if status := <-first; status != 502 {
		t.Fatalf("the one on its way: %d", status)
	}
	// The connections of the old configuration are being closed: a request on one
	// could fail before it arrives.
	client.CloseIdleConnections()
	again := send(clients)
	statuses := make(map[int]int)
	for range clients {
		statuses[<-again]++
	}
	if statuses[200] != 1 || statuses[403] != clients-1 || arrived.of("zoe") != 1 {
		t.Errorf("%v, arrived %d times", statuses, arrived.of("zoe"))
	}
}

// TestKilledBeforeGivenBack: what was not given back stays spent.
func TestKilledBeforeGivenBack(t *testing.T) {
	t.Parallel()
	p := newProcess(t, ownLedger(t), oneTime("required", "")+
		fmt.Sprintf("reverse_proxy 127.0.0.1:%d {\nlb_try_duration 10m\nlb_try_interval 9m\n}", freePort(t)))
	p.run(t)
	k, client := newToken("zoe"), manyClients(2)
	statuses := make(chan int, 2)
	for range 2 {
		go func() { statuses <- p.status(client, k.json()) }()
	}
	equal(t, <-statuses, 403, "beside the other") // so the other is on its way
	p.kill(t)
	<-statuses
	client.CloseIdleConnections()
	p.run(t)
	equal(t, p.status(client, k.json()), 403, "after the kill")
}

// TestGivenBackInFleet: what one gateway gives back is free at another.
func TestGivenBackInFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	dead := newProcess(t, options, oneTime("required", "")+fmt.Sprintf("reverse_proxy 127.0.0.1:%d", freePort(t)))
	live := newProcess(t, options, oneTime("required", "")+"reverse_proxy UPSTREAM")
	dead.run(t)
	live.run(t)
	client := manyClients(16)
	defer client.CloseIdleConnections()
	for n := range 10 {
		k := newToken(fmt.Sprint("user-", n))
		for range 2 {
			equal(t, dead.status(client, k.json()), 502, "at the gateway with a dead upstream")
		}
		var mu sync.Mutex
		statuses := make(map[int]int)
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				status := live.status(client, k.json())
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		group.Wait()
		if statuses[200] != 1 || statuses[403] != 15 {
			t.Errorf("token %d: %v", n, statuses)
		}
		equal(t, dead.status(client, k.json()), 403, "token %d, used elsewhere", n)
	}
}

// TestWebSocketIsNotGivenBack: an upstream that hijacks the connection was reached.
func TestWebSocketIsNotGivenBack(t *testing.T) {
	g := ledgered(t, oneTime("required", "")+"reverse_proxy UPSTREAM")
	g.answers(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = c.Close()
	})
	k := newToken("zoe")
	for i, want := range []int{101, 403} {
		_, response := g.upgrade(t, "/chat?"+k.query(), "websocket")
		equal(t, response.StatusCode, want, "request %d", i)
	}
}
