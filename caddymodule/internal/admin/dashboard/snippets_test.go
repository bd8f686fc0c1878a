package dashboard

import (
	"bytes"
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const testSecret = "snippet-test-secret-of-more-than-16-bytes"

// runner turns a language's snippet into a program that prints the claim for its
// first argument as JSON.
type runner struct {
	file, call string
	command    []string
}

var runners = map[string]runner{
	"node":   {"sign.js", "console.log(JSON.stringify(chatIdentity(process.argv[2])))", []string{"node"}},
	"python": {"sign.py", "import json, sys; print(json.dumps(chat_identity(sys.argv[1])))", []string{"python3", "-B"}},
	"php":    {"sign.php", "echo json_encode(chatIdentity($argv[1]));", []string{"php"}},
	"ruby":   {"sign.rb", "require \"json\"; puts JSON.generate(chat_identity(ARGV[0]))", []string{"ruby"}},
}

// goMain is the rest of the Go program, in a file of its own.
const goMain = `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	claim, err := chatIdentity(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(claim)
}
`

// program writes a snippet to a file and returns the command that runs it.
func program(t *testing.T, s Snippet) []string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if s.Language == "go" {
		if formatted, err := format.Source([]byte(s.Code)); err != nil || string(formatted) != s.Code {
			t.Errorf("not as gofmt would have it: %v\n%s", err, formatted)
		}
		binary := filepath.Join(dir, "sign")
		build := exec.Command("go", "build", "-o", binary, write("sign.go", s.Code), write("main.go", goMain))
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return []string{binary}
	}
	r, known := runners[s.Language]
	if !known {
		t.Fatalf("no test runs %s", s.Language)
	}
	if _, err := exec.LookPath(r.command[0]); err != nil {
		t.Fatalf("%s is needed to run its snippet (make deps installs it): %v", s.Language, err)
	}
	return append(slices.Clone(r.command), write(r.file, s.Code+"\n"+r.call+"\n"))
}

// sign runs a program for a user.
func sign(command []string, secret, user string) (string, error) {
	run := exec.Command(command[0], append(command[1:len(command):len(command)], user)...)
	run.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+secret)
	var said bytes.Buffer
	run.Stderr = &said
	out, err := run.Output()
	return string(out) + said.String(), err
}

// verify checks a body as the gateway does, and returns the verified user.
func verify(t *testing.T, d *verifier.Dialect, body []byte) string {
	t.Helper()
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := verifier.NewSecret(secretOf(d))
	if err == nil {
		secret, err = secret.Decoded(v.Dialect().KeyEncoding)
	}
	if err != nil {
		t.Fatal(err)
	}
	var reading verifier.Reading
	v.JSON(body, &reading)
	id, err := v.Verify(&reading, verifier.NewKey(secret))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if widget := string(reading.Unverified(verifier.Widget)); d.NamesWidget() && widget != "" && widget != "shop" {
		t.Errorf("of widget %s", widget)
	}
	return id.User()
}

// ownDialects are bookbag as site blocks can change it.
func ownDialects(t *testing.T) (all []verifier.Dialect) {
	t.Helper()
	for name, change := range map[string]func(*verifier.Dialect){
		"own separators": func(d *verifier.Dialect) {
			d.Message, d.Encoding, d.Unit = "{user_id}.{timestamp}.{nonce}", "base64", time.Millisecond
			d.NonceLength = 21
			d.Places = append(d.Places, verifier.Place{Field: verifier.Nonce, Name: "/nonce"})
		},
		"own key": func(d *verifier.Dialect) {
			d.Message, d.KeyEncoding = "{user_id}{timestamp}", "base64"
		},
		"own key in hex": func(d *verifier.Dialect) {
			d.Message, d.KeyEncoding, d.Encoding = "{user_id}{timestamp}", "hex", "base64"
		},
		"own literals": func(d *verifier.Dialect) {
			d.Message, d.Encoding = "v1:$x#{timestamp}\n'\"{user_id}", "base64url"
		},
	} {
		d, err := verifier.LookupDialect("bookbag")
		if err != nil {
			t.Fatal(err)
		}
		d.Places = append(d.Places, verifier.Place{Field: verifier.Timestamp, Name: "/time"})
		d.Name = name
		change(&d)
		all = append(all, d)
	}
	return all
}

// TestSnippets runs the server's code in every language and dialect, and verifies
// what it returns.
func TestSnippets(t *testing.T) {
	for _, d := range slices.Concat(verifier.Dialects, ownDialects(t)) {
		if d.TakesToken() {
			continue // see tokens_test.go
		}
		snippets := For(&Site{Dialect: d}, "shop")
		if len(snippets.Snippets) != 5 {
			t.Fatalf("%s: %+v", d.Name, snippets)
		}
		for _, s := range snippets.Snippets {
			t.Run(d.Name+"/"+s.Language, func(t *testing.T) {
				command := program(t, s)
				users := []string{"user-123", "42", "zoë@exämple.com", "名前", ` "quoted" & $HOME'd `}
				if strings.HasPrefix(d.Name, "own ") {
					users = users[:3]
				}
				for _, user := range users {
					out, err := sign(command, secretOf(&d), user)
					if err != nil {
						t.Fatalf("%q: %v\n%s", user, err, out)
					}
					if got := verify(t, &d, []byte(out)); got != user {
						t.Errorf("verifies %q, want %q", got, user)
					}
					var fields map[string]string
					if err := json.Unmarshal([]byte(out), &fields); err != nil || len(fields) != len(snippets.Fields) {
						t.Errorf("%v: the claim has %s, and the fields are said to be %q", err, out, snippets.Fields)
					}
					for _, name := range snippets.Fields {
						if fields[name] == "" {
							t.Errorf("no %s in %s", name, out)
						}
					}
				}
				for _, c := range []struct{ secret, user, says string }{
					{"", "user-123", "CHAT_IDENTITY_SECRET is not set"},
					{testSecret, "", "nobody is signed in"},
				} {
					out, err := sign(command, c.secret, c.user)
					if err == nil || !strings.Contains(out, c.says) {
						t.Errorf("secret %q, user %q: %v, %s", c.secret, c.user, err, out)
					}
				}
			})
		}
	}
}

// TestBrowserSnippet runs the page's code with the server's, and verifies the body
// that is sent.
func TestBrowserSnippet(t *testing.T) {
	const stub = `
const sent = []
globalThis.fetch = async (url, options) => {
  if (url === '/your/chat-identity') return { ok: true, json: async () => chatIdentity(process.argv[2]) }
  sent.push(options.body)
}
send('Where is my order?').then(() => console.log(sent[0]))
`
	for _, d := range verifier.Dialects {
		if d.TakesToken() {
			continue // see tokens_test.go
		}
		t.Run(d.Name, func(t *testing.T) {
			snippets := For(&Site{Dialect: d}, "shop")
			node := snippets.Snippets[0]
			node.Code += node.Browser + stub + "\n//"
			out, err := sign(program(t, node), testSecret, "user-123")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if got := verify(t, &d, []byte(lines[len(lines)-1])); got != "user-123" {
				t.Errorf("verifies %q", got)
			}
			for _, part := range []string{"Where is my order?", "Ada Lovelace", "ada@example.com"} {
				if !strings.Contains(out, part) {
					t.Errorf("%s lacks %s", out, part)
				}
			}
			if d.NamesWidget() != strings.Contains(out, `"shop"`) {
				t.Errorf("the widget's id: %s", out)
			}
		})
	}
}
