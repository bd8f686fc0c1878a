package caddymodule

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// snippetRunners turn a language's snippet into a program that prints the claims of its
// arguments as a list. FN is the snippet's function.
var snippetRunners = map[string]struct {
	file, text string
	command    []string
}{
	"node":   {"sign.js", `console.log(JSON.stringify(process.argv.slice(2).map((id) => FN(dialect, { user_id: id, email: 'ada@example.com' }))))`, []string{"node"}},
	"python": {"sign.py", `print(__import__("json").dumps([FN(DIALECT, user_id=id, email="ada@example.com") for id in __import__("sys").argv[1:]]))`, []string{"python3", "-B"}},
	"php":    {"sign.php", `echo json_encode(array_map(fn ($id) => FN(DIALECT, ['user_id' => $id, 'email' => 'ada@example.com']), array_slice($argv, 1)));`, []string{"php"}},
	"ruby":   {"sign.rb", `puts JSON.generate(ARGV.map { |id| FN(DIALECT, user_id: id, email: "ada@example.com") })`, []string{"ruby", "-E", "UTF-8"}},
	"go": {"main.go", `package main
import ("encoding/json"; "os")
func main() {
	var claims []any
	for _, id := range os.Args[1:] {
		claim, err := FN(&dialect, map[string]any{"user_id": id, "email": "ada@example.com"})
		if err != nil { panic(err) }
		claims = append(claims, claim)
	}
	_ = json.NewEncoder(os.Stdout).Encode(claims)
}
`, nil},
}

// claims runs a snippet for users.
func (s *shownSnippet) claims(t *testing.T, secret string, users []string) (claims []json.RawMessage) {
	t.Helper()
	r, known := snippetRunners[s.Language]
	if !known {
		t.Fatalf("no test runs %s", s.Language)
	}
	function := regexp.MustCompile(`(hash|token)_?[cC]laim\b`).FindString(s.Code)
	file := filepath.Join(t.TempDir(), r.file)
	program := strings.Replace(r.text, "FN", function, 1)
	command := slices.Concat(r.command, []string{file}, users)
	if s.Language == "go" {
		formatted, err := format.Source([]byte(s.Code))
		must(t, err)
		equal(t, s.Code, string(formatted), "not as gofmt has it")
		snippet, binary := filepath.Join(filepath.Dir(file), "sign.go"), filepath.Join(filepath.Dir(file), "sign")
		must(t, os.WriteFile(snippet, []byte(s.Code), 0o600))
		must(t, os.WriteFile(file, []byte(program), 0o600))
		if out, err := exec.Command("go", "build", "-o", binary, snippet, file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		command = append([]string{binary}, users...)
	} else {
		must(t, os.WriteFile(file, []byte(s.Code+"\n"+program+"\n"), 0o600))
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+secret)
	out, err := cmd.CombinedOutput()
	if err != nil || json.Unmarshal(out, &claims) != nil || len(claims) != len(users) {
		t.Fatalf("%v: %s, from\n%s", err, out, s.Code)
	}
	return claims
}

// shownSnippet is one that the admin API answers with.
type shownSnippet struct{ Language, Code, Browser string }

// posts runs the page's code once for each claim, and once for an anonymous visitor, and
// returns the answers, each with that to identify.
func posts(t *testing.T, script, page string, claims []json.RawMessage) []string {
	t.Helper()
	text, err := json.Marshal(claims)
	must(t, err)
	file := filepath.Join(t.TempDir(), "page.mjs")
	must(t, os.WriteFile(file, []byte(`import { readFileSync } from 'node:fs'
Object.assign(globalThis, { window: globalThis, location: 'http://localhost/', dispatchEvent() {} })
const real = globalThis.fetch, claims = JSON.parse(readFileSync(0, 'utf8'))
let claim, identified
globalThis.chatIdentity = (...command) => { identified = command }
globalThis.fetch = async (url, options) => url !== '/your/chat-identity' ? real(url, options)
  : new Response(JSON.stringify(claim), { status: claim ? 200 : 401 })
`+page+`
await import('data:text/javascript,' + encodeURIComponent(`+string(marshal(t, script))+`))
for (claim of [...claims, undefined]) {
  chatIdentity(...identified)
  let said = await (await send('Where is my order?')).text()
  if (typeof identify === 'function') said += JSON.stringify(await identify())
  console.log(said)
}
process.exit()
`), 0o600))
	cmd := exec.Command("node", file)
	cmd.Stdin = strings.NewReader(string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s, from\n%s", err, out, page)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestSnippets runs the code that the dashboard shows, the server's in each language and
// the page's, against the gateway whose configuration it was made from: for each built-in
// dialect, and for blocks with options of their own.
func TestSnippets(t *testing.T) {
	type snippetCase struct{ id, secret, algorithm string }
	var cases []snippetCase
	var all strings.Builder
	add := func(id, secret, block string) {
		_, algorithm, _ := strings.Cut(block, "algorithm ")
		algorithm, _, _ = strings.Cut(algorithm, "\n")
		cases = append(cases, snippetCase{id, secret, cmp.Or(algorithm, "HS256")})
		all.WriteString(strings.ReplaceAll(block, "ID", id) + "\n")
	}
	for _, d := range verifier.Dialects {
		widget := "widget ID"
		if d.NamesWidget() {
			widget = ""
		}
		token := ""
		if len(d.Token.Algorithms) > 0 {
			token = "token {\nalgorithm " + d.Token.Algorithms[0] + "\n}\n"
		}
		add(d.Name, "", "chat_identity /ID/* {\n"+widget+"\ndialect "+d.Name+"\n"+token+"}")
	}
	for id, block := range map[string]string{
		"header-widget": "widget {header.X-Widget-Key}\nidentify /who/header-widget",
		"session":       "widget ID\ndialect snapengage\none_time\nidentify /who/session\nsession 1m",
		"query-widget":  "widget {query.w}",
		"nested":        "widget body /meta/widget\ndialect snapengage\nat /claim",
		"places":        "widget ID\nclaim user_id header X-User\nclaim signature query sig",
		"odd-names":     "widget ID\nclaim user_id body \"/who is it/user's id\"\nclaim signature body \"/the `proof` $of #{it}\"",
		"text":          "widget ID\nclaim user_id query u base64 /a/id\nclaim signature query u base64 /a/hash",
		"proof":         "widget ID\nproof token\nclaim token body /jwt",
		"milliseconds":  "widget ID\nmessage {user_id}.{timestamp}.{nonce}\nencoding base64\ntimestamp_unit milliseconds\nnonce_length 21\nclaim timestamp header X-Time\nclaim nonce body /nonce",
		"literals":      "widget ID\nmessage `v1:$x#{timestamp}'\"{user_id}`\nencoding base64url\nclaim timestamp body /time",
		"email":         "widget ID\nmessage \"{user_id}\n{email}\"",
		"hex-key":       "widget ID\nkey_encoding hex\nencoding base64",
		"token-nested":  "widget ID\ndialect jwt\ntoken {\nalgorithm HS384\nuser_id \"/user/of $it/#id\"\nrequire /iss https://shop.example\nrequire /aud \"a 'quoted' $audience #(1)\"\n}",
		"token-hex":     "widget ID\ndialect jwt\nkey_encoding hex\ntoken {\nalgorithm HS512\n}",
		"rs512":         "widget ID\ndialect jwt\ntoken {\nalgorithm RS512\n}",
		"ps256":         "widget ID\ndialect jwt\ntoken {\nalgorithm PS256\n}",
		"es384":         "widget ID\ndialect jwt\ntoken {\nalgorithm ES384\n}",
		"eddsa":         "widget ID\ndialect jwt\ntoken {\nalgorithm EdDSA\n}",
	} {
		add(id, "", "chat_identity /ID/* {\n"+block+"\n}")
	}
	add("base64-key", "/+D/AP8A/+D/AP8A/+D/AP8A+w==", "chat_identity /ID/* {\nwidget ID\nkey_encoding base64\n}")
	add("base64url-key", "_-D_AP8A_-D_AP8A_-D_AP8A-w", "chat_identity /ID/* {\nwidget ID\ndialect jwt\nkey_encoding base64url\n}")
	add("inner", "", "handle /inner/* {\nchat_identity {\nwidget ID\n}\n"+answersOutcome+"\n}")
	add("matched", "", "@chat path /matched/* /b\nchat_identity @chat {\nwidget ID\ndialect inviaro\n}")

	g, customer := live(t, "", all.String()+answersOutcome), newCustomer(t)
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			body, secret, wanted := map[string]any{"id": c.id}, c.secret, 5
			if signer := customer.signer(c.algorithm); signer != nil {
				der, err := x509.MarshalPKCS8PrivateKey(signer)
				must(t, err)
				secret = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
				body["public_keys"] = []string{customer.pem(t, c.algorithm)}
				if c.algorithm[:2] != "RS" {
					wanted = 1
				}
			} else if secret != "" {
				body["secret"] = secret
			}
			created := g.call(t, "POST", "widgets", string(marshal(t, body)))
			equal(t, created.status, 201, "%s", created.body)
			secret = cmp.Or(secret, created.Secret)
			var got struct {
				Sites    []string
				Fields   []string
				Snippets []shownSnippet
				Script   string
			}
			query, path := "snippets?widget="+c.id, "/"+c.id+"/"
			must(t, json.Unmarshal([]byte(g.call(t, "GET", query, "").body), &got))
			site := slices.IndexFunc(got.Sites, func(where string) bool { return strings.Contains(where, path) }) + 1
			must(t, json.Unmarshal([]byte(g.call(t, "GET", fmt.Sprintf("%s&site=%d", query, site), "").body), &got))
			equal(t, len(got.Snippets), wanted, "snippets of %s", got.Sites)
			page := got.Snippets[0].Browser
			contains(t, page, "'"+g.url+path+"'")
			users := []string{"user-1", `o'"$#{x}\` + "`", "zoë-名前"}
			if strings.Contains(page, " headers: {") && !strings.Contains(page, "json(claim") && !strings.Contains(page, "claim.token") {
				users = users[:2] // a browser's headers are ASCII
			}
			var claims []json.RawMessage
			var want []string
			if _, err := verifier.LookupDialect(c.id); err == nil && c.id != verifier.DefaultDialect {
				got.Snippets = got.Snippets[:1] // the others sign for each dialect in examples/signing
			}
			for _, s := range got.Snippets {
				claims = append(claims, s.claims(t, secret, users)...)
				for _, user := range users {
					want = append(want, "verified "+user)
				}
			}
			if want = append(want, "anonymous "); strings.Contains(page, "const identify") {
				for i, user := range want {
					want[i] += `{"verified":false,"prefill":{}}`
					if user, verified := strings.CutPrefix(user, "verified "); verified {
						want[i] = "verified " + user + `{"verified":true,"user":{"id":` + string(marshal(t, user)) + "}}"
					}
				}
			}
			said := posts(t, got.Script, page, claims)
			if c := g.call(t, "GET", "widgets/"+c.id+"/readiness", ""); c.status != 200 || strings.Contains(c.body, "partial") {
				t.Errorf("a visitor sends half a claim: %s\nfrom\n%s", c.body, page)
			}
			if !slices.Equal(said, want) {
				t.Errorf("got\n%s\nwant\n%s\nfrom\n%s%s", strings.Join(said, "\n"), strings.Join(want, "\n"), got.Snippets[0].Code, page)
			}
			var fields map[string]any
			must(t, json.Unmarshal(claims[0], &fields))
			for _, name := range got.Fields {
				within := any(fields)
				for part := range strings.SplitSeq(name, ".") {
					object, _ := within.(map[string]any)
					within = object[part]
				}
				if text, _ := within.(string); text == "" {
					t.Errorf("no %s in %s", name, claims[0])
				}
			}
		})
	}
}

// answersOutcome says what a gateway found.
const answersOutcome = `respond "{http.chat_identity.outcome} {http.chat_identity.user}"`

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return text
}
