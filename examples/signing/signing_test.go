package signing_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c35f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"

var userIDs = []string{
	"user-123",
	"42",
	"zoë@exämple.com",
	"名前",
	` an "id" with 'quotes', spaces & $HOME `,
}

// signer is one language's sample. Command takes the user id as its last
// argument; Integer signs the number 42 by calling the sample's function, and
// is nil where the language's own tests do that.
type signer struct {
	Name    string
	Command []string
	Integer []string
}

// signers returns every sample of this folder, the Go one built. A missing
// interpreter fails the test, because an untested sample may not work.
func signers(t *testing.T) []signer {
	t.Helper()
	goBinary := filepath.Join(t.TempDir(), "sign")
	if runtime.GOOS == "windows" {
		goBinary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", goBinary, "./go").CombinedOutput(); err != nil {
		t.Fatalf("go build ./go: %v\n%s", err, out)
	}
	all := []signer{
		{"node", []string{"node", "sign.js"}, []string{"node", "-e", `console.log(require("./sign.js").userHash(42))`}},
		{"python", []string{"python3", "sign.py"}, []string{"python3", "-B", "-c", `import sign; print(sign.user_hash(42))`}},
		{"php", []string{"php", "sign.php"}, []string{"php", "-r", `require "sign.php"; echo userHash(42), "\n";`}},
		{"ruby", []string{"ruby", "sign.rb"}, []string{"ruby", "-r", "./sign", "-e", `puts user_hash(42)`}},
		{"go", []string{goBinary}, nil},
	}
	for _, s := range all {
		if _, err := exec.LookPath(s.Command[0]); err != nil {
			t.Fatalf("%s is needed to test the %s sample (make deps installs it): %v", s.Command[0], s.Name, err)
		}
	}
	return all
}

// TestSigners compares what each sample signs with the test's own digest, and has a
// real gateway verify it, which answers with the user.
func TestSigners(t *testing.T) {
	url := fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))
	testbed.Run(t, caddyfile, t.TempDir(), url, "URL="+url, "CHAT_IDENTITY_SECRET="+secret)
	for _, s := range signers(t) {
		t.Run(s.Name, func(t *testing.T) {
			check := func(command []string, id string) {
				out, _, err := run(t, secret, command)
				hash := strings.TrimSuffix(out, "\n")
				if err != nil || hash != digest(id) {
					t.Errorf("%q: %q, %v, want %q", id, out, err, digest(id))
				}
				text, _ := json.Marshal(id)
				expect(t, url, string(text), hash, 200, id)
				expect(t, url, `"somebody else"`, hash, 401, "")
				if id == "42" {
					expect(t, url, "42", hash, 200, id) // the same id as a JSON integer
				}
			}
			for _, id := range userIDs {
				check(append(s.Command[:len(s.Command):len(s.Command)], id), id)
			}
			if s.Integer != nil {
				check(s.Integer, "42")
			}
		})
	}
}

const caddyfile = `{
	admin off
	persist_config off
	auto_https off
}
{$URL} {
	chat_identity / required {
		secret {env.CHAT_IDENTITY_SECRET}
	}
	chat_identity /token required {
		secret {env.CHAT_IDENTITY_SECRET}
		dialect jwt
	}
	respond "{http.chat_identity.user}"
}
`

func expect(t *testing.T, url, user, hash string, status int, verified string) {
	t.Helper()
	post(t, url, fmt.Sprintf(`{"user_id":%s,"user_hash":%q}`, user, hash), status, verified)
}

func post(t *testing.T, url, claim string, status int, verified string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(claim))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != status || status == 200 && string(body) != verified {
		t.Errorf("%s: %d %s, want %d %s", claim, response.StatusCode, body, status, verified)
	}
}

// TestTokens has a real gateway verify the tokens of each sample.
func TestTokens(t *testing.T) {
	url := fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))
	testbed.Run(t, caddyfile, t.TempDir(), url, "URL="+url, "CHAT_IDENTITY_SECRET="+secret)
	for _, s := range signers(t) {
		t.Run(s.Name, func(t *testing.T) {
			for _, id := range userIDs {
				out, message, err := run(t, secret, append(s.Command[:len(s.Command):len(s.Command)], "--token", id))
				if err != nil {
					t.Fatalf("%q: %v, %s", id, err, message)
				}
				token := strings.TrimSuffix(out, "\n")
				post(t, url+"/token", fmt.Sprintf(`{"user_token":%q}`, token), 200, id)
				post(t, url+"/token", fmt.Sprintf(`{"user_token":%q}`, token[:len(token)-9]+"AAAAAAAAA"), 403, "")
			}
		})
	}
}

func TestSignersRefuse(t *testing.T) {
	cases := []struct {
		name   string
		secret string
		args   []string
		says   string
	}{
		{"no secret", "", []string{"user-123"}, "CHAT_IDENTITY_SECRET"},
		{"no user id", secret, nil, "user id"},
		{"an empty user id", secret, []string{""}, "user id"},
		{"a token without a secret", "", []string{"--token", "user-123"}, "CHAT_IDENTITY_SECRET"},
		{"a token without a user id", secret, []string{"--token"}, "user id"},
	}
	for _, s := range signers(t) {
		for _, c := range cases {
			t.Run(s.Name+"/"+c.name, func(t *testing.T) {
				out, message, err := run(t, c.secret, append(s.Command[:len(s.Command):len(s.Command)], c.args...))
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("ended with %v, want exit status 1", err)
				}
				if out != "" {
					t.Errorf("printed %q", out)
				}
				if !strings.Contains(message, c.says) || strings.Count(message, "\n") != 1 {
					t.Errorf("said %q on standard error, want one line about %s", message, c.says)
				}
			})
		}
	}
}

// run runs a command without the secret in the test's own environment, and in the C
// locale, as servers often do.
func run(t *testing.T, secret string, command []string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAT_IDENTITY_SECRET=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	if secret != "" {
		cmd.Env = append(cmd.Env, "CHAT_IDENTITY_SECRET="+secret)
	}
	var out, message bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &message
	err = cmd.Run()
	return out.String(), message.String(), err
}

func digest(id string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}
