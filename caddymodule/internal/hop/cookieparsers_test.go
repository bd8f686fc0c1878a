package hop

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reader returns what some language's parser reads as the cookie "v", "" for nothing.
type reader func(field string) string

// script runs a program that reads Cookie fields line by line.
func script(t *testing.T, program, path string) reader {
	cmd := exec.Command(program, path)
	cmd.Stderr = os.Stderr
	in, out := piped(t, cmd)
	lines := bufio.NewReader(out)
	return func(field string) string {
		if _, err := fmt.Fprintln(in, base64.StdEncoding.EncodeToString([]byte(field))); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(program, err)
		}
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		return string(value)
	}
}

func piped(t *testing.T, cmd *exec.Cmd) (io.Writer, io.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the test needs %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return in, out
}

// php asks PHP's built-in server, since PHP parses cookies for servers only.
func php(t *testing.T) reader {
	cmd := exec.Command("sh", "-c", "exec php -n -d display_errors=0 -S 127.0.0.1:0 testdata/cookies.php 2>&1")
	_, out := piped(t, cmd)
	started := regexp.MustCompile(`\((http://127\.0\.0\.1:\d+)\) started`)
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if m := started.FindStringSubmatch(line); m != nil {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return func(field string) string {
				r, err := http.NewRequest("GET", m[1], nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Cookie", field)
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				value, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				return string(value)
			}
		}
		if err != nil {
			t.Fatalf("php's server did not start: %v", err)
		}
	}
}

// golang reads as net/http does, the first or the last cookie of that name.
func golang(last bool) reader {
	return func(field string) (value string) {
		for _, c := range (&http.Request{Header: http.Header{"Cookie": {field}}}).Cookies() {
			if c.Name == "v" && (value == "" || last) {
				value = c.Value
			}
		}
		return value
	}
}

// saying returns what a value may say once quotes and escapes are taken off.
func saying(value string) []string {
	said := []string{value}
	for _, text := range []string{value, strings.Trim(value, " \t")} {
		said = append(said, text)
		if inner, ok := strings.CutPrefix(text, `"`); ok && strings.HasSuffix(inner, `"`) {
			said = append(said, inner[:len(inner)-1])
		}
	}
	for _, text := range said[:len(said):len(said)] {
		if decoded, err := url.PathUnescape(text); err == nil {
			said = append(said, decoded)
		}
	}
	return said
}

// TestNoParserReadsAnotherCookie: where a cookie has one value, no parser reads
// another; where it has none, none reads any.
func TestNoParserReadsAnotherCookie(t *testing.T) {
	parsers := map[string]reader{
		"python": script(t, "python3", "testdata/cookies.py"), "ruby": script(t, "ruby", "testdata/cookies.rb"), "php": php(t),
		"go": golang(false), "go, the last": golang(true),
	}
	cookie := NewCookie("v")
	pieces := []string{
		"v", "v", "v=", "=", `"`, `"`, `\`, ";", "; ", "; ", ",", " ", "x", "mine", "theirs", "u=", "%76", "%", "%22", "%3b", "V", "v[]", "v[a]=", " v = ", "\t", "v.", "[",
		"v=mine", "v=theirs", `v="mine"`, "'", "+", "$", ":", "{", "\xc3\xa9", "\xa0", `\166`, `\"`, "v=mine; v=mine",
	}
	fields := []string{
		"v=mine", `v="mine"`, `v="mine`, `v=mine"`, `u="x; v=mine; y"`, `u="x; v=mine`, "v=mine; v=theirs", "v=mine;v=mine", `v="a;b"`, `v="a b"`, `v="\155ine"`, "v", "v; v=mine",
		"v=; v=mine", "v=mine; v=", "u=x v=mine", "u=x, v=mine", `u="x, v=mine"`, "v = mine", "v==mine", `v="mine" ; u=x`, `v= "mine"`, `v="mine"x`, "v=%6dine", `v="%6dine"`,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for len(fields) < 6000 {
		var field strings.Builder
		for range 1 + random.IntN(7) {
			field.WriteString(pieces[random.IntN(len(pieces))])
		}
		fields = append(fields, strings.Trim(field.String(), " \t"))
	}
	single := 0
	for _, field := range fields {
		f := cookie.Find(http.Header{"Cookie": {field}})
		if f.Variant || f.Duplicate || f.Broken {
			continue // no backend sees it as a claim's
		}
		if f.Value != "" {
			single++
		}
		for name, parse := range parsers {
			got, plus := parse(field), strings.ReplaceAll(f.Value, "+", " ") // so Ruby
			if said := saying(got); got != "" && !slices.Contains(said, f.Value) && !(name == "ruby" && slices.Contains(said, plus)) {
				t.Errorf("%q is %q, and to %s %q", field, f.Value, name, got)
			}
		}
	}
	if single < 100 {
		t.Errorf("only %d fields have one value", single)
	}
}
