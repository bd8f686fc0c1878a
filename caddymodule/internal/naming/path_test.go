package naming

import (
	"net/url"
	"strings"
	"testing"
)

func TestFlawOf(t *testing.T) {
	for path, want := range map[string]string{
		"/": "", "": "", "*": "", "/a": "", "/a/": "", "/a/b.c/..d/e..": "", "/.well-known/x": "", "/...": "", "/a%20b": "", "/%C3%BC": "", "/%252e%252e/": "",
		"/a:b@c,d=e&f+g!": "", "/%25": "", "/a%3Fb%23": "",
		"//": "empty", "//a": "empty", "/a//b": "empty", "/a//": "empty",
		"/.": "'.'", "/./a": "'.'", "/a/./b": "'.'", "/a/.": "'.'", "/a/./": "'.'",
		"/..": "'..'", "/a/../b": "'..'", "/a/..": "'..'", "/a/../": "'..'",
		"/a;b": "';'", "/a;": "';'", "/;/a": "';'",
		"/a%2fb": "%2f", "/a%2Fb": "%2F", "/a%5cb": "%5c", "/%2e%2e/a": "%2e", "/a%2E": "%2E", "/a%3bb": "%3b", "/a%3B": "%3B", "/a%00": "%00",
		"/%41": "%41", "/%7a": "%7a", "/%30": "%30", "/%2d": "%2d", "/%5f": "%5f", "/%7e": "%7e", "/%7E": "%7E",
	} {
		if got := flawOf(path); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// FuzzFlawOf: what is clean reads the same however often it is decoded, and whether
// or not it is cleaned.
func FuzzFlawOf(f *testing.F) {
	for _, path := range []string{"/a/b", "/a/../b", "/a//b", "/%2e%2E/", "/a;b", "/a%20b/", "/%41"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/") || flawOf(u.EscapedPath()) != "" {
			return
		}
		if cleaned := u.JoinPath(); cleaned.EscapedPath() != u.EscapedPath() {
			t.Errorf("%q is clean, and cleaned it is %q", u.EscapedPath(), cleaned.EscapedPath())
		}
		if strings.Count(u.Path, "/") != strings.Count(u.EscapedPath(), "/") || strings.ContainsAny(u.Path, ";\\\x00") {
			t.Errorf("%q is clean, and decoded it is %q", u.EscapedPath(), u.Path)
		}
	})
}
