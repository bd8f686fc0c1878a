//go:build slow && unix

package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	module  = "github.com/chatidentity/caddy-chat-identity"
	version = "v0.9.9"
	xcaddy  = "github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5"
)

// TestSlowRelease builds a release as its workflow does, for every system.
func TestSlowRelease(t *testing.T) {
	repository := tagged(t)
	out := filepath.Join(t.TempDir(), "dist")

	for wrong, want := range map[string]string{"v0.9.8": `CHANGELOG.md has nothing under "## [0.9.8]"`, "v0.0.1": "The build is of v0.9.9, not of v0.0.1"} {
		cmd := exec.Command(".ci/release", wrong, t.TempDir())
		cmd.Dir = repository
		if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), want) {
			t.Errorf("%s: %v: %s", wrong, err, said)
		}
	}
	run(t, repository, nil, ".ci/release", version, out)

	notes := read(t, out, "notes.md")
	if !strings.HasPrefix(strings.TrimSpace(notes), "### ") || strings.Contains(notes, "## [") || strings.Contains(notes, "The first of them") ||
		!strings.Contains(notes, "](https://"+module+"/blob/v0.9.9/docs/") {
		t.Errorf("the notes are %s", notes)
	}
	if link := regexp.MustCompile(`\]\([^)]*\)`).FindAllString(notes, -1); slices.ContainsFunc(link, func(l string) bool { return !strings.HasPrefix(l, "](https://") }) {
		t.Errorf("the notes have links that lead nowhere on the page of a release: %s", link)
	}

	sums := map[string]string{}
	for line := range strings.Lines(read(t, out, "checksums.txt")) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	for _, target := range []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64", "windows_arm64"} {
		name := "caddy-chat-identity_0.9.9_" + target
		for _, file := range []string{name + ".tar.gz", name + ".cdx.json"} {
			if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, out, file)))); sums[file] != sum {
				t.Errorf("%s has the sum %s, and not %s", file, sum, sums[file])
			}
			delete(sums, file)
		}
		unpacked := unpack(t, filepath.Join(out, name+".tar.gz"))
		if !slices.Equal(unpacked.names, []string{name + "/", name + "/CHANGELOG.md", name + "/LICENSE", name + "/README.md", name + "/" + unpacked.caddy}) {
			t.Errorf("%s has %q", name, unpacked.names)
		}
		info, err := buildinfo.ReadFile(unpacked.path)
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if got := settings["GOOS"] + "_" + settings["GOARCH"]; got != target || settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || info.Main.Version != version {
			t.Errorf("%s has a build of %s %s: %v", name, info.Main.Version, got, settings)
		}
		bill(t, read(t, out, name+".cdx.json"), info)
		if target == runtime.GOOS+"_"+runtime.GOARCH {
			works(t, unpacked.path, version)
		}
	}
	if len(sums) != 0 {
		t.Errorf("checksums of files that are not there: %v", sums)
	}
}

// TestSlowXcaddy runs the README's commands with xcaddy: a checkout has no version, and a
// released module has its own.
func TestSlowXcaddy(t *testing.T) {
	block := regexp.MustCompile("(?ms)^```sh install\n(.*?)\n```").FindStringSubmatch(read(t, testbed.Root(t), "README.md"))
	if block == nil {
		t.Fatal("the README does not say how to install")
	}
	released, checkout, _ := strings.Cut(block[1], "\n")
	repository, bin := tagged(t), t.TempDir()
	run(t, repository, []string{"GOBIN=" + bin}, "go", "install", xcaddy)
	environment := append(published(t, repository), "PATH="+bin+":"+os.Getenv("PATH"))
	for _, x := range []struct{ dir, command, version string }{{t.TempDir(), released, version}, {repository, checkout, "(devel)"}} {
		run(t, x.dir, environment, "bash", "-ec", x.command)
		works(t, filepath.Join(x.dir, "caddy"), x.version)
	}
}

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

// published makes go find the tagged repository at the module's address, and all else in
// what this machine has of the modules already. The cache is the test's own, since the next
// test's module has the same version.
func published(t *testing.T, repository string) []string {
	t.Helper()
	known := strings.Fields(run(t, repository, nil, "go", "env", "GOMODCACHE", "GOPROXY"))
	return []string{
		"GOFLAGS=-modcacherw", "GOMODCACHE=" + t.TempDir(), "GOPROXY=file://" + known[0] + "/cache/download," + known[1], "GONOSUMDB=*", "GOPRIVATE=" + module,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + repository + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + module,
	}
}

// bill checks that a bill of materials names what was built.
func bill(t *testing.T, text string, info *buildinfo.BuildInfo) {
	t.Helper()
	var b struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil || b.BOMFormat != "CycloneDX" || b.Metadata.Component.Name != module || b.Metadata.Component.Version != version {
		t.Errorf("the bill of materials is of %+v: %v", b.Metadata, err)
	}
	has := map[string]string{}
	for _, c := range b.Components {
		has[c.Name] = c.Version
	}
	for _, m := range info.Deps {
		if has[m.Path] != m.Version {
			t.Errorf("the bill of materials has %s %q, and the build %s", m.Path, has[m.Path], m.Version)
		}
	}
}

type archive struct {
	names       []string
	caddy, path string
}

func unpack(t *testing.T, path string) (a archive) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for entries := tar.NewReader(plain); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return a
		}
		if err != nil {
			t.Fatal(err)
		}
		a.names = append(a.names, entry.Name)
		if name := filepath.Base(entry.Name); strings.TrimSuffix(name, ".exe") == "caddy" {
			a.caddy, a.path = name, filepath.Join(t.TempDir(), name)
			content, err := io.ReadAll(entries)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(a.path, content, entry.FileInfo().Mode()); err != nil {
				t.Fatal(err)
			}
		}
	}
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
