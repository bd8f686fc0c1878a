package caddymodule

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledgered runs a site with a ledger of its own.
func ledgered(t testing.TB, site string) *gateway {
	t.Helper()
	return live(t, ownLedger(t), site)
}

// ownLedger is a global option.
func ownLedger(t testing.TB) string {
	t.Helper()
	return "ledger bolt " + filepath.Join(t.TempDir(), "ledger.db")
}

// otherSecret is that of another widget.
const otherSecret = "the-secret-of-another-widget"

// ticket is a SnapEngage claim, accepted once.
type ticket struct{ user, nonce, stamp, signature string }

var nonces atomic.Int64

// newToken returns a token that is signed now and like no other.
func newToken(user string) ticket { return tokenAt(user, time.Now()) }

func tokenAt(user string, at time.Time) ticket {
	return signedToken(user, fmt.Sprintf("%032d", nonces.Add(1)), strconv.FormatInt(at.Unix(), 10))
}

func signedToken(user, nonce, stamp string) ticket {
	return ticket{user, nonce, stamp, sign(user + nonce + stamp)}
}

// json is the token as a JSON body, with further members.
func (k ticket) json(members ...string) string {
	own := fmt.Sprintf(`"user_id":"%s","hmacNonce":"%s","hmacTimestamp":"%s","hmacSignature":"%s"`, k.user, k.nonce, k.stamp, k.signature)
	return "{" + strings.Join(append([]string{own}, members...), ",") + "}"
}

// query is the token as a query or a form.
func (k ticket) query() string {
	return url.Values{"user_id": {k.user}, "hmacNonce": {k.nonce}, "hmacTimestamp": {k.stamp}, "hmacSignature": {k.signature}}.Encode()
}

// oneTime is a directive that accepts a token once.
func oneTime(mode, options string) string {
	return "chat_identity " + mode + " {\ndialect snapengage\nsecret {env.TEST_SECRET}\none_time\n" + options + "\n}\n"
}

// acceptsOnce sends a token again and again.
func (g *gateway) acceptsOnce(t testing.TB, k ticket, what string, headers ...string) {
	t.Helper()
	for _, want := range []string{k.user, "403 replayed", "403 replayed"} {
		equal(t, verdict(t, g.post(t, k.json(), headers...)), want, "%s", what)
	}
}

// arrivals counts the requests of each verified user that reach the upstream.
type arrivals struct {
	mu    sync.Mutex
	users map[string]int
	total int
}

func (g *gateway) arrivals() *arrivals {
	a := &arrivals{users: make(map[string]int)}
	g.answers(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.users[r.Header.Get("X-Verified-User")]++
		a.total++
	})
	return a
}

func (a *arrivals) of(user string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users[user]
}

func (a *arrivals) all() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// answers sets what the upstream answers from now on.
func (g *gateway) answers(answer func(w http.ResponseWriter, r *http.Request)) {
	g.upstream.mu.Lock()
	defer g.upstream.mu.Unlock()
	g.upstream.answer = answer
}

// TestOneTime: of many clients that send the same token at once, one is let in.
func TestOneTime(t *testing.T) { testOneTime(t, 20, 32) }

func testOneTime(t *testing.T, tokens, clients int) {
	g := ledgered(t, oneTime("required", "")+"reverse_proxy UPSTREAM")
	arrived, client := g.arrivals(), manyClients(clients)
	for i := range tokens {
		k := newToken(fmt.Sprintf("user-%d", i))
		var accepted, refused atomic.Int64
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				switch g.status(client, k.json()) {
				case 200:
					accepted.Add(1)
				case 403:
					refused.Add(1)
				}
			})
		}
		group.Wait()
		if accepted.Load() != 1 || refused.Load() != int64(clients-1) || arrived.of(k.user) != 1 {
			t.Errorf("token %d: accepted %d times, refused %d times, arrived %d times", i, accepted.Load(), refused.Load(), arrived.of(k.user))
		}
	}
}

// TestOneTimeReloads: a reload forgets nothing, and lets nothing in twice.
func TestOneTimeReloads(t *testing.T) {
	const clients, reloads = 8, 20
	g := newLive(t, ownLedger(t), oneTime("required", "")+"reverse_proxy UPSTREAM")
	load(t, g.config)
	config := adapted(t, g.config)
	arrived := g.arrivals()
	s := newStress(g, clients)
	s.client.Transport = retried{&http.Transport{DisableKeepAlives: true}}
	var mu sync.Mutex
	var used []ticket
	end := s.run(t, clients, func(int) {
		k := newToken("user-" + fmt.Sprint(s.sent.Add(1)))
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				if status := g.status(s.client, k.json()); status != 200 && status != 403 {
					t.Errorf("status %d", status)
				}
			})
		}
		group.Wait()
		mu.Lock()
		used = append(used, k)
		mu.Unlock()
	})
	for range reloads {
		before := s.sent.Load()
		must(t, activate(config))
		for s.sent.Load() < before+clients && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	end()
	for i, k := range used {
		if i%10 == 0 {
			equal(t, g.status(s.client, k.json()), 403, "after the reloads")
		}
		if n := arrived.of(k.user); n != 1 {
			t.Errorf("%s arrived %d times", k.user, n)
		}
	}
}

// TestOneTimeSurvivesKills: what was accepted before kill -9 is refused
// afterwards, whatever was under way.
func TestOneTimeSurvivesKills(t *testing.T) {
	t.Parallel()
	testOneTimeSurvivesKills(t, 1)
}

func testOneTimeSurvivesKills(t *testing.T, kills int) {
	const clients, tokens = 16, 300
	p := newProcess(t, ownLedger(t), oneTime("required", "")+"reverse_proxy UPSTREAM")
	arrived, client := p.arrivals(), manyClients(clients)
	p.run(t)
	for kill := range kills {
		var batch []ticket
		for i := range tokens {
			batch = append(batch, newToken(fmt.Sprintf("user-%d-%d", kill, i)))
		}
		first := make([]int, tokens)
		var group sync.WaitGroup
		before := arrived.all()
		for c := range clients {
			group.Go(func() {
				for i := c; i < tokens; i += clients {
					first[i] = p.status(client, batch[i].json())
				}
			})
		}
		for arrived.all() < before+50 {
			time.Sleep(time.Millisecond)
		}
		p.kill(t)
		group.Wait()
		client.CloseIdleConnections()
		p.run(t)
		kept, lost := 0, 0
		for i, k := range batch {
			again := p.status(client, k.json())
			switch {
			case first[i] == 200 && again != 403:
				t.Errorf("accepted before the kill, and then %d", again)
			case first[i] == 200:
				kept++
			case first[i] != 0 || again != 200 && again != 403:
				t.Errorf("%d, then %d", first[i], again)
			default:
				lost++
			}
			if n := arrived.of(k.user); n > 1 || n == 0 && again == 200 {
				t.Errorf("%s arrived %d times, status %d", k.user, n, again)
			}
		}
		if kept < 20 || lost < 20 {
			t.Errorf("%d were accepted and %d lost: too few to prove anything", kept, lost)
		}
	}
}

// TestOneTimeSpellings: another spelling of a token is the same token.
func TestOneTimeSpellings(t *testing.T) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	url64, std64 := base64.RawURLEncoding, base64.StdEncoding
	encoded := func(k ticket, e *base64.Encoding) ticket {
		digest, _ := hex.DecodeString(k.signature)
		k.signature = e.EncodeToString(digest)
		return k
	}
	upper := func(k ticket) ticket { k.signature = strings.ToUpper(k.signature); return k }
	mixed := func(k ticket) ticket {
		k.signature = strings.ToUpper(k.signature[:32]) + k.signature[32:]
		return k
	}
	same := func(k ticket) ticket { return k }
	for _, c := range []struct {
		name, options string
		spellings     []func(ticket) ticket
		reason        string // of the spelling that is none
	}{
		{"hex", "", []func(ticket) ticket{same, upper, mixed}, "replayed"},
		{"hex, capitals first", "encoding hex", []func(ticket) ticket{upper, mixed, same}, "replayed"},
		{"base64url", "encoding base64url", []func(ticket) ticket{
			func(k ticket) ticket { return encoded(k, base64.URLEncoding) }, func(k ticket) ticket { return encoded(k, url64) }}, "replayed"},
		{"base64url, without padding first", "encoding base64url", []func(ticket) ticket{
			func(k ticket) ticket { return encoded(k, url64) }, func(k ticket) ticket { return encoded(k, base64.URLEncoding) }}, "replayed"},
		{"base64url and its bits to spare", "encoding base64url", []func(ticket) ticket{
			func(k ticket) ticket { return encoded(k, url64) },
			func(k ticket) ticket {
				k = encoded(k, url64)
				k.signature = k.signature[:42] + bump(k.signature[42:])
				return k
			}}, "invalid"},
		{"base64", "encoding base64", []func(ticket) ticket{func(k ticket) ticket { return encoded(k, std64) }, func(k ticket) ticket { return encoded(k, std64) }}, "replayed"},
		{"base64 without padding", "encoding base64", []func(ticket) ticket{
			func(k ticket) ticket { return encoded(k, std64) }, func(k ticket) ticket { return encoded(k, base64.RawStdEncoding) }}, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := ledgered(t, oneTime("required", c.options)+"reverse_proxy UPSTREAM")
			k := newToken("zoe")
			for i, spell := range c.spellings {
				want := "zoe"
				if i > 0 {
					want = "403 " + c.reason
				}
				equal(t, verdict(t, g.post(t, spell(k).json())), want, "spelling %d", i)
			}
		})
	}
	g := ledgered(t, oneTime("required", "claim user_id body /user_id\nclaim user_id query user_id\nclaim signature body /hmacSignature\nclaim signature header X-Signature")+"reverse_proxy UPSTREAM")
	k := newToken("zoé")
	escaped := strings.NewReplacer("é", `\u00e9`, `"hmacTimestamp":"`+k.stamp+`"`, `"hmacTimestamp":`+k.stamp).Replace(k.json())
	unsigned := strings.Replace(k.json(), `,"hmacSignature":"`+k.signature+`"`, "", 1)
	for i, send := range []func() *answered{
		func() *answered { return g.post(t, k.json()) },
		func() *answered { return g.post(t, escaped) },
		func() *answered { return g.do(t, "PUT", "/chat", k.query(), form) },
		func() *answered { return g.do(t, "GET", "/chat?user_id=zo%c3%a9", k.query(), form) },
		func() *answered {
			return g.do(t, "POST", "/elsewhere", unsigned, jsonType, "X-Signature: "+k.signature)
		},
	} {
		want := "zo%C3%A9"
		a := send()
		got := verdict(t, a)
		if a.seen != nil {
			got = a.seen.user()
		}
		if i > 0 {
			want = "403 replayed"
		}
		if got != want {
			t.Errorf("place %d: %s, want %s", i, got, want)
		}
	}
}

// bump changes the bits of a base64 text's last character that no byte has.
func bump(last string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.Index(alphabet, last)+1])
}

// TestOneTimeNotSpent: a request that is refused for another reason does not spend its
// token. The owner can use it afterwards, once.
func TestOneTimeNotSpent(t *testing.T) {
	const options = "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget other {\nsecret " + otherSecret + "\n}\nwidget plain {\nsecret {env.TEST_SECRET}\ndialect bookbag\n}\n"
	g := live(t, options+ownLedger(t), `handle_path /optional/* {
		chat_identity {
			dialect snapengage
			widget {header.X-Widget-Key}
			one_time
			max_body 4KiB
		}
		reverse_proxy UPSTREAM
	}
	handle {
		chat_identity required {
			dialect snapengage
			widget {header.X-Widget-Key}
			one_time
			max_body 4KiB
			identify /identify
		}
		reverse_proxy UPSTREAM
	}`)
	const shop = "X-Widget-Key: shop"
	later := func(k ticket) ticket { n, _ := strconv.Atoi(k.stamp); k.stamp = strconv.Itoa(n + 1); return k }
	by := func(k ticket, user string) ticket { k.user = user; return k }
	signed := func(k ticket, signature string) ticket { k.signature = signature; return k }
	for _, c := range []struct {
		name, want string
		send       func(k ticket) *answered
	}{
		{"another signature", "403 invalid", func(k ticket) *answered { return g.post(t, signed(k, sign("zoe")).json(), shop) }},
		{"no signature", "401 partial", func(k ticket) *answered { return g.post(t, signed(k, "").json(), shop) }},
		{"a digit too few", "403 invalid", func(k ticket) *answered { return g.post(t, signed(k, k.signature[:63]).json(), shop) }},
		{"another timestamp", "403 invalid", func(k ticket) *answered { return g.post(t, later(k).json(), shop) }},
		{"another user", "403 invalid", func(k ticket) *answered { return g.post(t, by(k, "ada").json(), shop) }},
		{"another user, optional", "invalid invalid", func(k ticket) *answered {
			return g.do(t, "POST", "/optional/chat", by(k, "ada").json(), jsonType, shop)
		}},
		{"another widget", "403 invalid", func(k ticket) *answered { return g.post(t, k.json(), "X-Widget-Key: other") }},
		{"no such widget", "403 widget_unknown", func(k ticket) *answered { return g.post(t, k.json(), "X-Widget-Key: nobody") }},
		{"a widget whose dialect has no timestamp", "403 widget_unknown", func(k ticket) *answered { return g.post(t, k.json(), "X-Widget-Key: plain") }},
		{"two widgets", "400 ambiguous", func(k ticket) *answered { return g.post(t, k.json(), shop, "X-Widget-Key: other") }},
		{"two users", "400 ambiguous", func(k ticket) *answered { return g.post(t, k.json(`"user_id":"ada"`), shop) }},
		{"two signatures", "400 ambiguous", func(k ticket) *answered {
			return g.do(t, "POST", "/chat?hmacSignature="+sign("ada"), k.json(), jsonType, shop)
		}},
		{"no JSON", "400 malformed", func(k ticket) *answered { return g.post(t, k.json()+"}", shop) }},
		{"a wrong type", "400 malformed", func(k ticket) *answered { return g.post(t, strings.Replace(k.json(), `"zoe"`, "1.5", 1), shop) }},
		{"too large", "413 too_large", func(k ticket) *answered { return g.post(t, k.json(`"text":"`+strings.Repeat("x", 5000)+`"`), shop) }},
		{"encoded", "415 unsupported", func(k ticket) *answered { return g.post(t, k.json(), shop, "Content-Encoding: gzip") }},
		{"identify", "200", func(k ticket) *answered { return g.do(t, "POST", "/identify", k.json(), jsonType, shop) }},
		{"preflight", "", func(k ticket) *answered {
			return g.do(t, "OPTIONS", "/chat?"+k.query(), "", shop, "Origin: https://example.com", "Access-Control-Request-Method: POST")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newToken("zoe")
			for range 2 {
				equal(t, verdict(t, c.send(k)), c.want, "first")
			}
			g.acceptsOnce(t, k, "the owner", shop)
		})
	}
	// Nor is one recorded that has expired or comes too early.
	for name, at := range map[string]time.Duration{"old": -time.Hour, "ahead": time.Hour} {
		k := tokenAt("zoe", time.Now().Add(at))
		for range 2 {
			equal(t, verdict(t, g.post(t, k.json(), shop)), "401 expired", "%s", name)
		}
	}
}

// TestOneTimeOnceAWay: a request spends its token once, however many directives it
// passes.
func TestOneTimeOnceAWay(t *testing.T) {
	guard, dead := oneTime("required", ""), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	retries := "reverse_proxy " + dead + " UPSTREAM {\nlb_policy first\nlb_retries 3\nfail_duration 1m\n}\n"
	for _, c := range []struct{ name, before, site string }{
		{"once", "", guard + "reverse_proxy UPSTREAM"},
		{"twice", "", guard + guard + "reverse_proxy UPSTREAM"},
		{"with matchers", "", strings.Replace(guard, "chat_identity", "chat_identity /chat", 1) + strings.Replace(guard, "chat_identity", "chat_identity /c*", 1) + "reverse_proxy UPSTREAM"},
		{"site and handle", "", guard + "handle /chat {\n" + guard + "reverse_proxy UPSTREAM\n}"},
		{"nested routes", "", "route {\n" + guard + "route {\n" + guard + "reverse_proxy UPSTREAM\n}\n}"},
		{"snippet", "(guard) {\n" + guard + "}\n", "import guard\nhandle {\nimport guard\nreverse_proxy UPSTREAM\n}"},
		{"named route", "&(guarded) {\nroute {\n" + guard + "}\n}\n", "invoke guarded\nroute {\ninvoke guarded\n" + guard + "reverse_proxy UPSTREAM\n}"},
		{"retries", "", guard + retries},
		{"error route", "", guard + "reverse_proxy " + dead + "\nhandle_errors {\n" + guard + "reverse_proxy UPSTREAM\n}"},
		{"error route alone", "", "route {\nerror /chat 500\n" + guard + "}\nhandle_errors {\n" + guard + guard + "reverse_proxy UPSTREAM\n}"},
		{"error within a handle", "", guard + "handle {\n" + guard + "error 503\n}\nhandle_errors {\n" + guard + "reverse_proxy UPSTREAM\n}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newLive(t, ownLedger(t), c.site)
			g.config = strings.Replace(g.config, "\n"+g.url, "\n"+c.before+g.url, 1)
			load(t, g.config)
			g.acceptsOnce(t, newToken("zoe"), "the token")
		})
	}
}

// TestOneTimeWithoutBody: a token in a query is accepted once, too.
func TestOneTimeWithoutBody(t *testing.T) {
	g := ledgered(t, oneTime("required", "")+"reverse_proxy UPSTREAM")
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		k := newToken("zoe")
		for _, want := range []string{"zoe", "403"} {
			a := g.do(t, method, "/chat?a=1&"+k.query(), "")
			if method == "HEAD" && a.seen == nil {
				a.Header.Del("Content-Type") // of a document that is not sent
			}
			if got, _, _ := strings.Cut(verdict(t, a), " "); got != want {
				t.Errorf("%s: %s, want %s", method, got, want)
			}
		}
		equal(t, verdict(t, g.post(t, k.json())), "403 replayed", "in a body")
	}

	u := websocketBackend(t)
	g = ledgered(t, oneTime("required", "")+"reverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	k := newToken("zoe")
	for _, want := range []int{101, 403} {
		c, response := g.upgrade(t, "/ws?"+k.query(), "websocket")
		equal(t, response.StatusCode, want, "upgrade")
		if want == 101 {
			c.echoes(t, "one time")
		}
	}
}

// TestOneTimeTwoSites: one widget's token is one token, whichever site it is sent to.
func TestOneTimeTwoSites(t *testing.T) {
	g := newLive(t, "widget shop {\nsecret {env.TEST_SECRET}\n}\nwidget other {\nsecret "+otherSecret+"\n}\n"+ownLedger(t),
		"chat_identity required {\ndialect snapengage\nwidget shop\none_time\n}\nreverse_proxy UPSTREAM")
	two := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), upstream: g.upstream}
	_, site, _ := strings.Cut(g.config, g.url)
	g.config += two.url + strings.Replace(site, "widget shop", "widget {header.X-Widget-Key}", 1)
	load(t, g.config)
	const shop = "X-Widget-Key: shop"
	k := newToken("zoe")
	for i, want := range []string{"zoe", "403 replayed"} {
		equal(t, verdict(t, []*gateway{g, two}[i].post(t, k.json(), shop)), want, "one, then the other")
	}
	k = newToken("zoe")
	for i, want := range []string{"zoe", "403 replayed"} {
		equal(t, verdict(t, []*gateway{two, g}[i].post(t, k.json(), shop)), want, "the other, then one")
	}
	// Another widget's tokens are its own.
	k = newToken("zoe")
	equal(t, verdict(t, two.post(t, k.json(), shop)), "zoe", "a new token")
	k.signature = signWith(otherSecret, k.user+k.nonce+k.stamp)
	two.acceptsOnce(t, k, "another widget", "X-Widget-Key: other")
}

// TestOneTimeLongestAge: a token is remembered for as long as any handler
// still takes it for fresh, not only the one that accepted it.
func TestOneTimeLongestAge(t *testing.T) {
	g := ledgered(t, "handle /short {\n"+oneTime("required", "max_age 1s\nskew 0s")+"reverse_proxy UPSTREAM\n}\n"+
		"handle /long {\n"+oneTime("required", "max_age 1h")+"reverse_proxy UPSTREAM\n}")
	var k ticket
	eventually(t, "no token is accepted", func() bool { // a second is short where much runs
		k = newToken("zoe")
		return verdict(t, g.do(t, "POST", "/short", k.json(), jsonType)) == "zoe"
	})
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got := verdict(t, g.do(t, "POST", "/long", k.json(), jsonType)); got != "403 replayed" {
			t.Fatalf("the handler with the longer max_age: %s", got)
		}
	}
}

// TestOneTimeExpires: a used token is replayed until it expires, and never
// between the two accepted.
func TestOneTimeExpires(t *testing.T) {
	g := ledgered(t, oneTime("required", "max_age 2s\nskew 1s")+"reverse_proxy UPSTREAM")
	eventually(t, "it expires before anything is proved", func() bool { // on a busy machine it may
		k := tokenAt("zoe", time.Now().Add(time.Second))
		want := "zoe"
		for replayed := 0; ; replayed++ {
			switch got := verdict(t, g.post(t, k.json())); got {
			case want:
				want = "403 replayed"
			case "401 expired":
				return replayed > 1
			default:
				t.Fatal(got)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// TestOneTimeOptional: a token that was seen before is forwarded as nobody's.
func TestOneTimeOptional(t *testing.T) {
	g := ledgered(t, "@replayed chat_identity replayed\nroute {\n"+oneTime("optional", "")+
		"header @replayed X-Matched {http.chat_identity.outcome}-{http.chat_identity.reason}-{http.chat_identity.user}\nreverse_proxy UPSTREAM\n}")
	k := newToken("zoe")
	equal(t, verdict(t, g.post(t, k.json(`"text":"hi"`))), "zoe", "at first")
	want := map[string]string{"X-Identity-Outcome": "replayed", "X-Identity-Reason": "replayed"}
	for range 2 {
		a := g.do(t, "POST", "/chat?"+k.query(), k.json(`"text":"hi"`), jsonType)
		if a.StatusCode != 200 || a.seen == nil || a.seen.Body != `{"text":"hi"}` || a.seen.URI != "/chat" || !maps.Equal(ourHeaders(a.seen), want) {
			t.Errorf("%d %+v", a.StatusCode, a.seen)
		}
		equal(t, a.Header.Get("X-Matched"), "replayed-replayed-", "matched")
	}
	for name, c := range map[string]struct{ directive, want string }{
		"rejected":  {oneTime("optional", "reject replayed 409"), "409 replayed"},
		"of a shop": {strings.Replace(oneTime("required", "message {user_id}:{timestamp}\nclaim timestamp body /hmacTimestamp"), "snapengage", "bookbag", 1), "401 replayed"},
	} {
		g := ledgered(t, c.directive+"reverse_proxy UPSTREAM")
		body := newToken("zoe").json()
		if name == "of a shop" {
			stamp := fmt.Sprint(time.Now().Unix())
			body = fmt.Sprintf(`{"user_id":"zoe","hmacTimestamp":%s,"user_hash":"%s"}`, stamp, sign("zoe:"+stamp))
		}
		for _, want := range []string{"zoe", c.want, c.want} {
			equal(t, verdict(t, g.post(t, body)), want, "%s", name)
		}
	}
}

// TestOneTimeTimestampOnly: where the user and the second are all that is
// signed, a user has one token a second.
func TestOneTimeTimestampOnly(t *testing.T) {
	g := ledgered(t, `chat_identity required {
		secret {env.TEST_SECRET}
		message "{user_id}:{timestamp}"
		claim timestamp body /at
		encoding base64url
		one_time
	}
	reverse_proxy UPSTREAM`)
	body := func(user string, at time.Time) string {
		stamp := strconv.FormatInt(at.UnixMilli(), 10)
		digest, _ := hex.DecodeString(sign(user + ":" + stamp))
		return fmt.Sprintf(`{"user_id":"%s","at":%s,"user_hash":"%s"}`, user, stamp, base64.RawURLEncoding.EncodeToString(digest))
	}
	now := time.Now()
	for i, c := range []struct{ body, want string }{
		{body("zoe", now), "zoe"}, {body("zoe", now), "401 replayed"}, {body("ada", now), "ada"},
		{body("zoe", now.Add(-time.Millisecond)), "zoe"}, {body("zoe:1", now), "zoe:1"}, {body("zoe", now), "401 replayed"},
	} {
		equal(t, verdict(t, g.post(t, c.body)), c.want, "%d", i)
	}
}

// bothModes is a site of two handlers with one widget.
var bothModes = "handle /optional {\n" + oneTime("optional", "") + "reverse_proxy UPSTREAM\n}\n" +
	"handle {\n" + oneTime("required", "identify /identify") + "reverse_proxy UPSTREAM\n}"

// TestOneTimeLedgerInUse: while another process has the ledger's file, nothing that
// needs it is verified. Afterwards everything is, and what was used meanwhile stays used.
func TestOneTimeLedgerInUse(t *testing.T) {
	ledger := ownLedger(t)
	p := newProcess(t, ledger, oneTime("required", "")+"reverse_proxy UPSTREAM")
	p.run(t)
	there := newToken("zoe")
	equal(t, verdict(t, p.post(t, there.json())), "zoe", "at first")
	g := live(t, ledger, bothModes)
	here := newToken("zoe")
	checkUnavailable(t, g, here)
	p.kill(t)
	awaitLedger(t, g)
	for _, k := range []struct {
		name  string
		token ticket
		want  string
	}{{"what the other process has accepted", there, "403 replayed"}, {"what nobody has", here, "zoe"}, {"again", here, "403 replayed"}} {
		equal(t, verdict(t, g.post(t, k.token.json())), k.want, "%s", k.name)
	}
}

// TestOneTimeLedgerDamaged: a damaged file is not an empty one.
func TestOneTimeLedgerDamaged(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "no ledger": strings.Repeat("no ledger at all. ", 4000)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			must(t, os.WriteFile(path, []byte(text), 0o600))
			g := live(t, "ledger bolt "+path, bothModes)
			k := newToken("zoe")
			checkUnavailable(t, g, k)
			if left, err := os.ReadFile(path); err != nil || string(left) != text {
				t.Errorf("the file was touched: %v", err)
			}
			must(t, os.Rename(path, path+".damaged"))
			awaitLedger(t, g)
			g.acceptsOnce(t, k, "once the ledger answers")
		})
	}
}

// checkUnavailable sends a token to a gateway whose ledger cannot be asked.
func checkUnavailable(t *testing.T, g *gateway, k ticket) {
	t.Helper()
	for range 3 {
		a := g.post(t, k.json())
		checkProblem(t, a, 503, "unavailable", "snapengage")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		a = g.do(t, "POST", "/optional", k.json(`"text":"hi"`), jsonType)
		want := map[string]string{"X-Identity-Outcome": "unavailable", "X-Identity-Reason": "unavailable"}
		if a.StatusCode != 200 || a.seen == nil || a.seen.Body != `{"text":"hi"}` || !maps.Equal(ourHeaders(a.seen), want) {
			t.Errorf("optional: %d %+v", a.StatusCode, a.seen)
		}
	}
	// What needs no ledger is answered as usual.
	forged := k
	forged.user = "mallory"
	for name, c := range map[string]struct{ path, body, want string }{
		"forged":   {"/chat", forged.json(), "403 invalid"},
		"missing":  {"/chat", `{}`, "401 missing"},
		"optional": {"/optional", `{}`, "anonymous missing"},
		"identify": {"/identify", k.json(), "200"},
	} {
		equal(t, verdict(t, g.do(t, "POST", c.path, c.body, jsonType)), c.want, "%s", name)
	}
}

// awaitLedger waits until the ledger answers again.
func awaitLedger(t *testing.T, g *gateway) {
	t.Helper()
	eventually(t, "the ledger does not recover", func() bool { return verdict(t, g.post(t, newToken("first").json())) == "first" })
}

// TestOneTimeNeedsNoLedger: identify() calls and handlers that record nothing do not
// create a ledger.
func TestOneTimeNeedsNoLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "ledger.db")
	g := live(t, "ledger bolt "+path, "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /identify\n}\nreverse_proxy UPSTREAM")
	equal(t, verdict(t, g.post(t, claim("zoe"))), "zoe", "forwarded as")
	equal(t, g.do(t, "POST", "/identify", claim("zoe"), jsonType).StatusCode, 200, "status")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("there is a ledger: %v", err)
	}
}

// TestDefaultLedger: without the option it is in Caddy's data directory, for
// its owner alone.
func TestDefaultLedger(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	g := live(t, "", oneTime("required", "")+"reverse_proxy UPSTREAM")
	k := newToken("zoe")
	equal(t, verdict(t, g.post(t, k.json())), "zoe", "at first")
	info, err := os.Stat(filepath.Join(data, "caddy", "chat_identity", "ledger.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	g.restart(t)
	equal(t, verdict(t, g.post(t, k.json())), "403 replayed", "after a restart")
}
