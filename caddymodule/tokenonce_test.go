package caddymodule

import (
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// tokensOnce is a directive that accepts each token of a handler's own widget once.
func tokensOnce(options string) string {
	return "chat_identity required {\nsecret {env.TEST_SECRET}\nclaim token header Authorization\nproof token\none_time\nskew 1s\n" + options + "\n}\n"
}

// numberedToken is a token of ada's that has never been before.
func numberedToken(members ...string) string {
	return tokenOf(fmt.Sprint("j", nonces.Add(1)), members...)
}

// tokenOf is a token of ada's with that jti.
func tokenOf(jti string, members ...string) string {
	own := fmt.Sprintf(`"sub":"ada","exp":%d,"jti":"%s"`, inAnHour(), jti)
	return jwt(testSecret, "{"+strings.Join(append([]string{own}, members...), ",")+"}")
}

// signedNow is a member of tokens that say when they were signed.
func signedNow() string { return fmt.Sprintf(`"iat":%d`, inAnHour()-3600) }

// carry sends a token and returns the verdict.
func (g *gateway) carry(t testing.TB, token string, headers ...string) string {
	t.Helper()
	return verdict(t, g.do(t, "GET", "/chat", "", append(headers, "Authorization: Bearer "+token)...))
}

// TestTokenOnce: a token is accepted once, by its jti, in either ledger and after a reload.
func TestTokenOnce(t *testing.T) {
	redis := redistest.Start(t)
	for name, ledger := range map[string]string{"bolt": ownLedger(t), "redis": "ledger redis redis://" + redis.Addr} {
		t.Run(name, func(t *testing.T) {
			g := live(t, ledger, tokensOnce("")+"reverse_proxy UPSTREAM")
			// A Redis at the address of one before counts as a loss.
			eventually(t, "the ledger takes none", func() bool { return g.carry(t, numberedToken(signedNow())) == "ada" })
			k := tokenOf("first", signedNow())
			for i, want := range []string{"ada", "401 replayed", "401 replayed"} {
				equal(t, g.carry(t, k), want, "%d", i)
			}
			contains(t, g.do(t, "GET", "/chat", "", "Authorization: Bearer "+k).body, "This token was used before.")
			for what, again := range map[string]string{
				"another exp":      jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d,"jti":"first"}`, inAnHour()-9)),
				"another user":     jwt(testSecret, fmt.Sprintf(`{"sub":"bob","exp":%d,"jti":"first"}`, inAnHour())),
				"another spelling": jwt(testSecret, fmt.Sprintf(`{"jti":"\u0066irst","sub":"ada","exp":%d}`, inAnHour())),
				"another iat":      tokenOf("first", `"iat":1`),
			} {
				equal(t, g.carry(t, again), "401 replayed", "%s", what)
			}
			equal(t, g.carry(t, tokenOf("First", signedNow())), "ada", "another jti")
			load(t, g.config)
			equal(t, g.carry(t, k), "401 replayed", "after a reload")
			equal(t, g.carry(t, jwt(otherSecret, fmt.Sprintf(`{"sub":"ada","exp":%d,"jti":"forged"}`, inAnHour()))), "401 invalid", "forged")
			equal(t, g.carry(t, tokenOf("forged", signedNow())), "ada", "the jti that was forged")
		})
	}
}

// TestTokenIDs: what cannot be told from others is not accepted once.
func TestTokenIDs(t *testing.T) {
	g := ledgered(t, tokensOnce("")+"reverse_proxy UPSTREAM")
	for member, want := range map[string]string{
		`"jti":"x"`: "ada", `"jti":"` + strings.Repeat("ü", 255) + `"`: "ada",
		`"a":1`: "400 malformed", `"jti":""`: "400 malformed", `"jti":"` + strings.Repeat("x", 256) + `"`: "400 malformed",
		`"jti":17`: "400 malformed", `"jti":null`: "400 malformed", `"JTI":"y"`: "400 malformed", `"jti":"y","jti":"z"`: "400 malformed",
	} {
		equal(t, g.carry(t, jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d,%s}`, inAnHour(), member))), want, "%.30s", member)
	}
}

// TestTokenOnceByWidget: a jti is unique among the tokens of one widget, whichever it is.
func TestTokenOnceByWidget(t *testing.T) {
	const same = "secret {env.TEST_SECRET}\n}\n" // so that no key tells the two apart
	g := live(t, "widget shop {\n"+same+"widget support {\n"+same+ownLedger(t),
		"chat_identity required {\nwidget {header.X-Widget-Key}\nclaim token header Authorization\nproof token\none_time\n}\nreverse_proxy UPSTREAM")
	k := numberedToken()
	for i, sent := range []struct{ widget, want string }{
		{"shop", "ada"}, {"support", "ada"}, {"shop", "401 replayed"}, {"support", "401 replayed"},
	} {
		equal(t, g.carry(t, k, "X-Widget-Key: "+sent.widget), sent.want, "%d", i)
	}
}

// TestTokenOnceRespelled: of each ECDSA signature (r, s) there is a second one, (r, n-s),
// that verifies, too.
func TestTokenOnceRespelled(t *testing.T) {
	p := newPair(t, jose.ES256, "")
	t.Setenv("PUBLIC_KEY", p.pem(t))
	directive := strings.NewReplacer("secret {env.TEST_SECRET}", "public_key {env.PUBLIC_KEY}\ntoken {\nalgorithm ES256\n}").Replace(tokensOnce(""))
	g := ledgered(t, directive+"reverse_proxy UPSTREAM")
	respelled := func(token string) string {
		head, signature, _ := strings.Cut(token[strings.IndexByte(token, '.')+1:], ".")
		head = token[:strings.IndexByte(token, '.')+1] + head
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		must(t, err)
		s := new(big.Int).SetBytes(raw[32:])
		s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
		return head + "." + base64.RawURLEncoding.EncodeToString(raw)
	}
	mint := func(jti string) string { return p.sign(t, map[string]any{"sub": "ada", "jti": jti, "exp": inAnHour()}) }
	first, second := mint("first"), mint("second")
	for i, sent := range []struct{ token, want string }{
		{first, "ada"}, {respelled(first), "401 replayed"}, {respelled(second), "ada"}, {second, "401 replayed"},
	} {
		equal(t, g.carry(t, sent.token), sent.want, "%d", i)
	}
}

// TestTokenGivenBack: a token that reached no upstream was not used.
func TestTokenGivenBack(t *testing.T) {
	dead := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	g := ledgered(t, "handle /dead {\n"+tokensOnce("")+"reverse_proxy "+dead+"\n}\nhandle {\n"+tokensOnce("")+"reverse_proxy UPSTREAM\n}")
	k := numberedToken()
	for range 2 {
		equal(t, g.do(t, "GET", "/dead", "", "Authorization: Bearer "+k).StatusCode, 502, "no upstream")
	}
	equal(t, g.carry(t, k), "ada", "an upstream")
	equal(t, verdict(t, g.do(t, "GET", "/dead", "", "Authorization: Bearer "+k)), "401 replayed", "used")
}

// TestTokenOnceInConversation: a token that was used before takes no conversation, and one
// that is refused for its conversation was used.
func TestTokenOnceInConversation(t *testing.T) {
	g := ledgered(t, tokensOnce("conversation body /c")+"reverse_proxy UPSTREAM")
	for i, c := range []struct{ user, jti, conversation, want string }{
		{"ada", "1", "c1", "ada"}, {"ada", "1", "c1", "401 replayed"}, {"ada", "2", "c1", "ada"},
		{"bob", "3", "c1", "403 conversation_claimed"}, {"bob", "3", "c2", "401 replayed"}, {"bob", "4", "c2", "bob"},
		{"ada", "1", "c3", "401 replayed"}, {"bob", "5", "c3", "bob"},
	} {
		token := jwt(testSecret, fmt.Sprintf(`{"sub":"%s","exp":%d,"jti":"%s"}`, c.user, inAnHour(), c.jti))
		equal(t, verdict(t, g.post(t, `{"c":"`+c.conversation+`"}`, "Authorization: Bearer "+token)), c.want, "%d", i)
	}
}

// TestTokenOnceAfterLoss: a restart forgets nothing. Who has lost the ledger does not know
// which tokens were used, and takes those alone that say they were signed since.
func TestTokenOnceAfterLoss(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger", "ledger.db")
	l := &loser{process: newProcess(t, "ledger bolt "+path, tokensOnce("")+"reverse_proxy UPSTREAM"), path: path}
	l.run(t)
	used, silent := numberedToken(), numberedToken()
	equal(t, l.carry(t, used), "ada", "at first")
	l.restart(t)
	equal(t, l.carry(t, used), "401 replayed", "after a restart")
	l.restart(t, l.remove)
	for range 2 {
		l.shows(t, true)
		equal(t, l.carry(t, used), "503 unavailable", "used before the loss")
		equal(t, l.carry(t, silent), "503 unavailable", "not used, but nobody knows")
		eventually(t, "no token is accepted", func() bool { return l.carry(t, numberedToken(signedNow())) == "ada" })
		l.since()
		l.restart(t)
	}
	l.accept(t, "is accepted")
	equal(t, l.carry(t, used), "503 unavailable", "after the loss was accepted")
}

// TestTokenOnceInFleet: of two gateways one accepts tokens that live longer. What it has
// accepted is known to the other, and refused by it after a loss.
func TestTokenOnceInFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	brief := newProcess(t, options, tokensOnce("token {\nmax_lifetime 50m\n}")+"reverse_proxy UPSTREAM")
	long := newProcess(t, options, tokensOnce("token {\nmax_lifetime 10h\n}")+"reverse_proxy UPSTREAM")
	brief.run(t)
	long.run(t)
	token := func(left int64) string {
		return jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d,"jti":"%d"}`, inAnHour()-3600+left, nonces.Add(1)))
	}
	// By the brief one's own reckoning, nobody has accepted this one before a few seconds
	// from now, which is after the loss.
	k := token(50*60 + 6)
	eventually(t, "Redis is not reached", func() bool { return long.carry(t, token(60)) == "ada" })
	equal(t, long.carry(t, k), "ada", "at the one that accepts it")
	equal(t, brief.carry(t, k), "401 expired", "at the other")
	server.Do("FLUSHALL")
	eventually(t, "it does not come into reach", func() bool { return brief.carry(t, k) != "401 expired" })
	for _, p := range []*process{brief, long, brief} {
		equal(t, p.carry(t, k), "503 unavailable", "after the loss")
	}
}
