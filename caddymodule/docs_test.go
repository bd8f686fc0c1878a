package caddymodule

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// exampleSecret is the secret with which the README's request is signed.
const exampleSecret = "an-example-secret-do-not-use"

// block is a fenced block of a document.
type block struct{ info, text string }

var fence = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

// blocks returns the README's blocks; every kind must be known to a test below.
func blocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		found = append(found, block{m[1], m[2]})
	}
	if len(found) == 0 {
		t.Fatal("the README has no blocks")
	}
	return found
}

// find returns the only block of that kind.
func find(t *testing.T, info string) string {
	t.Helper()
	var text string
	for _, b := range blocks(t) {
		if b.info == info {
			if text != "" {
				t.Fatalf("two blocks are %q", info)
			}
			text = b.text
		}
	}
	if text == "" {
		t.Fatalf("no block is %q", info)
	}
	return text
}

func setDocumentedEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"CHAT_IDENTITY_SECRET", "SHOP_SECRET", "SHOP_SECRET_OLD"} {
		t.Setenv(name, exampleSecret)
	}
	t.Setenv("OPENING_SECRET", otherSecret)
	t.Setenv("CHAT_IDENTITY_KEY", testEncryptionKey)
	t.Setenv("REDIS_PASSWORD", "a-password")
}

// validates checks that Caddy would start with a configuration, apart from
// files that only a deployment has.
func validates(t *testing.T, caddyfile string) {
	t.Helper()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(exampleSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	caddyfile = regexp.MustCompile(`\{file\.[^}]+\}`).ReplaceAllString(caddyfile, "{file."+secret+"}")
	text, err := adapt(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	var config *caddy.Config
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config.Admin = &caddy.AdminConfig{Disabled: true}
	if err := caddy.Validate(config); err != nil {
		t.Fatalf("%v\n%s", err, caddyfile)
	}
}

func TestReadmeCaddyfiles(t *testing.T) {
	setDocumentedEnvironment(t)
	count := 0
	for _, b := range blocks(t) {
		if name, ok := strings.CutPrefix(b.info, "caddyfile "); ok {
			count++
			t.Run(name, func(t *testing.T) { validates(t, b.text) })
		}
	}
	if count < 6 {
		t.Errorf("only %d Caddyfiles in the README", count)
	}
}

func TestCaddyfileExample(t *testing.T) {
	setDocumentedEnvironment(t)
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	validates(t, string(text))
	for _, option := range strings.Fields(`dialect widget secret claim at message encoding max_age skew nonce_length timestamp_unit
		refuse unverified max_body max_upload max_spool spool reject header cors mode encryption_key widgets cache allow_reveal ledger stale_if_error one_time conversation visitor identify keep most`) {
		if !regexp.MustCompile(`(?m)^\t+` + option + `\b`).Match(text) {
			t.Errorf("the example lacks %s", option)
		}
	}
}

// TestReadmeRequest sends the request that the README opens with through the
// configuration that it shows, and compares what arrives.
func TestReadmeRequest(t *testing.T) {
	setDocumentedEnvironment(t)
	site := find(t, "caddyfile site")
	open, end := strings.Index(site, "{\n"), strings.LastIndex(site, "}")
	g := start(t, "", strings.Replace(site[open+2:end], "backend:8080", "UPSTREAM", 1))

	before := parseRequest(t, find(t, "http before"))
	target, _ := url.Parse(g.url)
	before.URL.Scheme, before.URL.Host, before.RequestURI = target.Scheme, target.Host, ""
	before.Host = target.Host
	a := g.send(t, before)
	if a.StatusCode != 200 || a.seen == nil {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	after := parseRequest(t, find(t, "http after"))
	body, _ := io.ReadAll(after.Body)
	if a.seen.Body != string(body) {
		t.Errorf("body:\n%s\nwant:\n%s", a.seen.Body, body)
	}
	for name := range a.seen.Header {
		if _, documented := after.Header[name]; !documented && (&Handler{}).ours(name) {
			t.Errorf("%s is not in the README", name)
		}
	}
	for name, values := range after.Header {
		if name != "Content-Length" && a.seen.Header.Get(name) != values[0] {
			t.Errorf("%s: %q, want %q", name, a.seen.Header.Get(name), values[0])
		}
	}

	// The problem document is what an unsigned request gets.
	refused := g.do(t, "POST", "/chat/messages", `{}`, jsonType)
	if want := find(t, "json problem"); refused.body != want {
		t.Errorf("problem:\n%s\nwant:\n%s", refused.body, want)
	}
}

// parseRequest reads a request of which the length stands in no header.
func parseRequest(t *testing.T, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

// TestReadmeSigners runs what the README tells to put on a server.
func TestReadmeSigners(t *testing.T) {
	for _, signer := range []struct{ info, file, call string }{
		{"js", "sign.js", "console.log(userHash(process.argv[2]))"},
		{"python", "sign.py", "import sys; print(user_hash(sys.argv[1]))"},
		{"php", "sign.php", "echo userHash($argv[1]), \"\\n\";"},
		{"ruby", "sign.rb", "puts user_hash(ARGV[0])"},
		{"go", "sign.go", "func main() { hash, err := userHash(os.Args[1]); fmt.Println(hash, err) }"},
	} {
		t.Run(signer.info, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), signer.file)
			if err := os.WriteFile(file, []byte(find(t, signer.info)+"\n"+signer.call+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			command := map[string][]string{
				"js": {"node"}, "python": {"python3"}, "php": {"php"}, "ruby": {"ruby"}, "go": {"go", "run"},
			}[signer.info]
			for _, id := range []string{"user-123", "42", "zoë@exämple.com", "名前"} {
				run := exec.Command(command[0], append(command[1:], file, id)...)
				run.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+testSecret)
				out, err := run.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if got := strings.TrimSuffix(strings.TrimSpace(string(out)), " <nil>"); got != sign(id) {
					t.Errorf("%s: %s, want %s", id, got, sign(id))
				}
			}
		})
	}
}

// varying is what no two readiness reports have alike.
var varying = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:[A-Z]+|[+-]\d+)|[0-9a-f]{8}-[0-9a-f-]{27}|\([0-9hms]+\)`)

// TestReadmeReadiness has the requests be made that the README's report tells of.
func TestReadmeReadiness(t *testing.T) {
	countAnew(t, time.Now)
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	for range 9 {
		g.outcome(t, "shop", secret)
	}
	const person = `{"user_id":"user-123","user_metadata":{"email":"ada@example.com"}`
	signed := `,"user_hash":"` + signWith(secret, "ada@example.com") + `"}`
	for _, body := range []string{person + signed, person + signed, person + "}"} {
		g.post(t, body, "X-Widget-Key: shop")
	}
	out, errors, err := runCommand(t, "", "readiness", "shop", "--address", g.admin)
	got, want := varying.ReplaceAllString(out, "~"), varying.ReplaceAllString(find(t, "text readiness"), "~")
	if err != nil || got != want {
		t.Errorf("%v %s\n%s\nwant\n%s", err, errors, got, want)
	}
}

// TestDocumentedLogFilter: what the README tells to filter keeps the signature
// of every dialect out of the access log, and the samples filter as much.
func TestDocumentedLogFilter(t *testing.T) {
	site := find(t, "caddyfile logs")
	names := []string{}
	for _, d := range verifier.Dialects {
		for _, place := range d.AllPlaces() {
			if place.Field == verifier.Signature {
				names = append(names, strings.TrimPrefix(place.Name, "/"))
			}
		}
	}
	for _, file := range []string{"../Caddyfile.example", "../examples/quickstart/Caddyfile", "../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !regexp.MustCompile(`(?m)^\t+delete ` + name + `$`).Match(text) {
				t.Errorf("%s does not filter %s", file, name)
			}
		}
	}
	setDocumentedEnvironment(t)
	log := filepath.Join(t.TempDir(), "access.log")
	open, end := strings.Index(site, "{\n"), strings.LastIndex(site, "}")
	body := strings.Replace(site[open+2:end], "backend:8080", "UPSTREAM", 1)
	g := start(t, "", strings.Replace(body, "log {", "log {\noutput file "+log, 1))
	query := "/chat/x?user_id=ada"
	for _, name := range names {
		query += "&" + name + "=" + sign(name)
	}
	g.do(t, "GET", query, "", "X-User-Signature: "+sign("header"))
	var text []byte
	eventually(t, "there is no access log", func() bool { text, _ = os.ReadFile(log); return len(text) > 0 })
	for _, name := range append(names, "header") {
		if strings.Contains(string(text), sign(name)) {
			t.Errorf("the signature in %s is in the access log: %s", name, text)
		}
	}
	if !strings.Contains(string(text), "user_id=ada") || !strings.Contains(string(text), `"chat_identity":{"outcome":"invalid"`) {
		t.Errorf("%s", text)
	}
}

// TestReadmeBlocksAreTested fails for a block of a kind that no test runs.
func TestReadmeBlocksAreTested(t *testing.T) {
	known := regexp.MustCompile(`^(sh|sh live|js|python|php|ruby|go|json problem|text readiness|http before|http after|caddyfile [a-z]+)$`)
	for _, b := range blocks(t) {
		if !known.MatchString(b.info) {
			t.Errorf("no test runs blocks of %q:\n%s", b.info, b.text)
		}
	}
}

// TestReadmeCommands runs the README's caddy commands in a shell, with a built
// caddy in its path.
func TestReadmeCommands(t *testing.T) {
	g := live(t, "", liveSite)
	against := regexp.MustCompile(`caddy chat-identity (create|list|show|set|rotate|stats|readiness|delete)`)
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "caddy"), "./cmd/caddy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ran := 0
	for _, b := range blocks(t) {
		if !strings.HasPrefix(b.info, "sh") || !strings.Contains(b.text, "caddy chat-identity") {
			continue
		}
		ran++
		shell := exec.Command("bash", "-euo", "pipefail", "-c",
			against.ReplaceAllString(b.text, "$0 --address "+g.admin))
		shell.Stdin = strings.NewReader(testSecret + "\n")
		shell.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("%s%v\n%s", b.text, err, out)
		}
		if strings.Contains(b.text, "explain") && !strings.Contains(string(out), "verifies") {
			t.Errorf("%s%s", b.text, out)
		}
	}
	if ran != 3 {
		t.Errorf("ran %d blocks of commands", ran)
	}
}
