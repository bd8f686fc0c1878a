package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// product is a request as a product's own client sends it, with TOKEN where the token is.
type product struct {
	dialect      string
	name         string
	method, path string
	headers      []string
	body         string
	// Without a token path and body are these, where they are others.
	barePath, bareBody string
}

const (
	// stream and knock name their widget.
	streamKey = "key-1"
	knockKey  = "pk_test_1"
)

var websocket = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// products are requests of the dialects that prove with a token. Of those whose traffic is
// not known the body has what the page's call is given.
var products = []product{
	{dialect: "jwt", name: "header", method: "POST", path: "/chat", headers: []string{jsonType, "Authorization: Bearer TOKEN"}, body: `{"text":"hi"}`},
	{dialect: "jwt", name: "body", method: "POST", path: "/chat", headers: []string{jsonType}, body: `{"user_token":"TOKEN","text":"hi"}`, bareBody: `{"text":"hi"}`},
	{dialect: "jwt", name: "socket", method: "GET", path: "/chat/ws?room=1&user_token=TOKEN", barePath: "/chat/ws?room=1", headers: websocket},
	{
		dialect: "zendesk", name: "login", method: "POST", path: "/sc/sdk/v2/apps/5f1a/login",
		headers: []string{jsonType, "Authorization: Bearer TOKEN", "X-Smooch-Appid: 5f1a", "X-Smooch-Clientid: c1", "X-Smooch-Sdk: web/zendesk/1.0.0", "X-Zendesk-Integrationid: i1"},
		body:    `{"client":{"platform":"web","id":"c1","integrationId":"i1","info":{"currentUrl":"https://shop.example/"}}}`,
	},
	{
		dialect: "zendesk", name: "message", method: "POST", path: "/sc/sdk/v2/apps/5f1a/conversations/7c/messages",
		headers: []string{jsonType, "Authorization: Bearer TOKEN", "X-Smooch-Appid: 5f1a"},
		body:    `{"message":{"type":"text","text":"hi"},"author":{"role":"appUser","appUserId":"u9"}}`,
	},
	{
		dialect: "zendesk", name: "file", method: "POST", path: "/sc/sdk/v2/apps/5f1a/conversations/7c/files",
		headers: []string{"Content-Type: " + boundaryType, "Authorization: Bearer TOKEN"},
		body:    formPart("source", "scan") + "------x--\r\n",
	},
	{dialect: "zendesk", name: "history", method: "GET", path: "/sc/sdk/v2/apps/5f1a/conversations/7c/messages", headers: []string{"Authorization: Bearer TOKEN"}},
	{
		dialect: "drift", name: "identify", method: "POST", path: "/identify", headers: []string{jsonType},
		body:     `{"userId":"ada","attributes":{"email":"ada@example.com"},"userJwt":"TOKEN"}`,
		bareBody: `{"userId":"ada","attributes":{"email":"ada@example.com"}}`,
	},
	{dialect: "tiledesk", name: "sign in", method: "POST", path: "/auth/signinWithCustomToken", headers: []string{jsonType, "Authorization: JWT TOKEN"}, body: `{}`},
	{dialect: "tiledesk", name: "query", method: "GET", path: "/p1/requests/me?secret_token=TOKEN", barePath: "/p1/requests/me"},
	{
		dialect: "stream", name: "message", method: "POST", path: "/channels/messaging/general/message?user_id=ada&connection_id=c1&api_key=" + streamKey,
		headers: []string{jsonType, "Authorization: TOKEN", "Stream-Auth-Type: jwt"}, body: `{"message":{"text":"hi"}}`,
	},
	{
		dialect: "stream", name: "socket", method: "GET", headers: websocket,
		path:     "/connect?json=%7B%22user_id%22%3A%22ada%22%7D&api_key=" + streamKey + "&authorization=TOKEN&stream-auth-type=jwt",
		barePath: "/connect?json=%7B%22user_id%22%3A%22ada%22%7D&api_key=" + streamKey + "&stream-auth-type=jwt",
	},
	{dialect: "freshchat", name: "authenticate", method: "POST", path: "/users/authenticate", headers: []string{jsonType}, body: `{"jwt":"TOKEN","locale":"en"}`, bareBody: `{"locale":"en"}`},
	{
		dialect: "knock", name: "feed", method: "GET", path: "/v1/users/ada/feeds/f1?page_size=50&api_key=" + knockKey,
		headers: []string{"Authorization: Bearer pk_test_1", "X-Knock-User-Token: TOKEN"},
	},
	{
		dialect: "knock", name: "socket", method: "GET", headers: websocket,
		path: "/ws/v1/websocket?user_token=TOKEN&api_key=" + knockKey + "&vsn=2.0.0", barePath: "/ws/v1/websocket?api_key=" + knockKey + "&vsn=2.0.0",
	},
	{dialect: "botpress", name: "message", method: "POST", path: "/messages", headers: []string{jsonType, "X-User-Key: TOKEN"}, body: `{"conversationId":"c1","payload":{"type":"text","text":"hi"}}`},
	{dialect: "botpress", name: "listen", method: "GET", path: "/conversations/c1/listen?x-user-key=TOKEN", barePath: "/conversations/c1/listen", headers: []string{"Accept: text/event-stream"}},
}

// tokenClaims is what each dialect's token says, with %d for exp.
var tokenClaims = map[string]string{
	"jwt":       `{"sub":"ada","email":"ada@example.com","name":"Ada","plan":"pro","exp":%d}`,
	"zendesk":   `{"external_id":"ada","scope":"user","email":"ada@example.com","name":"Ada","exp":%d}`,
	"drift":     `{"sub":"ada","email":"ada@example.com","exp":%d}`,
	"tiledesk":  `{"_id":"ada","email":"ada@example.com","firstname":"Ada","role":"admin","exp":%d}`,
	"stream":    `{"user_id":"ada","exp":%d}`,
	"freshchat": `{"reference_id":"ada","email":"ada@example.com","first_name":"Ada","exp":%d}`,
	"knock":     `{"sub":"ada","exp":%d}`,
	"botpress":  `{"id":"ada","exp":%d}`,
}

// lenientAnswers are the dialects that answer whoever does not verify with 401.
var lenientAnswers = []string{"zendesk", "tiledesk", "stream", "botpress"}

// send sends the request with that for TOKEN, or without what has one if that is "".
func (p *product) send(t *testing.T, g *gateway, token string) *answered {
	t.Helper()
	path, body := p.path, p.body
	if token == "" {
		path, body = p.bare()
	}
	var headers []string
	for _, h := range p.headers {
		if token != "" || !strings.Contains(h, "TOKEN") {
			headers = append(headers, strings.ReplaceAll(h, "TOKEN", token))
		}
	}
	return g.do(t, p.method, strings.ReplaceAll(path, "TOKEN", token), strings.ReplaceAll(body, "TOKEN", token), headers...)
}

// bare returns path and body without the token.
func (p *product) bare() (path, body string) {
	path, body = p.barePath, p.bareBody
	if path == "" {
		path = p.path
	}
	if body == "" {
		body = p.body
	}
	return path, body
}

// checkSeen compares what the upstream has received with the path, body and headers as they
// were sent, in which there is that for TOKEN, or nothing for "".
func (p *product) checkSeen(t *testing.T, what string, a *answered, token string) {
	t.Helper()
	path, body := p.path, p.body
	if token == "" {
		path, body = p.bare()
	}
	path, body = strings.ReplaceAll(path, "TOKEN", token), strings.ReplaceAll(body, "TOKEN", token)
	switch {
	case a.seen == nil:
		t.Errorf("%s: not forwarded: %d %s", what, a.StatusCode, a.body)
		return
	case a.seen.URI != path || a.seen.Body != body:
		t.Errorf("%s: the upstream has got %s\n%s", what, a.seen.URI, a.seen.Body)
	}
	for _, h := range p.headers {
		name, value, _ := strings.Cut(h, ": ")
		if strings.Contains(value, "TOKEN") && token == "" {
			value = ""
		}
		if got := a.seen.Header.Get(name); got != strings.ReplaceAll(value, "TOKEN", token) {
			t.Errorf("%s: the upstream has got %s %q", what, name, got)
		}
	}
}

// signers are who signs tokens: with the test's secret, and for knock with a private key.
type signers struct{ ours, others *pair }

// sign returns a token of a dialect, signed by us or by somebody else.
func (s *signers) sign(t *testing.T, dialect, claims string, ours bool) string {
	t.Helper()
	if dialect != "knock" {
		if ours {
			return jwt(testSecret, claims)
		}
		return jwt("a secret that nobody has", claims)
	}
	var members map[string]any
	must(t, json.Unmarshal([]byte(claims), &members))
	if ours {
		return s.ours.sign(t, members)
	}
	return s.others.sign(t, members)
}

// startProducts runs a gateway with a handler for each dialect, which the header X-Product
// names, and returns who signs for it.
func startProducts(t *testing.T, mode string) (*gateway, *signers) {
	t.Helper()
	s := &signers{newPair(t, "RS256", ""), newPair(t, "RS256", "")}
	var site strings.Builder
	for _, dialect := range slices.Sorted(maps.Keys(tokenClaims)) {
		options := "widget " + dialect + "\nsecret {env.TEST_SECRET}\n"
		if dialect == "stream" || dialect == "knock" {
			options = ""
		}
		fmt.Fprintf(&site, "@%s header X-Product %[1]s\nhandle @%[1]s {\nchat_identity %s {\ndialect %[1]s\n%[3]s}\nreverse_proxy UPSTREAM\n}\n", dialect, mode, options)
	}
	g := live(t, "encryption_key {env.TEST_KEY}\nwidget "+streamKey+" {\nsecret {env.TEST_SECRET}\n}", site.String())
	created := g.call(t, "POST", "widgets", jsonOf(t, map[string]any{"id": knockKey, "public_keys": []string{s.ours.pem(t)}}))
	equal(t, created.status, 201, "%s", created.body)
	return g, s
}

// TestProducts replays what the products' clients send: verified, forged, expired,
// anonymous, and with credentials that are somebody else's.
func TestProducts(t *testing.T) {
	now := time.Now().Unix()
	for _, mode := range []string{"optional", "required"} {
		g, signers := startProducts(t, mode)
		for _, p := range products {
			t.Run(mode+"/"+p.dialect+"/"+p.name, func(t *testing.T) {
				p.headers = append(slices.Clone(p.headers), "X-Product: "+p.dialect)
				token := func(exp int64, ours bool) string {
					return signers.sign(t, p.dialect, fmt.Sprintf(tokenClaims[p.dialect], exp), ours)
				}
				good := token(now+3600, true)
				forged := strings.Split(signers.sign(t, p.dialect, strings.Replace(fmt.Sprintf(tokenClaims[p.dialect], now+3600), "ada", "eve", 1), false), ".")
				forged[2] = strings.Split(good, ".")[2]

				a := p.send(t, g, good)
				p.checkSeen(t, "verified", a, good)
				if a.seen != nil && (a.seen.user() != "ada" || a.seen.Header.Get("X-Identity-Outcome") != "verified") {
					t.Errorf("verified: %v", a.seen.Header)
				}
				for _, c := range []struct{ what, token, reason string }{
					{"another key", token(now+3600, false), "invalid"},
					{"another payload", strings.Join(forged, "."), "invalid"},
					{"expired", token(now-1, true), "expired"},
					{"for too long", token(now+48*3600, true), "expired"},
					{"anonymous", "", "missing"},
				} {
					a := p.send(t, g, c.token)
					if mode == "required" {
						status := generalAnswers[c.reason]
						if slices.Contains(lenientAnswers, p.dialect) {
							status = http.StatusUnauthorized
						}
						checkProblem(t, a, status, c.reason, p.dialect)
						continue
					}
					p.checkSeen(t, c.what, a, "")
					if a.seen != nil && (a.seen.user() != "" || a.seen.Header.Get("X-Identity-Reason") != c.reason) {
						t.Errorf("%s: %v", c.what, a.seen.Header)
					}
				}
				if bearer := func(h string) bool { return strings.HasPrefix(h, "Authorization: ") && strings.Contains(h, "TOKEN") }; mode == "optional" && slices.ContainsFunc(p.headers, bearer) {
					a := p.send(t, g, "opaque-credentials")
					p.checkSeen(t, "credentials of another kind", a, "opaque-credentials")
					if a.seen != nil && a.seen.Header.Get("X-Identity-Reason") != "missing" {
						t.Errorf("credentials of another kind: %v", a.seen.Header)
					}
				}
			})
		}
	}
}

// TestProductRules is what each dialect demands of a token, beyond its signature.
func TestProductRules(t *testing.T) {
	g, signers := startProducts(t, "required")
	for _, c := range []struct{ dialect, claims, want string }{
		{"jwt", `{"sub":"ada"}`, "malformed"},
		{"freshchat", `{"reference_id":"ada"}`, "malformed"},
		{"drift", `{"sub":"ada"}`, ""},
		{"tiledesk", `{"_id":"ada"}`, ""},
		{"stream", `{"user_id":"ada"}`, ""},
		{"knock", `{"sub":"ada"}`, ""},
		{"botpress", `{"id":"ada"}`, ""},
		{"zendesk", `{"external_id":"ada","scope":"user"}`, ""},
		{"zendesk", `{"external_id":"ada"}`, "invalid"},
		{"zendesk", `{"external_id":"ada","scope":"app"}`, "invalid"},
		{"zendesk", `{"external_id":42,"scope":"user"}`, "malformed"},
		{"drift", `{"sub":12345}`, ""},
		{"stream", `{"user_id":"ada","server":true}`, "invalid"},
		{"stream", `{"sub":"ada"}`, "malformed"},
		{"botpress", `{"sub":"ada"}`, "malformed"},
	} {
		i := slices.IndexFunc(products, func(p product) bool { return p.dialect == c.dialect })
		p := products[i]
		p.headers = append(slices.Clone(p.headers), "X-Product: "+p.dialect)
		a := p.send(t, g, signers.sign(t, c.dialect, c.claims, true))
		if reason := string(a.problem(t).Reason); reason != c.want || (a.seen != nil) != (c.want == "") {
			t.Errorf("%s %s: %d %q", c.dialect, c.claims, a.StatusCode, reason)
		}
	}
}

// TestUserBesideToken: an id that nothing signs must be the token's, if it is looked for.
func TestUserBesideToken(t *testing.T) {
	g := start(t, "chat_identity {\nwidget "+streamKey+" {\nsecret {env.TEST_SECRET}\n}\n}",
		"chat_identity optional {\ndialect stream\nclaim user_id query user_id\n}\nreverse_proxy UPSTREAM")
	token := jwt(testSecret, fmt.Sprintf(tokenClaims["stream"], inAnHour()))
	for _, c := range []struct{ user, token, want, uri string }{
		{"ada", token, "ada", "/chat?user_id=ada&api_key=key-1"},
		{"eve", token, "400 ambiguous", ""},
		{"ada", "", "anonymous partial", "/chat?api_key=key-1"},
		{"eve", jwt("a secret that nobody has", fmt.Sprintf(tokenClaims["stream"], inAnHour())), "400 ambiguous", ""},
	} {
		var headers []string
		if c.token != "" {
			headers = append(headers, "Authorization: "+c.token)
		}
		a := g.do(t, "GET", "/chat?user_id="+c.user+"&api_key="+streamKey, "", headers...)
		if got := verdict(t, a); got != c.want || a.seen != nil && a.seen.URI != c.uri {
			t.Errorf("%s: %s, want %s; %+v", c.user, got, c.want, a.seen)
		}
	}
}

// TestUnknownWidgetLosesTokens: where the widget is unknown, a token is cut that some widget's
// dialect would take, and no other credentials.
func TestUnknownWidgetLosesTokens(t *testing.T) {
	token := jwt(testSecret, fmt.Sprintf(tokenClaims["zendesk"], inAnHour()))
	for dialect, cut := range map[string]bool{"zendesk": true, "jwt": true, "tiledesk": false, "bookbag": false} {
		g := start(t, "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\ndialect "+dialect+"\n}\n}",
			"chat_identity optional {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy UPSTREAM")
		for credentials, lost := range map[string]bool{"Bearer " + token: cut, "Bearer opaque": false, "Basic dXNlcjpwYXNz": false, token: false} {
			a := g.do(t, "POST", "/chat?a=1", "user_id=victim&t=1", "Content-Type: application/x-www-form-urlencoded", "Authorization: "+credentials, "X-Widget-Key: nobody")
			want := credentials
			if lost {
				want = ""
			}
			if a.seen == nil || a.seen.Header.Get("Authorization") != want || a.seen.Body != "t=1" || a.seen.user() != "" {
				t.Errorf("%s, %.20s: %d %+v", dialect, credentials, a.StatusCode, a.seen)
			}
		}
	}
}
