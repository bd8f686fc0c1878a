package observability_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	chatSecret    = "0123456789abcdef-chat"
	openingSecret = "0123456789abcdef-openings"
)

// gateway is the gateway with the example's Caddyfile. Started again, it finds
// what it has stored.
type gateway struct {
	*testbed.Process
	home        string
	site, admin string // their ports
	options     string // global ones beside the example's
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{home: t.TempDir(), site: strconv.Itoa(testbed.FreePort(t)), admin: strconv.Itoa(testbed.FreePort(t))}
	g.start(t)
	return g
}

func (g *gateway) start(t *testing.T) {
	t.Helper()
	caddyfile, err := os.ReadFile("Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	// The sites answer a moment before the admin API knows their configuration.
	g.Process = testbed.Run(t, strings.Replace(string(caddyfile), "{\n", "{\n"+g.options, 1), g.home, "http://localhost:"+g.admin+"/chat_identity/stats",
		"PORT="+g.site, "ADMIN_PORT="+g.admin, "CHAT_IDENTITY_SECRET="+chatSecret, "OPENING_SECRET="+openingSecret)
}

// send sends a request to the site, or to the admin endpoint if the path is
// one of its, and expects a status.
func (g *gateway) send(t *testing.T, want int, method, path, body string, header ...string) string {
	t.Helper()
	url := "http://localhost:" + g.site + path
	if strings.HasPrefix(path, "/chat_identity/") || path == "/metrics" {
		url = "http://localhost:" + g.admin + path
	}
	response, text := testbed.Send(t, method, url, body, header...)
	if response.StatusCode != want {
		t.Fatalf("%s %s was answered %d %s, want %d", method, path, response.StatusCode, text, want)
	}
	return text
}

// stock creates widgets whose encryption key is then replaced, as if it were lost, and one in grace.
func (g *gateway) stock(t *testing.T) {
	t.Helper()
	g.send(t, 201, "POST", "/chat_identity/widgets", `{"id":"shop"}`)
	g.send(t, 201, "POST", "/chat_identity/widgets", `{"id":"quiet","mode":"off"}`)
	g.send(t, 200, "POST", "/chat_identity/widgets/shop/rotate", `{"grace":"24h"}`)
	g.Stop(t)
	g.options = "chat_identity {\nencryption_key " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n}\n"
	g.start(t)
}

// visit sends a request for everything that verification can find.
func (g *gateway) visit(t *testing.T) {
	t.Helper()
	claim := func(user, more string) string {
		return fmt.Sprintf(`{"user_id":%q,"user_hash":%q%s}`, user, testbed.Sign(chatSecret, user), more)
	}
	const chat = "/chat/messages"
	g.send(t, 200, "POST", chat, claim("ada", `,"conversation_id":"c1"`))
	g.send(t, 200, "POST", chat, claim("ada", `,"conversation_id":"c1"`))
	g.send(t, 403, "POST", chat, claim("grace", `,"conversation_id":"c1"`))
	g.send(t, 200, "POST", chat, `{}`)
	g.send(t, 200, "POST", chat, `{"user_id":"ada"}`)
	g.send(t, 200, "POST", chat, strings.Replace(claim("ada", ""), "ada", "grace", 1))
	g.send(t, 400, "POST", chat, claim("ada", `,"user_id":"grace"`))
	g.send(t, 400, "POST", chat, `{"user_id":`)
	g.send(t, 413, "POST", chat, `{"text":"`+strings.Repeat("a", 2<<20)+`"}`)
	g.send(t, 415, "POST", chat, claim("ada", ""), "Content-Encoding", "gzip")
	g.send(t, 200, "POST", "/widgets/messages", claim("ada", ""), "X-Widget-Key", "nobody")
	g.send(t, 200, "POST", "/widgets/messages", claim("ada", ""), "X-Widget-Key", "shop")
	g.send(t, 200, "POST", "/widgets/messages", claim("ada", ""), "X-Widget-Key", "quiet")

	var identified struct{ Session struct{ Token string } }
	if err := json.Unmarshal([]byte(g.send(t, 200, "POST", "/chat/identify", claim("ada", ""))), &identified); err != nil {
		t.Fatal(err)
	}
	session := identified.Session.Token
	g.send(t, 200, "POST", chat, `{}`, "X-Chat-Session", session)
	g.send(t, 200, "POST", chat, `{}`, "X-Chat-Session", session[:len(session)-8]+strings.Repeat("A", 8))

	g.send(t, 200, "POST", "/members/messages", `{}`, "Authorization", "Bearer "+token(chatSecret, "ada"))

	once := func(signed time.Time) string {
		nonce, at := strings.Repeat("n", 32), strconv.FormatInt(signed.Unix(), 10)
		return fmt.Sprintf(`{"user_id":"ada","hmacNonce":%q,"hmacTimestamp":%q,"hmacSignature":%q}`, nonce, at, testbed.Sign(openingSecret, "ada"+nonce+at))
	}
	opening := once(time.Now())
	g.send(t, 200, "POST", "/open/", opening)
	g.send(t, 403, "POST", "/open/", opening)
	g.send(t, 401, "POST", "/open/", once(time.Now().Add(-time.Hour)))
}

// scrape returns the metrics, once the stored widgets have been counted.
func (g *gateway) scrape(t *testing.T) string {
	t.Helper()
	var text string
	testbed.Until(t, "a secret in grace to be counted", func() bool {
		text = g.send(t, 200, "GET", "/metrics", "")
		return strings.Contains(text, "\ncaddy_chat_identity_secrets_in_grace 1\n")
	})
	return text
}

// token is a user's JSON Web Token, good for a minute.
func token(secret, user string) string { return jwt("HS256", user, testbed.MAC(secret)) }

func jwt(algorithm, user string, sign func(text string) []byte) string {
	return testbed.Token(fmt.Sprintf(`{"alg":%q}`, algorithm), fmt.Sprintf(`{"sub":%q,"exp":%d}`, user, time.Now().Add(time.Minute).Unix()), sign)
}
