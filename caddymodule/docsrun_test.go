package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDocsRequest sends the request that the README opens with through the
// configuration that it shows, and compares what arrives.
func TestDocsRequest(t *testing.T) {
	g := start(t, "", documented(t, "caddyfile site"))

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

// parseRequest reads a request that has no Content-Length.
func parseRequest(t *testing.T, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
	must(t, err)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

// TestDocsSigner runs the code that the README puts on a server. The signers of
// other languages are tested beside themselves, in examples/signing.
func TestDocsSigner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sign.js")
	must(t, os.WriteFile(file, []byte(find(t, "js")+"\nconsole.log(userHash(process.argv[2]))\n"), 0o600))
	for _, id := range []string{"user-123", "42", "zoë@exämple.com", "名前"} {
		node := exec.Command("node", file, id)
		node.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+testSecret)
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		equal(t, strings.TrimSpace(string(out)), sign(id), "%s", id)
	}
}

// varying is what differs between any two readiness reports.
var varying = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:[A-Z]+|[+-]\d+)|[0-9a-f]{8}-[0-9a-f-]{27}|(in the last|the latest)( \d+)? [a-z]+`)

// TestDocsReadiness sends the requests that the documents' report counts.
func TestDocsReadiness(t *testing.T) {
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

// shell runs the documents' commands, in a folder of its own, with this program
// as the caddy in its path.
type shell struct{ dir string }

func newShell(t *testing.T) shell {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asCaddy, self)
	must(t, os.WriteFile(filepath.Join(dir, "caddy"), []byte(script), 0o700))
	return shell{dir}
}

func (s shell) run(t *testing.T, commands, input string) string {
	t.Helper()
	bash := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	bash.Dir, bash.Stdin = s.dir, strings.NewReader(input)
	bash.Env = append(os.Environ(), "PATH="+s.dir+":"+os.Getenv("PATH"), "HOME="+s.dir)
	var errors strings.Builder
	bash.Stderr = &errors
	out, err := bash.Output()
	if err != nil {
		t.Errorf("%s%v\n%s%s", commands, err, out, errors.String())
	}
	return string(out)
}

// TestDocsCommands runs the documents' caddy commands in a shell, against a
// gateway that runs.
func TestDocsCommands(t *testing.T) {
	g, bash := live(t, "", liveSite), newShell(t)
	against := regexp.MustCompile(`caddy chat-identity (create|list|show|set|rotate|stats|readiness|delete|export|import|health)`)
	must(t, os.WriteFile(filepath.Join(bash.dir, "Caddyfile"), []byte(oneSite("", "chat_identity off")), 0o600)) // for check
	ran := 0
	for _, b := range blocks(t) {
		if b.info != "sh" && b.info != "sh live" || !strings.Contains(b.text, "caddy chat-identity") {
			continue
		}
		ran++
		out := bash.run(t, against.ReplaceAllString(b.text, "$0 --address "+g.admin), testSecret+"\n")
		if strings.Contains(b.text, "explain") && !strings.Contains(out, "verifies") {
			t.Errorf("%s%s", b.text, out)
		}
	}
	if ran != 11 {
		t.Errorf("ran %d blocks of commands", ran)
	}
}

// TestDocsTry runs the README's commands to try, on ports of its own.
func TestDocsTry(t *testing.T) {
	bash := newShell(t)
	admin, site := fmt.Sprint(freePort(t)), fmt.Sprint(freePort(t))
	ported := strings.NewReplacer("localhost:8081", "localhost:"+site, "caddy stop", "caddy stop --address localhost:"+admin)
	caddyfile, commands := find(t, "caddyfile try"), find(t, "sh try")
	if !strings.Contains(caddyfile, "http://localhost:8081 {") || !strings.HasSuffix(commands, "\ncaddy stop\n") {
		t.Fatal(caddyfile, commands)
	}
	must(t, os.WriteFile(filepath.Join(bash.dir, "Caddyfile"), []byte("{\nadmin localhost:"+admin+"\n}\n"+ported.Replace(caddyfile)), 0o600))
	stop := "trap '" + ported.Replace("caddy stop") + "' ERR\n" // whatever fails
	out := bash.run(t, stop+ported.Replace(commands), "")
	if want := find(t, "json problem") + "Hello, user-123"; !strings.HasSuffix(out, want) {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

// TestDocsProbes asks as the documents' probes do.
func TestDocsProbes(t *testing.T) {
	var probes map[string]struct{ Exec struct{ Command []string } }
	must(t, yaml.Unmarshal([]byte(find(t, "yaml probe")), &probes))
	admin, probe := fmt.Sprintf("localhost:%d", freePort(t)), fmt.Sprintf("http://localhost:%d", freePort(t))
	load(t, strings.NewReplacer("localhost:2019", admin, "http://:8081", probe, "chat.example.com", fmt.Sprintf("http://localhost:%d", freePort(t))).
		Replace(find(t, "caddyfile probe")))
	if command := probes["startupProbe"].Exec.Command; strings.Join(command[:2], " ") != "caddy chat-identity" {
		t.Errorf("%q", command)
	} else if out, stderr, err := runCommand(t, "", append(command[2:], "--address", admin)...); out != "ok\n" || err != nil {
		t.Errorf("%q, %q, %v", out, stderr, err)
	}
	if a := fetch(t, "GET", probe+"/health", ""); a.StatusCode != 200 || a.body != `{"status":"ok"}`+"\n" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for path, method := range map[string]string{
		"/health": "POST", "/health/": "GET", "/health/..": "GET", "/config/": "GET", "/chat_identity/widgets": "GET", "/stop": "POST", "/": "GET",
	} {
		if a := fetch(t, method, probe+path, ""); a.StatusCode != 200 || a.body != "" { // Caddy's answer where nothing matches
			t.Errorf("%s %s: %d %s", method, path, a.StatusCode, a.body)
		}
	}
}
