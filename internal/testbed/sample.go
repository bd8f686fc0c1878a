package testbed

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var comment = regexp.MustCompile(`(?m)^#.*\n`)

// Sample returns a sample Caddyfile as a test runs it: with what stands for a deployment's own
// replaced, by pairs of texts, and nothing outside of the test.
func Sample(t testing.TB, file string, replaced ...string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	caddyfile := "{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n"
	if own, has := strings.CutPrefix(comment.ReplaceAllString(string(text), ""), "{\n"); has {
		caddyfile += own
	} else {
		caddyfile += "}\n" + own
	}
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(caddyfile, replaced[i]) {
			t.Fatalf("%q is not in %s", replaced[i], file)
		}
	}
	return strings.NewReplacer(replaced...).Replace(caddyfile)
}

// Send sends a request, with JSON unless its headers say otherwise, each a name as it is written
// and a value. It returns the answer and the answer's body.
func Send(t testing.TB, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header[headers[i]] = []string{headers[i+1]}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}
