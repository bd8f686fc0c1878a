package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	code    = regexp.MustCompile("(?ms)^```.*?^```$|``[^`].*?``|`[^`\n]*`")
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the places of a page that a link can name, as GitHub names them.
func anchors(text string) map[string]bool {
	found := map[string]bool{"": true}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		found[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// TestDocsLinks follows the links of all documents to files and their headings.
func TestDocsLinks(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../examples/*/*.md"} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	followed := 0
	for _, file := range files {
		text := read(t, file)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			followed++
			target := filepath.Join(filepath.Dir(file), path)
			if path == "" {
				target = file
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if anchor != "" {
				if text, err := os.ReadFile(target); err != nil || !anchors(string(text))[anchor] {
					t.Errorf("%s: %s has no heading %s (%v)", file, target, anchor, err)
				}
			}
		}
	}
	if followed < 50 {
		t.Errorf("followed only %d links", followed)
	}
}

// TestDocsPages: the README is short and names every page, and a page begins with
// the questions that it answers.
func TestDocsPages(t *testing.T) {
	pages := documents(t)
	readme := pages["README.md"]
	if lines := strings.Count(readme, "\n"); lines > 250 {
		t.Errorf("the README has %d lines", lines)
	}
	for file, text := range pages {
		if file == "README.md" {
			continue
		}
		if !strings.Contains(readme, "]("+file+")") {
			t.Errorf("the README does not name %s", file)
		}
		parts := strings.SplitN(text, "\n\n", 3)
		if len(parts) < 3 || !strings.HasPrefix(parts[0], "# ") || !strings.HasSuffix(parts[1], "?") {
			t.Errorf("%s does not begin with what it answers: %q", file, parts)
		}
	}
}

// TestDocsMake: the make targets in the documents exist, and xcaddy
// builds with the Caddy that is tested.
func TestDocsMake(t *testing.T) {
	makefile := read(t, "../Makefile")
	var builder struct {
		Version string `json:"caddy_version"`
	}
	text, err := os.ReadFile("../xcaddy.json")
	if err != nil || json.Unmarshal(text, &builder) != nil {
		t.Fatal(err)
	}
	for file, text := range documents(t) {
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s: there is no target %s", file, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`xcaddy build (\S+)`).FindAllStringSubmatch(text, -1) {
			if m[1] != builder.Version {
				t.Errorf("%s: xcaddy builds with Caddy %s, and the tests with %s", file, m[1], builder.Version)
			}
		}
	}
}
