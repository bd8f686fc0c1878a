package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// exampleSecret is the secret with which the README's request is signed.
const exampleSecret = "an-example-secret-do-not-use"

// documents returns the README, UPGRADE.md and the pages of docs by their paths from the root.
func documents(t testing.TB) map[string]string {
	t.Helper()
	found := make(map[string]string)
	pages, _ := filepath.Glob("../docs/*.md")
	for _, file := range append(pages, "../README.md", "../UPGRADE.md") {
		text := read(t, file)
		found[strings.TrimPrefix(filepath.ToSlash(file), "../")] = string(text)
	}
	if len(found) < 3 {
		t.Fatal("there are no pages in docs")
	}
	return found
}

// block is a fenced block of a document.
type block struct{ file, info, text string }

var fence = regexp.MustCompile("(?ms)^[ \t]*```([^\n]*)\n(.*?)^[ \t]*```$")

// blocks returns the documents' blocks, those of one page in their order. Every
// kind must be known to a test below.
func blocks(t *testing.T) []block {
	t.Helper()
	var found []block
	for file, text := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			found = append(found, block{file, m[1], m[2]})
		}
	}
	slices.SortStableFunc(found, func(a, b block) int { return cmp.Compare(a.file, b.file) })
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

// TestDocsBlocksAreTested fails for a kind of block that no test runs.
func TestDocsBlocksAreTested(t *testing.T) {
	known := regexp.MustCompile(`^(sh|sh install|sh live|console why|sh try|sh drill|js( token| page)?|json problem|text (readiness|migrating|drill)|yaml probe|http before|http after|caddyfile [a-z]+)$`)
	for _, b := range blocks(t) {
		if !known.MatchString(b.info) {
			t.Errorf("%s: no test runs blocks of %q:\n%s", b.file, b.info, b.text)
		}
	}
}

func setDocumentedEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"CHAT_IDENTITY_SECRET", "SHOP_SECRET", "SHOP_SECRET_OLD"} {
		t.Setenv(name, exampleSecret)
	}
	t.Setenv("OPENING_SECRET", otherSecret)
	t.Setenv("CHAT_IDENTITY_KEY", testEncryptionKey)
	t.Setenv("REDIS_PASSWORD", "a-password")
	t.Setenv("SHOP_PUBLIC_KEY", newPair(t, "ES256", "").pem(t))
}

// validates checks that Caddy would start with a configuration, apart from
// files that only a deployment has.
func validates(t *testing.T, caddyfile string) {
	t.Helper()
	os.Stderr = caddyLog // see load: Caddy keeps what it has opened
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	must(t, os.WriteFile(secret, []byte(exampleSecret+"\n"), 0o600))
	public := filepath.Join(dir, "key")
	must(t, os.WriteFile(public, []byte(newPair(t, "ES256", "").pem(t)), 0o600))
	caddyfile = regexp.MustCompile(`\{file\.[^}]+\}`).ReplaceAllStringFunc(caddyfile, func(named string) string {
		if strings.HasSuffix(named, ".pem}") {
			return "{file." + public + "}"
		}
		return "{file." + secret + "}"
	})
	caddyfile = strings.ReplaceAll(caddyfile, "/var/log/caddy/", dir+"/") // Caddy opens its logs even so
	text := adapted(t, caddyfile)
	var config *caddy.Config
	must(t, json.Unmarshal(text, &config))
	config.Admin = &caddy.AdminConfig{Disabled: true}
	if err := caddy.Validate(config); err != nil {
		t.Fatalf("%v\n%s", err, caddyfile)
	}
}

// TestDocsCaddyfiles loads the documents' configurations.
func TestDocsCaddyfiles(t *testing.T) {
	setDocumentedEnvironment(t)
	seen := make(map[string]string)
	for _, b := range blocks(t) {
		name, ok := strings.CutPrefix(b.info, "caddyfile ")
		if !ok {
			continue
		}
		if other, twice := seen[name]; twice {
			t.Errorf("%s and %s have a Caddyfile %s each", other, b.file, name)
		}
		seen[name] = b.file
		t.Run(name, func(t *testing.T) { validates(t, b.text) })
	}
	if len(seen) < 15 {
		t.Errorf("only %d Caddyfiles in the documents", len(seen))
	}
}

func TestCaddyfileExample(t *testing.T) {
	setDocumentedEnvironment(t)
	text := read(t, "../Caddyfile.example")
	validates(t, string(text))
	var all []string
	for _, block := range optionBlocks {
		all = append(all, options(t, block)...)
	}
	for _, option := range all {
		if !regexp.MustCompile(`(?m)^\t+` + option + `\b`).Match(text) {
			t.Errorf("the example lacks %s", option)
		}
	}
}

// TestDocsLogFilter: the filter in the documents keeps every dialect's signatures and tokens out
// of the access log, and so do the samples. With UPDATE=1 in the
// environment the filter in the documents is written anew.
func TestDocsLogFilter(t *testing.T) {
	const page, begin, end = "../docs/operations.md", "\t\t\trequest>uri query {\n", "\t\t}\n\t}\n\tchat_identity"
	var names, headers []string
	for _, d := range append(slices.Clone(verifier.Dialects), verifier.Dialect{Places: sessionPlaces}) {
		for _, p := range d.AllPlaces() {
			if p.Field != verifier.Signature && p.Field != verifier.TokenField && p.Field != verifier.SessionField {
				continue
			}
			if name := p.Key(); (p.Location == "query" || p.Location == "body") && !slices.Contains(names, name) {
				names = append(names, name)
			}
			// Caddy redacts Authorization itself.
			if name := http.CanonicalHeaderKey(p.Name); p.Location == "header" && name != "Authorization" && !slices.Contains(headers, name) {
				headers = append(headers, name)
			}
		}
	}
	filter := begin
	for _, name := range names {
		filter += "\t\t\t\tdelete " + name + "\n"
	}
	filter += "\t\t\t}\n"
	for _, name := range append(headers, "X-User-Signature") {
		filter += "\t\t\trequest>headers>" + name + " delete\n"
	}
	documented := string(read(t, page))
	before, rest, _ := strings.Cut(documented, begin)
	_, after, _ := strings.Cut(rest, end)
	if want := before + filter + end + after; os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(page, []byte(want), 0o600))
		return
	} else if documented != want {
		t.Errorf("%s does not filter all that the rows say: run UPDATE=1 go test -run TestDocsLogFilter ./caddymodule", page)
	}
	testSampleLogs(t, filter)
	site := find(t, "caddyfile logs")
	setDocumentedEnvironment(t)
	log := filepath.Join(t.TempDir(), "access.log")
	open, last := strings.Index(site, "{\n"), strings.LastIndex(site, "}")
	body := strings.Replace(site[open+2:last], "backend:8080", "UPSTREAM", 1)
	g := start(t, "", strings.Replace(body, "log {", "log {\noutput file "+log, 1))
	query := "/chat/x?user_id=ada"
	for _, name := range names {
		query += "&" + name + "=" + sign(name)
	}
	lines := []string{"X-User-Signature: " + sign("header")}
	for _, name := range headers {
		lines = append(lines, name+": "+sign(name))
	}
	g.do(t, "GET", query, "", lines...)
	var text []byte
	eventually(t, "there is no access log", func() bool { text, _ = os.ReadFile(log); return len(text) > 0 })
	for _, name := range slices.Concat(names, headers, []string{"header"}) {
		if strings.Contains(string(text), sign(name)) {
			t.Errorf("the signature in %s is in the access log: %s", name, text)
		}
	}
	if !strings.Contains(string(text), "user_id=ada") || !strings.Contains(string(text), `"chat_identity":{"outcome":"invalid"`) {
		t.Errorf("%s", text)
	}
}

var logBlock = regexp.MustCompile(`(?ms)^\tlog \{\n(.*?)^\t\}$|^\t\tlog \{\n(.*?)^\t\t\}$`)

// testSampleLogs: each log of the samples leaves out queries and headers, or all that the filter
// in the documents does. Whoever copies a sample may have widgets of any dialect.
func testSampleLogs(t *testing.T, filter string) {
	samples, _ := filepath.Glob("../examples/*/*Caddyfile")
	logs := 0
	for _, file := range append(samples, "../Caddyfile.example") {
		text := string(read(t, file))
		for _, log := range logBlock.FindAllString(text, -1) {
			logs++
			if snippet := regexp.MustCompile(`import (\w+)`).FindStringSubmatch(log); snippet != nil {
				_, log, _ = strings.Cut(text, "("+snippet[1]+") {")
				log, _, _ = strings.Cut(log, "\n}")
			}
			left := slices.DeleteFunc(strings.Fields(strings.ReplaceAll(filter, "delete ", "delete_")), func(line string) bool {
				return strings.Contains(strings.ReplaceAll(log, "delete ", "delete_"), line)
			})
			if len(left) > 0 && !(strings.Contains(log, "\trequest>uri regexp \\?.* \"\"\n") && strings.Contains(log, "\trequest>headers delete\n")) {
				t.Errorf("%s has a log with claims in it, of %q: leave out queries and headers\n%s", file, left, log)
			}
		}
	}
	if logs < 7 {
		t.Errorf("the samples have %d logs", logs)
	}
}

// TestDocsDefaultLog: the filter in the documents keeps claims out of what Caddy logs of an
// event stream that its backend has broken off.
func TestDocsDefaultLog(t *testing.T) {
	setDocumentedEnvironment(t)
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(u.Close)
	log, address := filepath.Join(t.TempDir(), "caddy.log"), fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	load(t, strings.NewReplacer("{\n\tlog {", "{\n\tadmin off\n\tpersist_config off\n\tlog {\n\t\toutput file "+log, "chat.example.com", address,
		"backend:8080", strings.TrimPrefix(u.URL, "http://")).Replace(find(t, "caddyfile defaultlog")))
	r, err := http.NewRequest(http.MethodGet, address+"/chat/x?user_id=ada&user_hash=in-the-query", nil)
	must(t, err)
	r.Header.Set("X-Chat-Session", "in-a-header")
	if response, err := http.DefaultClient.Do(r); err == nil {
		_ = response.Body.Close()
	}
	var text string
	eventually(t, "the log has no line", func() bool {
		all, _ := os.ReadFile(log)
		text = string(all)
		return strings.Contains(text, "aborting with incomplete response")
	})
	if strings.Contains(text, "in-the-query") || strings.Contains(text, "in-a-header") || strings.Contains(text, `"headers"`) || !strings.Contains(text, `"uri":"/chat/x"`) {
		t.Error(text)
	}
}
