package deploytests

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// ignored reads .dockerignore, as Docker does.
func ignored(t *testing.T) func(path string) bool {
	t.Helper()
	file, err := os.Open(filepath.Join(testbed.Root(t), ".dockerignore"))
	must(t, err)
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	must(t, err)
	matcher, err := patternmatcher.New(patterns)
	must(t, err)
	return func(path string) bool {
		matches, err := matcher.MatchesOrParentMatches(path)
		must(t, err)
		return matches
	}
}

// buildContext is a copy of what Docker sends to a builder.
func buildContext(t *testing.T) string {
	t.Helper()
	from, to, without := testbed.Root(t), t.TempDir(), ignored(t)
	must(t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || without(name) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755))
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	}))
	return to
}

// TestContext: builders are sent all that the Dockerfiles' programs are made of, of which the
// Dockerfiles copy all, and no secret.
func TestContext(t *testing.T) {
	context := buildContext(t)
	for _, dockerfile := range []string{"examples/deploy/Dockerfile", "examples/deploy/backend.Dockerfile"} {
		firstStage(t, context, parse(t, dockerfile)[0], func(script string) string {
			if !strings.Contains(script, "go build ") {
				return "true"
			}
			return strings.ReplaceAll(script, "go build ", "go build -n ") // finds every package and embedded file
		})
	}
	without := ignored(t)
	for _, private := range []string{
		"examples/deploy/secrets/encryption_key", "examples/deploy/secrets/redis_password", "examples/deploy/claim.json",
		".git/config", ".env", "caddy", "bin/testgateway",
	} {
		if !without(private) {
			t.Errorf("builders are sent %s", private)
		}
	}
	sent, err := filepath.Glob(filepath.Join(context, "examples/deploy/*"))
	must(t, err)
	if want := []string{filepath.Join(context, "examples/deploy/Caddyfile")}; !slices.Equal(sent, want) {
		t.Errorf("of this folder, builders are sent %s", sent)
	}
}
