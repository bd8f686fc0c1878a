package caddymodule

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// product is a request as a product's own client sends it, with TOKEN or USER and SIGNATURE
// where the claim is. URL<…> and BASE64<…> write what is between them so.
type product struct {
	dialect      string
	name         string
	own          bool // the handler has the widget, where the request names none
	method, path string
	headers      []string // those with a piece of the claim go without one
	body         string
	// Without a claim path and body are these, where they are others, and these headers
	// are there, too.
	barePath, bareBody string
	bareHeaders        []string
}

const (
	// streamKey is the widget of all that name theirs, but of knock.
	streamKey = "key-1"
	knockKey  = "pk_test_1"
)

var websocket = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// products are requests of all dialects but the first five. Of those whose traffic is not
// known the body has what the page's call is given.
var products = []product{
	{
		dialect: "chatwoot", name: "set_user", method: "PATCH", path: "/api/v1/widget/contact/set_user?website_token=" + streamKey,
		headers:  []string{jsonType, "X-Auth-Token: eyJ.session.x"},
		body:     `{"identifier":"USER","identifier_hash":"SIGNATURE","email":"ada@example.com","name":"Ada","phone_number":"+4930123456","custom_attributes":{"plan":"pro"}}`,
		bareBody: `{"email":"ada@example.com","name":"Ada","phone_number":"+4930123456","custom_attributes":{"plan":"pro"}}`,
	},
	{
		dialect: "intercom", name: "ping", method: "POST", path: "/messenger/web/ping", headers: []string{"Content-Type: application/x-www-form-urlencoded"},
		body:     "app_id=" + streamKey + "&v=3&user_data=URL<{\"email\":\"ada@example.com\",\"user_id\":\"USER\",\"user_hash\":\"SIGNATURE\",\"name\":\"Ada\",\"plan\":\"pro\"}>&referer=URL<https://shop.example/>",
		bareBody: "app_id=" + streamKey + "&v=3&user_data=URL<{\"name\":\"Ada\",\"plan\":\"pro\"}>&referer=URL<https://shop.example/>",
	},
	{
		dialect: "intercom", name: "ping, JSON", method: "POST", path: "/messenger/web/ping", headers: []string{jsonType},
		body:     `{"app_id":"` + streamKey + `","user_data":{"user_id":"USER","user_hash":"SIGNATURE","name":"Ada"}}`,
		bareBody: `{"app_id":"` + streamKey + `","user_data":{"name":"Ada"}}`,
	},
	{
		dialect: "intercom", name: "ping, e-mail", method: "POST", path: "/messenger/web/ping", headers: []string{"Content-Type: application/x-www-form-urlencoded"},
		body:     "app_id=" + streamKey + "&user_data=URL<{\"email\":\"USER\",\"user_hash\":\"SIGNATURE\",\"name\":\"Ada\"}>",
		bareBody: "app_id=" + streamKey + "&user_data=URL<{\"name\":\"Ada\"}>",
	},
	{
		dialect: "intercom", name: "ping, token", method: "POST", path: "/messenger/web/ping", headers: []string{"Content-Type: application/x-www-form-urlencoded"},
		body:     "app_id=" + streamKey + "&user_data=URL<{\"intercom_user_jwt\":\"TOKEN\",\"name\":\"Ada\"}>",
		bareBody: "app_id=" + streamKey + "&user_data=URL<{\"name\":\"Ada\"}>",
	},
	{
		dialect: "posthog", name: "message", method: "POST", path: "/api/conversations/v1/widget/message", headers: []string{jsonType, "X-Conversations-Token: " + streamKey},
		body:     `{"widget_session_id":"s1","distinct_id":"d1","message":"hi","identity_distinct_id":"USER","identity_hash":"SIGNATURE"}`,
		bareBody: `{"widget_session_id":"s1","distinct_id":"d1","message":"hi"}`,
	},
	{
		dialect: "posthog", name: "messages", method: "GET", headers: []string{"X-Conversations-Token: " + streamKey},
		path:     "/api/conversations/v1/widget/messages/t1?widget_session_id=s1&identity_distinct_id=USER&identity_hash=SIGNATURE",
		barePath: "/api/conversations/v1/widget/messages/t1?widget_session_id=s1",
	},
	{
		dialect: "munin", name: "message", method: "POST", path: "/v1/widget/messages", headers: []string{jsonType, "Authorization: Bearer widget-key"},
		body:     `{"channelId":"` + streamKey + `","sessionId":"s1","visitorId":"v1","text":"hi","verifiedExternalId":"USER","userHash":"SIGNATURE"}`,
		bareBody: `{"channelId":"` + streamKey + `","sessionId":"s1","visitorId":"v1","text":"hi"}`,
	},
	{
		dialect: "munin", name: "visitor", method: "PATCH", path: "/v1/widget/visitor", headers: []string{jsonType},
		body: `{"channelId":"` + streamKey + `","verifiedExternalId":"USER","userHash":"SIGNATURE"}`, bareBody: `{"channelId":"` + streamKey + `"}`,
	},
	{
		dialect: "munin", name: "history", own: true, method: "GET", path: "/v1/widget/messages?sessionId=s1",
		headers: []string{"Authorization: Bearer widget-key", "X-Munin-Verified-External-Id: USER", "X-Munin-User-Hash: SIGNATURE"},
	},
	{
		dialect: "munin", name: "socket", own: true, method: "GET", headers: append([]string{"Sec-WebSocket-Protocol: bearer, widget-key"}, websocket...),
		path: "/v1/realtime?externalId=USER&userHash=SIGNATURE", barePath: "/v1/realtime",
	},
	{
		dialect: "chimely", name: "counts", method: "GET", path: "/v1/inbox/counts",
		headers: []string{"X-Chimely-Environment: " + streamKey, "X-Chimely-Subscriber: USER", "X-Chimely-Subscriber-Hash: SIGNATURE", "If-None-Match: e1"},
	},
	{
		dialect: "chimely", name: "stream", method: "GET", headers: []string{"Accept: text/event-stream"},
		path: "/v1/inbox/stream?environment=" + streamKey + "&subscriber_id=USER&subscriber_hash=SIGNATURE", barePath: "/v1/inbox/stream?environment=" + streamKey,
	},
	{
		dialect: "chaskiq", name: "graphql", method: "POST", path: "/api/graphql?app=" + streamKey,
		headers: []string{jsonType, `User-Data: {"email":"USER","identifier_key":"SIGNATURE","properties":{"name":"Ada"}}`},
		body:    `{"query":"mutation { ping }"}`, bareHeaders: []string{`User-Data: {"properties":{"name":"Ada"}}`},
	},
	{
		dialect: "chaskiq", name: "socket", method: "GET", headers: websocket,
		path:     "/cable?app=" + streamKey + "&user_data=BASE64<{\"email\":\"USER\",\"identifier_key\":\"SIGNATURE\",\"properties\":{\"name\":\"Ada\"}}>&session_value=s1",
		barePath: "/cable?app=" + streamKey + "&user_data=BASE64<{\"properties\":{\"name\":\"Ada\"}}>&session_value=s1",
	},
	{
		dialect: "novu", name: "session", method: "POST", path: "/v1/inbox/session", headers: []string{jsonType},
		body:     `{"applicationIdentifier":"` + streamKey + `","subscriberId":"USER","subscriberHash":"SIGNATURE"}`,
		bareBody: `{"applicationIdentifier":"` + streamKey + `"}`,
	},
	{
		dialect: "gleap", name: "identify", method: "POST", path: "/sessions/identify",
		headers: []string{jsonType, "Api-Token: " + streamKey, "Gleap-Id: g1", "Gleap-Hash: h1"},
		body:    `{"email":"ada@example.com","plan":"pro","userId":"USER","userHash":"SIGNATURE"}`, bareBody: `{"email":"ada@example.com","plan":"pro"}`,
	},
	{
		dialect: "magicbell", name: "notifications", method: "GET", path: "/notifications?page=1",
		headers: []string{"X-MagicBell-API-Key: " + streamKey, "X-MagicBell-User-External-ID: USER", "X-MagicBell-User-HMAC: SIGNATURE"},
	},
	{
		dialect: "magicbell", name: "e-mail", method: "POST", path: "/notifications/read",
		headers: []string{jsonType, "X-MagicBell-API-Key: " + streamKey, "X-MagicBell-User-Email: USER", "X-MagicBell-User-HMAC: SIGNATURE"}, body: `{}`,
	},
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
	"intercom":  `{"user_id":"ada","email":"ada@example.com","plan":"pro","exp":%d}`,
	"jwt":       `{"sub":"ada","email":"ada@example.com","name":"Ada","plan":"pro","exp":%d}`,
	"zendesk":   `{"external_id":"ada","scope":"user","email":"ada@example.com","name":"Ada","exp":%d}`,
	"drift":     `{"sub":"ada","email":"ada@example.com","exp":%d}`,
	"tiledesk":  `{"_id":"ada","email":"ada@example.com","firstname":"Ada","role":"admin","exp":%d}`,
	"stream":    `{"user_id":"ada","exp":%d}`,
	"freshchat": `{"reference_id":"ada","email":"ada@example.com","first_name":"Ada","exp":%d}`,
	"knock":     `{"sub":"ada","exp":%d}`,
	"botpress":  `{"id":"ada","exp":%d}`,
}

// productAnswers are the dialects that answer whoever does not verify with one status.
var productAnswers = map[string]int{
	"zendesk": 401, "tiledesk": 401, "stream": 401, "botpress": 401,
	"chatwoot": 401, "intercom": 403, "posthog": 403, "munin": 403, "chimely": 401,
}

// identityClaim is what stands in a request for TOKEN, or for USER and SIGNATURE; nil for no claim.
type identityClaim map[string]string

// filled returns a text of the request with the claim.
func (c identityClaim) filled(text string) string {
	for name, value := range c {
		text = strings.ReplaceAll(text, name, value)
	}
	return written.ReplaceAllStringFunc(text, func(found string) string {
		m := written.FindStringSubmatch(found)
		if m[1] == "BASE64" {
			return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(m[2])))
		}
		return url.QueryEscape(m[2])
	})
}

var (
	written = regexp.MustCompile(`(URL|BASE64)<(.*?)>`)
	pieces  = regexp.MustCompile(`TOKEN|USER|SIGNATURE`)
)

// parts returns path, body and headers with the claim.
func (p *product) parts(c identityClaim) (path, body string, headers []string) {
	path, body = p.path, p.body
	if c == nil {
		path, body, headers = cmp.Or(p.barePath, path), cmp.Or(p.bareBody, body), p.bareHeaders
	}
	for _, h := range p.headers {
		if c != nil || !pieces.MatchString(h) {
			headers = append(slices.Clone(headers), c.filled(h))
		}
	}
	return c.filled(path), c.filled(body), headers
}

// send sends the request with a claim, or without what is one.
func (p *product) send(t *testing.T, g *gateway, c identityClaim) *answered {
	t.Helper()
	path, body, headers := p.parts(c)
	handler := p.dialect
	if p.own {
		handler += "-own"
	}
	return g.do(t, p.method, path, body, append(headers, "X-Product: "+handler)...)
}

// checkSeen compares what the upstream has received with the request as it was sent, with
// the claim or without one.
func (p *product) checkSeen(t *testing.T, what string, a *answered, c identityClaim) {
	t.Helper()
	path, body, headers := p.parts(c)
	switch {
	case a.seen == nil:
		t.Errorf("%s: not forwarded: %d %s", what, a.StatusCode, a.body)
		return
	case withoutBlanks(a.seen.URI) != withoutBlanks(path) || a.seen.Body != body:
		t.Errorf("%s: the upstream has got %s\n%s", what, a.seen.URI, a.seen.Body)
	}
	want := make(http.Header)
	for _, h := range p.headers {
		name, _, _ := strings.Cut(h, ": ")
		want.Set(name, "")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		want.Set(name, value)
	}
	for name := range want {
		if got := a.seen.Header.Get(name); got != want.Get(name) {
			t.Errorf("%s: the upstream has got %s %q", what, name, got)
		}
	}
}

// withoutBlanks returns a URI with what is in base64 decoded, without spaces: what is cut of
// such a text leaves them.
func withoutBlanks(uri string) string {
	return regexp.MustCompile(`user_data=[^&]*`).ReplaceAllStringFunc(uri, func(data string) string {
		escaped, _ := strings.CutPrefix(data, "user_data=")
		text, _ := url.QueryUnescape(escaped)
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return data
		}
		return strings.ReplaceAll(string(decoded), " ", "")
	})
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

// claim returns a claim of the request for a user, by us or by somebody else, with that exp
// if it is a token.
func (s *signers) claim(t *testing.T, p *product, user string, ours bool, exp int64) identityClaim {
	t.Helper()
	path, body, headers := p.path, p.body, strings.Join(p.headers, "\n")
	if strings.Contains(path+body+headers, "TOKEN") {
		claims := strings.Replace(fmt.Sprintf(tokenClaims[p.dialect], exp), "ada", user, 1)
		return identityClaim{"TOKEN": s.sign(t, p.dialect, claims, ours)}
	}
	secret := testSecret
	if !ours {
		secret = "a secret that nobody has"
	}
	signature := signWith(secret, user)
	if p.dialect == "magicbell" {
		digest, err := hex.DecodeString(signature)
		must(t, err)
		signature = base64.StdEncoding.EncodeToString(digest)
	}
	return identityClaim{"USER": user, "SIGNATURE": signature}
}

// startProducts runs a gateway with a handler for each dialect, which the header X-Product
// names, and returns who signs for it.
func startProducts(t *testing.T, mode string) (*gateway, *signers) {
	t.Helper()
	s := &signers{newPair(t, "RS256", ""), newPair(t, "RS256", "")}
	var site strings.Builder
	handler := func(name, dialect, options string) {
		fmt.Fprintf(&site, "@%s header X-Product %[1]s\nhandle @%[1]s {\nchat_identity %s {\ndialect %s\n%s}\nreverse_proxy UPSTREAM\n}\n", name, mode, dialect, options)
	}
	done := make(map[string]bool)
	for _, p := range products {
		if done[p.dialect] {
			continue
		}
		done[p.dialect] = true
		own := "widget " + p.dialect + "\nsecret {env.TEST_SECRET}\n"
		if d, err := verifier.LookupDialect(p.dialect); err != nil {
			t.Fatal(err)
		} else if !d.NamesWidget() {
			handler(p.dialect, p.dialect, own)
			continue
		}
		handler(p.dialect, p.dialect, "")
		if p.dialect != "knock" {
			handler(p.dialect+"-own", p.dialect, own)
		}
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
	replayed := make(map[string]bool)
	for _, mode := range []string{"optional", "required"} {
		g, signers := startProducts(t, mode)
		for _, p := range products {
			replayed[p.dialect] = true
			t.Run(mode+"/"+p.dialect+"/"+p.name, func(t *testing.T) {
				claim := func(user string, ours bool, exp int64) identityClaim { return signers.claim(t, &p, user, ours, exp) }
				good := claim("ada", true, now+3600)
				a := p.send(t, g, good)
				p.checkSeen(t, "verified", a, good)
				if a.seen != nil && (a.seen.user() != "ada" || a.seen.Header.Get("X-Identity-Outcome") != "verified") {
					t.Errorf("verified: %v", a.seen.Header)
				}
				forged := claim("eve", false, now+3600)
				bad := []struct {
					what   string
					claim  identityClaim
					reason string
				}{
					{"another key", claim("ada", false, now+3600), "invalid"},
					{"anonymous", nil, "missing"},
				}
				add := func(what string, c identityClaim, reason string) {
					bad = append(bad, struct {
						what   string
						claim  identityClaim
						reason string
					}{what, c, reason})
				}
				if token, ok := forged["TOKEN"]; ok {
					segments := strings.Split(token, ".")
					segments[2] = strings.Split(good["TOKEN"], ".")[2]
					add("another payload", identityClaim{"TOKEN": strings.Join(segments, ".")}, "invalid")
					add("expired", claim("ada", true, now-1), "expired")
					add("for too long", claim("ada", true, now+48*3600), "expired")
				} else {
					add("another user", identityClaim{"USER": "eve", "SIGNATURE": good["SIGNATURE"]}, "invalid")
					add("no digest", identityClaim{"USER": "ada", "SIGNATURE": "x"}, "invalid")
				}
				for _, c := range bad {
					a := p.send(t, g, c.claim)
					if mode == "required" {
						checkProblem(t, a, cmp.Or(productAnswers[p.dialect], generalAnswers[c.reason]), c.reason, p.dialect)
						continue
					}
					p.checkSeen(t, c.what, a, nil)
					if a.seen != nil && (a.seen.user() != "" || a.seen.Header.Get("X-Identity-Reason") != c.reason) {
						t.Errorf("%s: %v", c.what, a.seen.Header)
					}
				}
				if bearer := func(h string) bool { return strings.HasPrefix(h, "Authorization: ") && strings.Contains(h, "TOKEN") }; mode == "optional" && slices.ContainsFunc(p.headers, bearer) {
					opaque := identityClaim{"TOKEN": "opaque-credentials"}
					a := p.send(t, g, opaque)
					p.checkSeen(t, "credentials of another kind", a, opaque)
					if a.seen != nil && a.seen.Header.Get("X-Identity-Reason") != "missing" {
						t.Errorf("credentials of another kind: %v", a.seen.Header)
					}
				}
			})
		}
	}
	if len(replayed) < 17 { // the first five are in outcomes_test.go
		t.Errorf("requests of %d dialects are replayed", len(replayed))
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
		a := products[i].send(t, g, identityClaim{"TOKEN": signers.sign(t, c.dialect, c.claims, true)})
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
