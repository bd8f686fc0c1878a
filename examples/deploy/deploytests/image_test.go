package deploytests

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// An image is a root file system, and how a program starts in it.
type image struct {
	root            string
	env             []string
	user            string
	command, health []string
}

// build assembles an image on this machine, where there is no container engine: it carries
// out the Dockerfile, as BuildKit's own parser reads it. Programs of the first stage are
// this machine's. The base of the second, which is in a registry, is laid out by hand.
func build(t *testing.T, dockerfile string) *image {
	t.Helper()
	stages := parse(t, dockerfile)
	context := buildContext(t)
	first := firstStage(t, context, stages[0], func(script string) string { return script })
	i := newBase(t, stages[1].BaseName)
	for _, command := range stages[1].Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			from := context
			if c.From == stages[0].Name {
				from = first
			}
			copies(t, c, from, i.root)
		case *instructions.RunCommand:
			output(t, root("chroot", i.root, "/bin/sh", "-c", strings.Join(c.CmdLine, " ")))
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				i.env = append(i.env, pair.Key+"="+pair.Value)
			}
		case *instructions.UserCommand:
			i.user = c.User
		case *instructions.HealthCheckCommand:
			i.health = c.Health.Test[1:] // without CMD
		case *instructions.CmdCommand:
			i.command = c.CmdLine
		case *instructions.ExposeCommand:
		default:
			t.Fatalf("%s: this test does not know %s", dockerfile, c.Name())
		}
	}
	return i
}

// firstStage carries out the stage that compiles, with the scripts as the test has them run,
// and returns its root.
func firstStage(t *testing.T, context string, stage instructions.Stage, script func(string) string) string {
	t.Helper()
	first := t.TempDir()
	dir := first
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.WorkdirCommand:
			dir = filepath.Join(first, c.Path)
			must(t, os.MkdirAll(dir, 0o755))
		case *instructions.CopyCommand:
			copies(t, c, context, dir)
		case *instructions.RunCommand:
			// What is written to the stage's root stays below it.
			run := exec.Command("sh", "-c", strings.ReplaceAll(script(strings.Join(c.CmdLine, " ")), " -o /", " -o "+first+"/"))
			run.Dir, run.Env = dir, append(os.Environ(), "GOFLAGS=")
			output(t, run)
		default:
			t.Fatalf("this test does not know %s", c.Name())
		}
	}
	return first
}

// parse parses a Dockerfile. A warning of the parser or of BuildKit's linter is an error.
func parse(t *testing.T, dockerfile string) []instructions.Stage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), dockerfile))
	must(t, err)
	tree, err := parser.Parse(bytes.NewReader(text))
	must(t, err)
	for _, warning := range tree.Warnings {
		t.Errorf("%s: %s", dockerfile, warning.Short)
	}
	stages, _, err := instructions.Parse(tree.AST, linter.New(&linter.Config{
		Warn: func(rule, description, _, message string, _ []parser.Range) {
			t.Errorf("%s: %s: %s (%s)", dockerfile, rule, message, description)
		},
	}))
	must(t, err)
	return stages
}

// copies carries out COPY.
func copies(t *testing.T, c *instructions.CopyCommand, from, to string) {
	t.Helper()
	if c.Chown != "" || c.Chmod != "" || len(c.ExcludePatterns) > 0 {
		t.Fatalf("this test does not know %s", c)
	}
	for _, path := range c.SourcePaths {
		source, target := filepath.Join(from, path), filepath.Join(to, c.DestPath)
		if info, err := os.Stat(source); err != nil {
			t.Fatal(err)
		} else if !info.IsDir() && (strings.HasSuffix(c.DestPath, "/") || c.DestPath == ".") {
			target = filepath.Join(target, filepath.Base(path))
		}
		must(t, os.MkdirAll(filepath.Dir(target), 0o755))
		output(t, exec.Command("cp", "-rT", source, target))
	}
}

// newBase lays out what the gateway's image takes from its base: Alpine's tools, which are
// BusyBox, and the folders and variables of Caddy's image.
func newBase(t *testing.T, name string) *image {
	t.Helper()
	i := &image{root: t.TempDir(), env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	t.Cleanup(func() { output(t, root("rm", "-rf", i.root)) }) // some of it belongs to others
	must(t, os.Chmod(i.root, 0o755))
	folders := []string{"proc", "dev", "etc", "run/secrets"}
	if name == "caddy:2.11" {
		folders = append(folders, "bin", "usr/bin", "data/caddy", "config/caddy", "etc/caddy", "srv", "tmp")
		i.env = append(i.env, "XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data")
	} else if name != "scratch" {
		t.Fatalf("this test does not know the base %s", name)
	}
	for _, folder := range folders {
		must(t, os.MkdirAll(filepath.Join(i.root, folder), 0o755))
	}
	if name == "scratch" {
		return i
	}
	must(t, os.Chmod(filepath.Join(i.root, "tmp"), os.ModeSticky|0o777))
	busybox, err := exec.LookPath("busybox")
	must(t, err)
	output(t, exec.Command("cp", busybox, filepath.Join(i.root, "bin/busybox")))
	output(t, root("chroot", i.root, "/bin/busybox", "--install", "-s", "/bin"))
	return i
}

// TestImage runs the compose file's services in their images: each as its user, without
// capabilities, with a root file system that is read-only, in a network of their own.
func TestImage(t *testing.T) {
	dir := newFolder(t)
	gateway, backend := build(t, "examples/deploy/Dockerfile"), build(t, "examples/deploy/backend.Dockerfile")
	for _, i := range []*image{gateway, backend} {
		if i.user == "" || strings.HasPrefix(i.user, "0") || strings.Trim(i.user, "0123456789:") != "" {
			t.Fatalf("the user is %q, want a number that is not root's", i.user)
		}
	}
	// As the text says, the two probes run the same command.
	if probe := newCluster(t, dir).pods["gateway"].Spec.Containers[0].StartupProbe.Exec.Command; !slices.Equal(gateway.health, probe) {
		t.Errorf("the image's health check is %q, the startup probe %q", gateway.health, probe)
	}
	b := newBox(t)
	b.mount(t, dir, "gateway", gateway)
	b.mount(t, dir, "backend", backend)
	for _, c := range []struct{ what, writes string }{
		{"its program", "/usr/bin/caddy"}, {"its configuration", "/etc/caddy/Caddyfile"}, {"a secret", "/run/secrets/encryption_key"}, {"the root", "/new"},
	} {
		if said, err := b.in("gateway", "sh", "-c", "echo >"+c.writes).CombinedOutput(); err == nil || !bytes.Contains(said, []byte("Read-only file system")) {
			t.Errorf("the gateway writes to %s: %v, %s", c.what, err, said)
		}
	}
	for _, volume := range []string{"/data/caddy/new", "/tmp/new"} {
		output(t, b.in("gateway", "sh", "-c", "echo >"+volume))
	}
	if said := output(t, b.in("gateway", "cat", "/proc/self/status")); !strings.Contains(said, "CapEff:\t0000000000000000") || !strings.Contains(said, "NoNewPrivs:\t1") {
		t.Errorf("the gateway can do more than it needs: %s", said)
	}

	b.run(t, "gateway", gateway.command)
	// Without a Redis, it is not ready, and runs all the same.
	testbed.Until(t, "connections to be accepted", func() bool {
		return b.command("curl", "-sS", "http://localhost:8080/").Run() == nil
	}, b.logs...)
	if said, err := b.in("gateway", gateway.health...).CombinedOutput(); err == nil || !bytes.Contains(said, []byte("down")) {
		t.Errorf("without a Redis: %v, %s", err, said)
	}
	b.redis(t, dir)
	b.run(t, "backend", backend.command)
	b.becomesHealthy(t, gateway)

	// Not even who shares the container's network, or can enter it as another user, reaches
	// the admin endpoint.
	if said, err := b.command("curl", "-sS", "http://localhost:2019/config/").CombinedOutput(); err == nil || !bytes.Contains(said, []byte("connect to")) {
		t.Errorf("the admin endpoint, over the network: %v, %s", err, said)
	}
	other := *b.services["gateway"].image
	other.user = "1000:1000"
	b.services["other"] = &confined{image: &other, env: b.services["gateway"].env}
	if said, err := b.in("other", gateway.health...).CombinedOutput(); err == nil || !bytes.Contains(said, []byte("permission denied")) {
		t.Errorf("the admin endpoint, as another user: %v, %s", err, said)
	}

	// What the README prints.
	widget := strings.TrimSpace(output(t, b.in("gateway", "caddy", "chat-identity", "create", "shop")))
	claim := output(t, b.with([]string{"CHAT_IDENTITY_SECRET=" + widget}, "gateway", "caddy", "chat-identity", "sign", "--user", "user-123"))
	large := filepath.Join(t.TempDir(), "large")
	must(t, os.WriteFile(large, make([]byte, 3<<20), 0o600))
	var fields map[string]any
	must(t, json.Unmarshal([]byte(claim), &fields))
	for _, c := range []struct {
		what, wants string
		curl        []string
	}{
		{"a signed message", `{"user":["shop","user-123"]}`, []string{"--json", claim, "http://localhost:8080/chat/messages"}},
		{"an upload that waits in a file", `{"user":["shop","user-123"]}`, []string{
			"-F", "user_id=user-123", "-F", "user_hash=" + fields["user_hash"].(string), "-F", "file=@" + large, "http://localhost:8080/chat/files",
		}},
		{"a visitor", `{"user":null}`, []string{"--json", "{}", "http://localhost:8080/chat/messages"}},
		{"past the gateway", "no valid assertion", []string{"-H", "X-Verified-User: admin", "http://localhost:9000/chat/messages"}},
		{"metrics", `caddy_chat_identity_health{status="ok"} 1`, []string{"http://localhost:9180/metrics"}},
	} {
		testbed.Until(t, c.what+": "+c.wants, func() bool {
			arguments := append([]string{"curl", "-sS", "-H", "X-Widget-Key: shop"}, c.curl...)
			return strings.Contains(output(t, b.command(arguments...)), c.wants)
		}, b.logs...)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
