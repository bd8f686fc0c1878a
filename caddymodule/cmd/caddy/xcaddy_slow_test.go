//go:build slow && unix

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const xcaddy = "github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5"

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
