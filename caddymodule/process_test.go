package caddymodule

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// asCaddy is the environment variable with which this test's binary is the
// caddy command.
const asCaddy = "CHAT_IDENTITY_TEST_AS_CADDY"

// caddyCommand returns the caddy command, with folders of its own.
func caddyCommand(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCaddy+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	cmd.Dir = dir
	return cmd
}

// process is a gateway in a process of its own, which can be killed.
type process struct {
	*gateway
	binary string // of the gateway; "" for this test's own
	dir    string
	cmd    *exec.Cmd
	log    *testbed.Buffer
}

// newProcess is newLive in a process of its own.
func newProcess(t testing.TB, options, site string) *process {
	t.Helper()
	p := &process{gateway: newLive(t, options, site), dir: t.TempDir(), log: new(testbed.Buffer)}
	p.config = strings.Replace(p.config, "persist_config off", "", 1)
	return p
}

// run starts the process and waits until it answers.
func (p *process) run(t testing.TB) {
	t.Helper()
	p.cmd = caddyCommand(p.dir, "run", "--config", "-", "--adapter", "caddyfile")
	if p.binary != "" {
		p.cmd.Path = p.binary
	}
	p.cmd.Stdin = strings.NewReader(p.config)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	must(t, p.cmd.Start())
	cmd := p.cmd
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	testbed.Until(t, "the gateway to start", func() bool {
		response, err := http.Get("http://" + p.admin + "/config/")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == 200 && strings.Contains(p.log.String(), "serving initial configuration")
	}, p.log)
}

// kill ends the process as a power cut would.
func (p *process) kill(t testing.TB) {
	t.Helper()
	must(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

// command runs caddy chat-identity against the gateway.
func (p *process) command(t testing.TB, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := caddyCommand(p.dir, append([]string{"chat-identity"}, append(args, "--address", p.admin)...)...)
	var out, errors bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// runCommand runs caddy chat-identity in this process, as Caddy's Main does.
func runCommand(t testing.TB, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	registered := caddycmd.Commands()["chat-identity"]
	sub := &cobra.Command{Use: registered.Name}
	registered.CobraFunc(sub)
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	root.AddCommand(sub)
	var out, errors bytes.Buffer
	root.SetIn(strings.NewReader(input))
	root.SetOut(&out)
	root.SetErr(&errors)
	root.SetArgs(append([]string{"chat-identity"}, args...))
	err = root.Execute()
	return out.String(), errors.String(), err
}

// TestProcess: what is created in one process is there in the next, the command
// works against the real gateway, and nothing that is secret shows anywhere.
func TestProcess(t *testing.T) {
	const inline = "the-secret-of-an-inline-widget"
	t.Setenv("INLINE_SECRET", inline)
	p := newProcess(t, "encryption_key {env.TEST_KEY}\nallow_reveal\nwidget declared {\nsecret {env.INLINE_SECRET}\n}",
		"log\n"+liveSite)
	p.config = strings.Replace(p.config, "{\n", "{\ndebug\nlog {\nlevel DEBUG\n}\n", 1)
	p.run(t)

	hidden := map[string]string{inline: "an inline secret", testEncryptionKey: "the encryption key"}
	secret := func(args ...string) string {
		t.Helper()
		stdout, stderr, err := p.command(t, "", args...)
		text := strings.TrimSuffix(stdout, "\n")
		if err != nil || len(text) != 64 {
			t.Fatalf("%v: %v, stdout %s, stderr %s", args, err, stdout, stderr)
		}
		if strings.Contains(stderr, text) {
			t.Errorf("%v shows the secret on standard error", args)
		}
		hidden[text] = fmt.Sprint("the secret of ", args)
		return text
	}
	first := secret("create", "shop", "--mode", "required")
	equal(t, p.outcome(t, "shop", first), "verified", "created by the command")
	second := secret("rotate", "shop", "--grace", "1h")
	third := secret("rotate", "shop", "--grace", "1h")
	for i, s := range []string{first, second, third} {
		equal(t, p.outcome(t, "shop", s), "verified", "secret %d in grace", i)
	}
	if again := secret("reveal", "shop"); again != third {
		t.Errorf("reveal shows another secret")
	}
	const brought = "a-secret-that-was-brought-along"
	hidden[brought] = "a secret that was brought along"
	if out, stderr, err := p.command(t, brought+"\n", "create", "brought", "--secret-stdin"); err != nil || strings.Contains(out+stderr, brought) {
		t.Errorf("%v: %s%s", err, out, stderr)
	}
	equal(t, p.outcome(t, "brought", brought), "verified", "a secret that was brought along")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"shop", []string{"list"}},
		{"declared", []string{"list"}},
		{"2 in grace", []string{"list"}},
		{"required", []string{"show", "shop"}},
		{`"source": "inline"`, []string{"show", "declared", "--json"}},
		{"shop", []string{"stats"}},
		{"", []string{"set", "brought", "--mode", "off"}},
		{"", []string{"reseal"}},
	} {
		stdout, stderr, err := p.command(t, "", c.args...)
		if err != nil || !strings.Contains(strings.ReplaceAll(stdout, `":"`, `": "`), c.want) {
			t.Errorf("%v: %v, %s%s", c.args, err, stdout, stderr)
		}
	}
	for want, args := range map[string][]string{
		"defined in the configuration":    {"rotate", "declared"},
		"there is no widget with that id": {"show", "nobody"},
		"rotate shop":                     {"create", "shop"},
	} {
		stdout, stderr, err := p.command(t, "", args...)
		if err == nil || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: %v, stdout %s, stderr %s, want %s", args, err, stdout, stderr, want)
		}
	}

	p.kill(t)
	http.DefaultClient.CloseIdleConnections()
	p.run(t)
	for i, s := range []string{first, second, third} {
		equal(t, p.outcome(t, "shop", s), "verified", "after kill -9, secret %d", i)
	}
	equal(t, p.outcome(t, "shop", testSecret), "401", "after kill -9, another secret")

	// A client's signature is no secret of the gateway's, but is not logged either.
	hidden[signWith(third, "user-1")] = "a signature that was received"
	p.leaks(t, hidden)
	if stdout, stderr, err := p.command(t, "", "delete", "shop"); err != nil {
		t.Errorf("%v: %s%s", err, stdout, stderr)
	}
	equal(t, p.outcome(t, "shop", third), "invalid widget_unknown", "deleted")
}

// regexpSealed finds what is long and random in the store's file.
var regexpSealed = regexp.MustCompile(`[A-Za-z0-9+/]{70,}`)

// storeText returns the text of the store's file.
func (p *process) storeText(t testing.TB) string {
	t.Helper()
	_, rest, _ := strings.Cut(p.config, "widgets file ")
	path, _, _ := strings.Cut(rest, "\n")
	text := read(t, path)
	return string(text)
}

// findFiles returns all files within a folder.
func findFiles(t testing.TB, folder string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	must(t, err)
	return files
}

// leaks looks for what is hidden, in whatever spelling, wherever Caddy shows something.
func (p *process) leaks(t *testing.T, hidden map[string]string) {
	t.Helper()
	var stored strings.Builder
	for _, path := range findFiles(t, p.dir) {
		text := read(t, path)
		stored.Write(text)
	}
	places := map[string]string{
		"the log":  p.log.String(),
		"the disk": stored.String(), // autosave.json among it
	}
	for _, path := range []string{
		"/config/", "/metrics", "/debug/pprof/cmdline", "/debug/vars", "/chat_identity/widgets", "/chat_identity/stats",
		"/chat_identity/widgets/shop", "/chat_identity/widgets/declared",
	} {
		places[path] = p.page(t, path)
	}
	if !strings.Contains(places["the disk"], "INLINE_SECRET") || !strings.Contains(places["the log"], "chat_identity") {
		t.Error("autosave.json or the log was not found, so nothing is proved")
	}
	for _, metric := range []string{"cache_hits_total ", "cache_misses_total ", "cache_cost_bytes ", "cache_limit_bytes ", "store_reachable 1"} {
		if !strings.Contains(places["/metrics"], "\ncaddy_chat_identity_"+metric) {
			t.Errorf("no metric %s", metric)
		}
	}
	for place, text := range places {
		for secret, name := range hidden {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", place, name)
			}
		}
	}
	// What is sealed stays in its file, too.
	sealed := regexpSealed.FindAllString(p.storeText(t), -1)
	if len(sealed) < 4 {
		t.Fatalf("%d sealed secrets in the store", len(sealed))
	}
	delete(places, "the disk")
	for place, text := range places {
		for _, box := range sealed {
			if strings.Contains(text, box) {
				t.Errorf("%s holds a sealed secret", place)
			}
		}
	}
}
