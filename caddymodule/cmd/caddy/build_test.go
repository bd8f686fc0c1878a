//go:build (slow || release) && unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	module  = "github.com/chatidentity/caddy-chat-identity"
	version = "v0.9.9"
)

// works checks a gateway's version, and that its modules are registered.
func works(t *testing.T, caddy, want string) {
	t.Helper()
	pinned := regexp.MustCompile(`(?m)^\s*github\.com/caddyserver/caddy/v2 (v\S+)$`).FindStringSubmatch(read(t, testbed.Root(t), "go.mod"))
	if said := run(t, "", nil, caddy, "chat-identity", "version"); !slices.Equal(strings.Fields(said), []string{"chat-identity", want, "caddy", pinned[1]}) {
		t.Errorf("its version is %q, and not %s with Caddy %s", said, want, pinned[1])
	}
	modules := strings.Fields(run(t, "", nil, caddy, "list-modules"))
	for _, m := range []string{"chat_identity", "http.handlers.chat_identity", "http.matchers.chat_identity", "admin.api.chat_identity"} {
		if !slices.Contains(modules, m) {
			t.Errorf("list-modules lacks %s", m)
		}
	}
}

// tagged returns a repository of the files of this one as they are, with the changes since
// the last release as those of the version that it is tagged with.
func tagged(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := testbed.Root(t)
	run(t, root, nil, "bash", "-euo", "pipefail", "-c", `git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done | tar -c --null -T - | tar -x -C "$1"`, "bash", dir)
	changes := strings.Replace(read(t, dir, "CHANGELOG.md"), "## [Unreleased]\n", "## [Unreleased]\n\n## [0.9.9] - 2026-12-31\n", 1)
	changes = strings.Replace(changes, "\n[Unreleased]:", "\n## [0.0.1] - 2026-01-01\n\n- The first of them.\n\n[Unreleased]:", 1)
	if err := os.WriteFile(filepath.Join(dir, "CHANGELOG.md"), []byte(changes), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "bash", "-euc", `git init -q
		git add --all
		git -c user.name=Test -c user.email=test@example.com commit -q -m "The release of a test"
		git tag "$1"`, "bash", version)
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a program without this machine's flags for go, and returns what it printed.
func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS="), environment...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, said.String())
	}
	return string(out)
}
