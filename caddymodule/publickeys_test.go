package caddymodule

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// bound is the token block of a handler with a key set.
const bound = `
	token {
		algorithm ES256
		require /iss https://shop.example
		require /aud chat
	}
`

// bearer sends a token and returns the outcome that the upstream was sent, with the
// reason, or the status of the refusal and its reason.
func (g *gateway) bearer(t testing.TB, path, token string, headers ...string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, g.url+path, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	defer response.Body.Close()
	saw := g.upstream.take()
	if saw == nil {
		return fmt.Sprint(response.StatusCode)
	}
	if outcome := saw.Header.Get("X-Identity-Outcome"); outcome != "verified" {
		return strings.TrimSpace(outcome + " " + saw.Header.Get("X-Identity-Reason"))
	}
	if saw.user() != "ada" {
		t.Errorf("verified as %s", saw.user())
	}
	return "verified"
}

// TestPublicKey: a handler's only widget has public keys, in every way of writing them.
func TestPublicKey(t *testing.T) {
	first, second, stranger := newPair(t, "ES256", ""), newPair(t, "ES256", "a kid that nothing knows"), newPair(t, "ES256", "")
	file := filepath.Join(t.TempDir(), "shop.pem")
	must(t, os.WriteFile(file, []byte(first.pem(t)), 0o600))
	t.Setenv("PUBLIC_KEY", second.pem(t))
	line := base64.StdEncoding.EncodeToString([]byte(first.pem(t)))
	for name, keys := range map[string]string{
		"file and variable": "{file." + file + "} {env.PUBLIC_KEY}",
		"base64 and quoted": line + " \"" + strings.TrimSpace(second.pem(t)) + "\"",
	} {
		t.Run(name, func(t *testing.T) {
			g := chat(t, "chat_identity optional {\nclaim token header Authorization\ntoken {\nalgorithm ES256\n}\npublic_key "+keys+"\n}")
			for _, c := range []struct {
				name, token, want string
			}{
				{"the first", first.token(t), "verified"},
				{"the second, whose kid is ignored", second.token(t), "verified"},
				{"another key", stranger.token(t), "invalid invalid"},
				{"an HMAC with the PEM as its key", jwt(first.pem(t), fmt.Sprintf(`{"sub":"ada","exp":%d}`, inAnHour())), "invalid invalid"},
			} {
				equal(t, g.bearer(t, "/", c.token), c.want, "%s", c.name)
			}
			hits, _ := verdicts.Stats()
			token := first.token(t)
			eventually(t, "no verdict is remembered", func() bool {
				equal(t, g.bearer(t, "/", token), "verified", "the same token")
				now, _ := verdicts.Stats()
				return now > hits
			})
		})
	}
}

// TestKeySet: keys come from an https server, and one that it removes stops with the next
// reading.
func TestKeySet(t *testing.T) {
	old, next := newPair(t, "ES256", "old"), newPair(t, "ES256", "next")
	source := newKeySource(t, old)
	g := chat(t, "chat_identity optional {\nclaim token header Authorization"+bound+"jwks "+source.URL+"\n}")
	equal(t, g.bearer(t, "/", old.token(t)), "verified", "its key")
	equal(t, g.bearer(t, "/", next.token(t)), "invalid invalid", "a key that it does not have")
	if n := source.fetches.Load(); n > 2 {
		t.Errorf("%d fetches", n)
	}
	source.holds(t, old, next)
	must(t, reread(t, source.URL))
	equal(t, g.bearer(t, "/", next.token(t)), "verified", "a key that was added")
	source.holds(t, next)
	must(t, reread(t, source.URL))
	equal(t, g.bearer(t, "/", old.token(t)), "invalid invalid", "a key that was removed, though its token was verified before")
	equal(t, g.bearer(t, "/", next.token(t)), "verified", "the one that is left")
	for name, claims := range map[string]map[string]any{
		"another issuer":   {"sub": "ada", "iss": "https://other.example", "aud": "chat", "exp": inAnHour()},
		"another audience": {"sub": "ada", "iss": "https://shop.example", "aud": "mail", "exp": inAnHour()},
		"no audience":      {"sub": "ada", "iss": "https://shop.example", "exp": inAnHour()},
	} {
		equal(t, g.bearer(t, "/", next.sign(t, claims)), "invalid invalid", "%s", name)
	}
}

// TestKeySetFile: a key set in a file is read again with a reload.
func TestKeySetFile(t *testing.T) {
	old, next := newPair(t, "ES256", "old"), newPair(t, "ES256", "next")
	path := filepath.Join(t.TempDir(), "jwks.json")
	must(t, os.WriteFile(path, jwksOf(t, old), 0o600))
	g := chat(t, "chat_identity optional {\nclaim token header Authorization"+bound+"jwks "+path+"\n}")
	equal(t, g.bearer(t, "/", old.token(t)), "verified", "its key")
	must(t, os.WriteFile(path, jwksOf(t, next), 0o600))
	load(t, g.config)
	equal(t, g.bearer(t, "/", old.token(t)), "invalid invalid", "a key that the file had before")
	equal(t, g.bearer(t, "/", next.token(t)), "verified", "the key that it has")
}

// TestKeySetOfLargeKeys: an RSA key of more than 4,096 bits counts in a file and from a URL.
func TestKeySetOfLargeKeys(t *testing.T) {
	text, err := os.ReadFile("testdata/rsa6144.pem") // it takes half a minute to generate one
	must(t, err)
	block, _ := pem.Decode(text)
	signer, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	key := &pair{algorithm: jose.RS256, kid: "large", Signer: signer.(crypto.Signer)}
	path := filepath.Join(t.TempDir(), "jwks.json")
	must(t, os.WriteFile(path, jwksOf(t, key), 0o600))
	for _, source := range []string{path, newKeySource(t, key).URL} {
		g := chat(t, "chat_identity optional {\nclaim token header Authorization"+strings.Replace(bound, "ES256", "RS256", 1)+"jwks "+source+"\n}")
		equal(t, g.bearer(t, "/", key.token(t)), "verified", "%s", source)
	}
}

// TestKeySetsDoNotMix: a kid names a key of its own set alone.
func TestKeySetsDoNotMix(t *testing.T) {
	a, b := newPair(t, "ES256", "1"), newPair(t, "ES256", "1")
	first, second := newKeySource(t, a), newKeySource(t, b)
	site := ""
	for path, source := range map[string]*keySource{"a": first, "b": second} {
		site += "chat_identity /" + path + "* optional {\nwidget " + path + "\nclaim token header Authorization" + bound + "jwks " + source.URL + "\n}\n"
	}
	g := chat(t, site)
	for _, c := range []struct {
		path string
		by   *pair
		want string
	}{{"/a", a, "verified"}, {"/b", b, "verified"}, {"/a", b, "invalid invalid"}, {"/b", a, "invalid invalid"}} {
		equal(t, g.bearer(t, c.path, c.by.token(t)), c.want, "%s", c.path)
	}
}

// TestKeySetOutage: keys are served while their source is away, over a reload too, and then
// are unavailable. Health says so in each state.
func TestKeySetOutage(t *testing.T) {
	key := newPair(t, "ES256", "1")
	source := newKeySource(t, key)
	site := "chat_identity required {\nclaim token header Authorization" + bound + "jwks " + source.URL + "\n}\nreverse_proxy UPSTREAM"
	source.fails()
	g := live(t, "stale_if_error 1h", site)
	health := func(status string, code int, says string) {
		t.Helper()
		got := g.call(t, "GET", "health", "")
		if got.status != code || !strings.Contains(got.body, `"status":"`+status+`"`) || !strings.Contains(got.body, says) {
			t.Errorf("%d %s, want %s and %q", got.status, got.body, status, says)
		}
	}
	equal(t, g.bearer(t, "/", key.token(t)), "503", "a set that was never read")
	health("down", 503, "the key set "+source.URL+" cannot be read (it answers with status 502), so its widgets are unavailable")
	source.holds(t, key)
	must(t, reread(t, source.URL))
	equal(t, g.bearer(t, "/", key.token(t)), "verified", "the source is back")
	health("ok", 200, "")
	source.answers(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[{"kty":"RSA","kid":"2","use":"enc"}]}`))
	})
	must(t, reread(t, source.URL))
	health("degraded", 200, "tell whoever publishes it (1 of 1 keys are not used: '2': its use is 'enc')")
	source.holds(t, key)
	must(t, reread(t, source.URL))
	source.fails()
	if reread(t, source.URL) == nil {
		t.Fatal("the source does not fail")
	}
	fetches := source.fetches.Load()
	equal(t, g.bearer(t, "/", key.token(t)), "verified", "the source has just failed")
	health("degraded", 200, "its last keys are used until")
	load(t, g.config)
	equal(t, g.bearer(t, "/", key.token(t)), "verified", "after a reload")
	equal(t, source.fetches.Load(), fetches, "a reload fetches what is known")
	g.config = strings.Replace(g.config, "stale_if_error 1h", "stale_if_error 0s", 1)
	load(t, g.config)
	equal(t, g.bearer(t, "/", key.token(t)), "503", "nothing stale is to be served")
	health("down", 503, "so its widgets are unavailable")
	g.config = strings.Replace(g.config, "jwks ", "widget shop\njwks ", 1)
	g.config = strings.Replace(g.config, "reverse_proxy", "chat_identity /other {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy", 1)
	load(t, g.config)
	health("degraded", 200, "so its widgets are unavailable")
	var one adminapi.Widget
	g.askInto(t, "widgets/shop", &one)
	if one.JWKS != source.URL || !strings.Contains(one.Unavailable, "status 502") {
		t.Errorf("%+v", one)
	}
}

// TestKeySetFetches is what a source of keys may answer.
func TestKeySetFetches(t *testing.T) {
	key := newPair(t, "ES256", "1")
	source, other := newKeySource(t, key), newKeySource(t, key)
	g := chat(t, "chat_identity optional {\nclaim token header Authorization"+bound+"jwks "+source.URL+"\n}")
	equal(t, g.bearer(t, "/", key.token(t)), "verified", "a good answer")
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, "a redirect to " + other.URL},
		"too much":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 200<<10)) }, "larger than"},
		"a page":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "not a JWK Set"},
	} {
		source.answers(c.answer)
		errorSays(t, reread(t, source.URL), c.says, "%s", name)
	}
	equal(t, other.fetches.Load(), 0, "a redirect was followed")
}

// TestPublicKeysRefused is what does not load.
func TestPublicKeysRefused(t *testing.T) {
	es, rs, es384 := newPair(t, "ES256", ""), newPair(t, "RS256", ""), newPair(t, "ES384", "")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	esFile, rsFile, es384File := write("es.pem", es.pem(t)), write("rs.pem", rs.pem(t)), write("es384.pem", es384.pem(t))
	private := write("private.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	const token = "claim token header Authorization\n"
	const es256 = token + "token {\nalgorithm ES256\n}\n"
	for name, c := range map[string]struct{ options, says string }{
		"another kind":             {es256 + "public_key {file." + rsFile + "}", "public key file " + rsFile + ": ES256 takes an ECDSA key on the curve P-256, and this is an RSA key"},
		"another curve":            {es256 + "public_key {file." + es384File + "}", "this is an ECDSA key on the curve P-384"},
		"a private key":            {es256 + "public_key {file." + private + "}", "public key file " + private + ": this is a private key"},
		"no such file":             {es256 + "public_key {file." + dir + "/none.pem}", "public key file " + dir + "/none.pem does not exist"},
		"a path":                   {es256 + "public_key " + esFile, "write {file./path/of/the/key.pem}"},
		"no PEM":                   {es256 + "public_key hello", "not a public key in PEM"},
		"the same key twice":       {es256 + "public_key {file." + esFile + "} {file." + esFile + "}", "the same key is repeated"},
		"too many":                 {es256 + "public_key" + strings.Repeat(" {file."+esFile+"}", 5), "at most 4"},
		"HS256 with a public key":  {token + "public_key {file." + esFile + "}", "never the key of an HMAC"},
		"HS256 with a key set":     {token + "token {\nrequire /iss a\nrequire /aud b\n}\njwks https://login.example.com/jwks", "never the key of an HMAC"},
		"a secret with ES256":      {es256 + "secret {env.TEST_SECRET}", "ES256 is verified with a public key"},
		"secret and public key":    {es256 + "secret {env.TEST_SECRET}\npublic_key {file." + esFile + "}", "public_key beside secret"},
		"secret and key set":       {es256 + "secret {env.TEST_SECRET}\njwks https://login.example.com/jwks", "jwks beside secret"},
		"public key and key set":   {es256 + "public_key {file." + esFile + "}\njwks https://login.example.com/jwks", "jwks beside public_key"},
		"http":                     {token + bound + "jwks http://login.example.com/jwks", "use https"},
		"a user in the URL":        {token + bound + "jwks https://me@login.example.com/jwks", "has a user or password"},
		"no require":               {es256 + "jwks https://login.example.com/jwks", "'require /iss <issuer>' and 'require /aud <audience>'"},
		"no audience":              {token + "token {\nalgorithm ES256\nrequire /iss a\n}\njwks https://login.example.com/jwks", "'require /aud <audience>'"},
		"no such key set":          {token + bound + "jwks " + dir + "/none.json", "key set file " + dir + "/none.json does not exist"},
		"a key set of other keys":  {token + bound + "jwks " + write("rs.json", string(jwksOf(t, rs))), "no key for this handler's tokens"},
		"a public key as a secret": {token + "secret {file." + write("public.pem", newPair(t, "ES256", "").pem(t)) + "}", "write public_key in place of secret"},
		"an empty key set":         {token + bound + "jwks " + write("empty.json", `{"keys":[]}`), "no key for this handler's tokens"},
		"no key set":               {token + bound + "jwks " + esFile, "not a JWK Set"},
		"a widget by request":      {es256 + "widget {header.X-Widget-Key}\npublic_key {file." + esFile + "}", "a handler with public_key has a single widget"},
		"no token":                 {"public_key {file." + esFile + "}", "which the dialect bookbag does not send"},
	} {
		t.Run(name, func(t *testing.T) {
			caddyfile := "{\nadmin off\n}\nhttp://localhost:1 {\nchat_identity {\n" + c.options + "\n}\n}\n"
			_, err := adapt(caddyfile)
			if err == nil {
				err = validate(caddyfile)
			}
			errorSays(t, err, c.says, "")
		})
	}
	caddyfile := "http://localhost:1 {\nchat_identity /a {\nwidget shop\n" + es256 + "public_key {file." + esFile + "}\n}\nchat_identity /b {\nwidget shop\n" + es256 + "public_key {file." + write("other.pem", newPair(t, "ES256", "").pem(t)) + "}\n}\n}\n"
	errorSays(t, validate(caddyfile), "widget shop has different keys elsewhere", "two handlers")
}
