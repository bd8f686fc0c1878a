package dashboard

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// tokenDialects are those with tokens, and jwt as site blocks can change it.
func tokenDialects(t *testing.T) (all []verifier.Dialect) {
	t.Helper()
	for _, d := range verifier.Dialects {
		if d.TakesToken() && d.Message == "" {
			all = append(all, d)
		}
	}
	for name, change := range map[string]func(*verifier.Dialect){
		"nested": func(d *verifier.Dialect) {
			d.Token.Algorithms, d.Token.UserID = []string{"HS384"}, []string{"/user/of $it/#id"}
			d.Token.Require = map[string][]string{"/iss": {"https://shop.example"}, "/aud": {"a 'quoted' $audience #{1}"}}
		},
		"hex key":       func(d *verifier.Dialect) { d.Token.Algorithms, d.KeyEncoding = []string{"HS512"}, "hex" },
		"base64 key":    func(d *verifier.Dialect) { d.KeyEncoding = "base64" },
		"base64url key": func(d *verifier.Dialect) { d.KeyEncoding = "base64url" },
		"RS512":         func(d *verifier.Dialect) { d.Token.Algorithms = []string{"RS512"} },
		"PS256":         func(d *verifier.Dialect) { d.Token.Algorithms = []string{"PS256"} },
		"ES384":         func(d *verifier.Dialect) { d.Token.Algorithms = []string{"ES384"} },
		"EdDSA":         func(d *verifier.Dialect) { d.Token.Algorithms = []string{"EdDSA"} },
	} {
		d, err := verifier.LookupDialect("jwt")
		if err != nil {
			t.Fatal(err)
		}
		d.Name = name
		change(&d)
		all = append(all, d)
	}
	return all
}

// secretOf returns a secret that a dialect takes.
func secretOf(d *verifier.Dialect) string {
	return map[string]string{
		"": testSecret, "text": testSecret, "hex": "00ff5566778899aabbccddeeff00112233", "base64": "/+D/AP8A/+D/AP8A/+D/AP8A+w==", "base64url": "_-D_AP8A_-D_AP8A_-D_AP8A-w",
	}[d.KeyEncoding]
}

// keyOf returns what signs tokens of a dialect, the secret or a file, and the key that
// verifies them.
func keyOf(t *testing.T, d *verifier.Dialect) (text string, key *verifier.Key) {
	t.Helper()
	algorithm := append(slices.Clone(d.Token.Algorithms), "HS256")[0]
	var private crypto.Signer
	var err error
	switch algorithm[:2] {
	case "HS":
		text := secretOf(d)
		secret, err := verifier.NewSecret(text)
		if err == nil {
			secret, err = secret.Decoded(d.KeyEncoding)
		}
		if err != nil {
			t.Fatal(err)
		}
		return text, verifier.NewKey(secret)
	case "ES":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "private.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err = verifier.NewPublicKey(verifier.PublicKey{Key: private.Public()}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHAT_IDENTITY_KEY_FILE", file)
	return testSecret, key
}

// verifyToken checks a token as the gateway does, and returns the verified user.
func verifyToken(t *testing.T, d *verifier.Dialect, token string, key *verifier.Key) string {
	t.Helper()
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	var r verifier.Reading
	r.Text(verifier.Place{Field: verifier.TokenField}, []byte(token))
	id, err := v.Verify(&r, key)
	if err != nil {
		t.Errorf("%v: %s", err, token)
	}
	return id.User()
}

// TestTokenSnippets runs the server's code for tokens in every language and dialect, and
// verifies what it returns.
func TestTokenSnippets(t *testing.T) {
	for _, d := range tokenDialects(t) {
		snippets := For(&Site{Dialect: d}, "shop")
		algorithm := append(slices.Clone(d.Token.Algorithms), "HS256")[0]
		if want := map[bool]int{true: 5, false: 1}[strings.HasPrefix(algorithm, "HS") || strings.HasPrefix(algorithm, "RS")]; len(snippets.Snippets) != want || len(snippets.Fields) != 1 {
			t.Fatalf("%s: %d snippets, fields %q", d.Name, len(snippets.Snippets), snippets.Fields)
		}
		secret, key := keyOf(t, &d)
		for _, s := range snippets.Snippets {
			t.Run(d.Name+"/"+s.Language, func(t *testing.T) {
				command := program(t, s)
				for _, user := range []string{"42", "zoë@exämple.com", ` "quoted" & $HOME'd `} {
					out, err := sign(command, secret, user)
					if err != nil {
						t.Fatalf("%q: %v\n%s", user, err, out)
					}
					var claim map[string]string
					if err := json.Unmarshal([]byte(out), &claim); err != nil || len(claim) != 1 {
						t.Fatalf("%v: %s", err, out)
					}
					if got := verifyToken(t, &d, claim[snippets.Fields[0]], key); got != user {
						t.Errorf("verifies %q, want %q, from\n%s", got, user, s.Code)
					}
				}
				if out, err := sign(command, secret, ""); err == nil || !strings.Contains(out, "nobody is signed in") {
					t.Errorf("no user: %v, %s", err, out)
				}
				if strings.HasPrefix(algorithm, "HS") {
					if out, err := sign(command, "", "u"); err == nil || !strings.Contains(out, "CHAT_IDENTITY_SECRET is not set") {
						t.Errorf("no secret: %v, %s", err, out)
					}
				}
			})
		}
	}
}

// TestTokenInPage runs the page's code, and verifies the token where the dialect has it.
func TestTokenInPage(t *testing.T) {
	const stub = `
globalThis.fetch = async (url, options) => {
  if (url === '/your/chat-identity') return { ok: true, json: async () => chatIdentity(process.argv[2]) }
  console.log(JSON.stringify({ url: String(url), headers: options.headers, body: JSON.parse(options.body) }))
}
send('Where is my order?')
`
	for _, d := range tokenDialects(t) {
		t.Run(d.Name, func(t *testing.T) {
			site := &Site{Dialect: d}
			node := For(site, "shop").Snippets[0]
			node.Code += node.Browser + stub + "\n//"
			secret, key := keyOf(t, &d)
			out, err := sign(program(t, node), secret, "user-123")
			var sent struct {
				URL     string
				Headers map[string]string
				Body    map[string]any
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if err != nil || json.Unmarshal([]byte(lines[len(lines)-1]), &sent) != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			place := site.place(verifier.TokenField)
			var token string
			switch place.Location {
			case "header":
				token = sent.Headers[place.Name]
				if place.Scheme != "" {
					token = strings.TrimPrefix(token, place.Scheme+" ")
				}
			case "query":
				u, err := url.Parse(sent.URL)
				if err != nil {
					t.Fatal(err)
				}
				token = u.Query().Get(place.Name)
			default:
				token, _ = sent.Body[place.Key()].(string)
			}
			if got := verifyToken(t, &d, token, key); got != "user-123" {
				t.Errorf("verifies %q, from %s", got, out)
			}
			if d.NamesWidget() != strings.Contains(out, "shop") {
				t.Errorf("the widget's id: %s", out)
			}
		})
	}
}
