//go:build release && unix

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
)

// TestRelease builds a release as its workflow does, for every system.
func TestRelease(t *testing.T) {
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
	if !strings.Contains(notes, "\n### Added\n") || strings.Contains(notes, "## [") || strings.Contains(notes, "The first of them") ||
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
