package caddymodule

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// TestDocsTokenSigner sends the token of the documents' signer through the configuration
// beside it.
func TestDocsTokenSigner(t *testing.T) {
	g := start(t, "", documented(t, "caddyfile tokens"))
	file := filepath.Join(t.TempDir(), "sign.js")
	must(t, os.WriteFile(file, []byte(find(t, "js token")+"\nconsole.log(userToken(JSON.parse(process.argv[2])))\n"), 0o600))
	for user, want := range map[string][3]string{
		`{"id":"ada","email":"ada@shop.example","name":"Ada L"}`: {"ada", "ada@shop.example", "Ada%20L"},
		`{"id":42}`:      {"42", "", ""},
		`{"id":"zoë ~"}`: {"zo%C3%AB%20~", "", ""},
	} {
		node := exec.Command("node", file, user)
		node.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+exampleSecret)
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		a := g.do(t, "GET", "/chat/x", "", "Authorization: Bearer "+strings.TrimSpace(string(out)))
		if a.seen == nil {
			t.Fatalf("%s: %d %s", user, a.StatusCode, a.body)
		}
		h := a.seen.Header
		equal(t, [3]string{a.seen.user(), h.Get("X-Verified-Email"), h.Get("X-Verified-Name")}, want, "%s", user)
	}
}

// TestDocsTokenMistakes makes each mistake of the documents' table.
func TestDocsTokenMistakes(t *testing.T) {
	g := start(t, "", strings.Replace(documented(t, "caddyfile tokens"), "dialect jwt", "dialect jwt\ntoken {\nrequire /aud chat\n}", 1))
	now := time.Now().Unix()
	payload := func(sub, exp string) string { return fmt.Sprintf(`{%s"aud":"chat"%s}`, sub, exp) }
	const ada = `"sub":"ada",`
	soon := fmt.Sprintf(`,"exp":%d`, now+600)
	plain := payload(ada, soon)
	good := jwt(exampleSecret, plain)
	decoded, err := base64.RawURLEncoding.DecodeString(exampleSecret) // which is in that alphabet
	must(t, err)
	encrypted := segment(`{"alg":"dir","enc":"A128GCM"}`) + "..eHh4.eHh4.eHh4"
	tokens := map[string]string{
		"the secret is decoded before it signs": jwt(string(decoded), plain),
		"a newline was read with the secret":    jwt(exampleSecret+"\n", plain),
		"another algorithm":                     signedAs(sha512.New, exampleSecret, `{"alg":"HS512"}`, plain),
		"another audience":                      jwt(exampleSecret, `{"sub":"ada","aud":"mail"`+soon+`}`),
		"no `exp`":                              jwt(exampleSecret, payload(ada, "")),
		"`exp` is a text":                       jwt(exampleSecret, payload(ada, fmt.Sprintf(`,"exp":"%d"`, now+600))),
		"`exp` in milliseconds":                 jwt(exampleSecret, payload(ada, fmt.Sprintf(`,"exp":%d000`, now+600))),
		"good for a week":                       jwt(exampleSecret, payload(ada, fmt.Sprintf(`,"exp":%d`, now+7*24*3600))),
		"the server's clock is a minute fast":   jwt(exampleSecret, payload(ada, soon+fmt.Sprintf(`,"iat":%d`, now+60))),
		"the user id is in another claim":       jwt(exampleSecret, payload(`"user_id":"ada",`, soon)),
		"the user id is a fraction or a list":   jwt(exampleSecret, payload(`"sub":[42],`, soon)),
		"copied with a newline":                 good + "\n",
		"quotation marks around it":             `"` + good + `"`,
		"an encrypted token (five segments)":    encrypted,
		"a token of the login, opaque":          "2YotnFZFEjr1zCsicMWpAA",
		"":                                      good, // and none
	}
	rows := map[string]string{"": ""}
	for _, row := range table(t, "docs/tokens.md", "## What went wrong?") {
		rows[row[0]] = strings.Trim(row[1], "`")
	}
	equal(t, len(rows), len(tokens), "mistakes")
	for mistake, token := range tokens {
		want, ok := rows[mistake]
		// A newline cannot come in a header.
		headers, body := []string{jsonType, "Authorization: Bearer " + token}, `{}`
		if strings.HasSuffix(token, "\n") {
			headers, body = headers[:1], `{"user_token":"`+strings.TrimSpace(token)+`\n"}`
		}
		a := g.do(t, "POST", "/chat/x", body, headers...)
		if got := string(a.problem(t).Reason); !ok || got != want || (a.seen != nil) != (want == "") {
			t.Errorf("%q: %q (%d), documented %v as %q", mistake, got, a.StatusCode, ok, want)
		}
	}
	forged := signedAs(sha256.New, otherSecret, `{"alg":"HS256"}`, `{"sub":"ada","aud":"chat","exp":1}`)
	equal(t, g.do(t, "POST", "/chat/x", "", "Authorization: Bearer "+forged).problem(t).Reason, judgment.Invalid, "a forged token that has expired")
}

// TestDocsMigration goes the documents' way from signatures to tokens.
func TestDocsMigration(t *testing.T) {
	g := live(t, "", documented(t, "caddyfile migrating"))
	old := g.create(t, `{"id":"shop"}`)
	command := func(args ...string) string {
		t.Helper()
		out, stderr, err := runCommand(t, "", append(args, "--address", g.admin)...)
		if err != nil {
			t.Fatalf("%s%v", stderr, err)
		}
		return out
	}
	secret := g.rotate(t, "shop", `{"grace":"1h"}`)
	const person = `"user_id":"ada","user_hash":"`
	signed := func(secret string) *answered {
		return g.do(t, "POST", "/chat/x", `{`+person+signWith(secret, "ada")+`"}`, jsonType, "X-Widget-Key: shop")
	}
	byToken := func(body string) *answered {
		token := signedAs(sha512.New, secret, `{"alg":"HS512"}`, fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
		return g.do(t, "POST", "/chat/x", body, jsonType, "X-Widget-Key: shop", "Authorization: Bearer "+token)
	}
	for i := range 12 {
		var a *answered
		switch {
		case i < 3:
			a = signed(old)
		case i == 3: // a page that sends both
			a = byToken(`{` + person + signWith(old, "ada") + `"}`)
		default:
			a = byToken(`{}`)
		}
		if a.seen == nil || a.seen.user() != "ada" {
			t.Fatalf("%d: %d %s", i, a.StatusCode, a.body)
		}
	}
	want := strings.ReplaceAll(strings.TrimLeft(find(t, "text migrating"), " "), "\n   ", "\n")
	if got := command("readiness", "shop"); varying.ReplaceAllString(got, "~") != varying.ReplaceAllString(want, "~") {
		t.Errorf("%s\nwant\n%s", got, want)
	}

	// The server signs an id that is the beginning of a token. HS512 is what keeps the
	// user hash from being that token's signature.
	chosen := segment(`{"alg":"HS256"}`) + "." + segment(fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour()))
	hash, err := hex.DecodeString(signWith(secret, chosen))
	must(t, err)
	forged := "Authorization: Bearer " + chosen + "." + base64.RawURLEncoding.EncodeToString(hash)
	equal(t, verdict(t, g.do(t, "GET", "/chat/x", "", forged, "X-Widget-Key: shop")), "401 invalid", "a user hash as a token's signature")
	load(t, strings.Replace(g.config, "algorithm HS512", "algorithm HS256", 1))
	equal(t, verdict(t, g.do(t, "GET", "/chat/x", "", forged, "X-Widget-Key: shop")), "ada", "a user hash as a token's signature, by HS256")

	site := documented(t, "caddyfile migrated")
	g.config = strings.Replace(g.config, "claim token header", "proof token\nclaim token header", 1)
	for line := range strings.Lines(site) { // what the documents change is that line alone
		if !strings.Contains(line, "UPSTREAM") && !strings.Contains(g.config, strings.TrimSpace(line)) {
			t.Errorf("the last configuration has %q", line)
		}
	}
	load(t, g.config)
	command("rotate", "shop", "--end-grace")
	equal(t, byToken(`{}`).StatusCode, http.StatusOK, "a token")
	for name, secret := range map[string]string{"old": old, "new": secret} {
		a := signed(secret)
		equal(t, a.StatusCode, http.StatusUnauthorized, "a signature with the %s secret", name)
		equal(t, string(a.problem(t).Reason), "partial", "a signature with the %s secret", name)
	}
}
