package signing_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c35f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"

var userIDs = []string{"42", `an "id" with 'quotes', spaces & $HOME, zoë@exämple.com, 名前`}

// signer is one language's sample. Integer signs the number 42 for bookbag by calling the
// sample's function, and is nil where the language's own tests do that.
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
		{"node", []string{"node", "sign.js"}, []string{"node", "-e", `console.log(JSON.stringify(require("./sign.js").hashClaim(require("./dialects.json").bookbag, { user_id: 42 })))`}},
		{"python", []string{"python3", "sign.py"}, []string{"python3", "-B", "-c", `import json, sign; print(json.dumps(sign.hash_claim(json.load(open("dialects.json"))["bookbag"], user_id=42)))`}},
		{"php", []string{"php", "sign.php"}, []string{"php", "-r", `require "sign.php"; echo json_encode(hashClaim(json_decode(file_get_contents("dialects.json"), true)["bookbag"], ["user_id" => 42])), "\n";`}},
		{"ruby", []string{"ruby", "sign.rb"}, []string{"ruby", "-r", "./sign", "-e", `puts JSON.generate(hash_claim(JSON.parse(File.read("dialects.json"))["bookbag"], user_id: 42))`}},
		{"go", []string{goBinary}, nil},
	}
	for _, s := range all {
		if _, err := exec.LookPath(s.Command[0]); err != nil {
			t.Fatalf("%s is needed to test the %s sample (make deps installs it): %v", s.Command[0], s.Name, err)
		}
	}
	return all
}

// TestSigners has a real gateway verify what each sample signs for each built-in dialect.
// The samples agree with each other.
func TestSigners(t *testing.T) {
	gateway := fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))
	private, public := keyPair(t)
	caddyfile := "{\nadmin off\npersist_config off\nauto_https off\n}\n" + gateway + " {\n"
	names := map[string]verifier.Dialect{}
	for _, d := range verifier.Dialects {
		key := "secret {env.CHAT_IDENTITY_SECRET}"
		if len(d.Token.Algorithms) > 0 {
			key = "public_key {file." + public + "}"
		}
		caddyfile += fmt.Sprintf("chat_identity /%s required {\nwidget %[1]s\n%s\ndialect %[1]s\n}\n", d.Name, key)
		names[d.Name] = d
		if d.TakesToken() && d.Message != "" {
			names[d.Name+"-token"] = d
		}
	}
	caddyfile += "respond \"{http.chat_identity.user}\"\n}\n"
	testbed.Run(t, caddyfile, t.TempDir(), gateway, "CHAT_IDENTITY_SECRET="+secret)
	all := signers(t)
	for name, d := range names {
		t.Run(name, func(t *testing.T) {
			key := secret
			if len(d.Token.Algorithms) > 0 {
				key = private
			}
			for _, id := range userIDs {
				var first any
				for _, s := range all {
					out, said, err := run(t, key, slices.Concat(s.Command, []string{name, "user_id=" + id, "email=ada@example.com"}))
					var claim map[string]any
					if err != nil || json.Unmarshal([]byte(out), &claim) != nil {
						t.Fatalf("%s: %v, %s%s", s.Name, err, said, out)
					}
					if status, user := post(t, gateway, d, claim); status != 200 || user != id {
						t.Errorf("%s: %d %s, from %s", s.Name, status, user, out)
					}
					if first == nil {
						first = lasting(t, d, claim)
					} else if got := lasting(t, d, claim); !reflect.DeepEqual(got, first) {
						t.Errorf("%s says %v, and %s says %v", s.Name, got, all[0].Name, first)
					}
				}
			}
		})
	}
	for _, s := range all[:len(all)-1] {
		text, _, err := run(t, secret, slices.Concat(s.Command, []string{"bookbag", "user_id=42"}))
		number, said, failed := run(t, secret, s.Integer)
		if err != nil || failed != nil || number != text {
			t.Errorf("%s signs the number 42 as %s, and the text as %s: %v, %v, %s", s.Name, number, text, err, failed, said)
		}
	}
}

// keyPair returns a private key in PEM, and the file of its public one.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public = filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), public
}

// post sends a claim where the dialect has its members, and returns what the site answers.
func post(t *testing.T, gateway string, d verifier.Dialect, claim map[string]any) (status int, body string) {
	t.Helper()
	query, header, members := url.Values{}, http.Header{"Content-Type": {"application/json"}}, map[string]any{}
	for name, value := range claim {
		text, is := value.(string)
		if !is {
			text = string(marshal(t, value))
		}
		travels := func(location string) int {
			return slices.IndexFunc(d.Places, func(p verifier.Place) bool {
				return p.Location == location && (p.Name == name || name == "token" && p.Field == verifier.TokenField)
			})
		}
		if at := travels("header"); at >= 0 {
			p := d.Places[at]
			header.Set(p.Name, strings.TrimPrefix(p.Scheme+" "+text, " "))
		} else if at := travels("query"); at >= 0 {
			if d.Places[at].Base64 {
				text = base64.RawURLEncoding.EncodeToString([]byte(text))
			}
			query.Set(d.Places[at].Name, text)
		} else {
			members[name] = value
		}
	}
	request, err := http.NewRequest("POST", gateway+"/"+d.Name+"?"+query.Encode(), bytes.NewReader(marshal(t, members)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// lasting returns what does not differ from one second to the next: of a token its
// payload without times, and nothing of a claim with a nonce or a timestamp.
func lasting(t *testing.T, d verifier.Dialect, claim map[string]any) any {
	t.Helper()
	if strings.Contains(d.Message, "{nonce}") || strings.Contains(d.Message, "{timestamp}") {
		return nil
	}
	for name, value := range claim {
		if within, is := value.(map[string]any); is {
			claim[name] = lasting(t, d, within)
		}
		text, _ := value.(string)
		parts := strings.Split(text, ".")
		if payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)]); len(parts) == 3 && err == nil {
			var claims map[string]any
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			delete(claims, "iat")
			delete(claims, "exp")
			claim[name] = claims
		}
	}
	return claim
}

func TestSignersRefuse(t *testing.T) {
	cases := []struct {
		name   string
		secret string
		args   []string
		says   string
	}{
		{"no dialect", secret, nil, "dialect"},
		{"another dialect", secret, []string{"klingon", "user_id=user-123"}, "dialect"},
		{"no secret", "", []string{"bookbag", "user_id=user-123"}, "CHAT_IDENTITY_SECRET"},
		{"no user id", secret, []string{"bookbag"}, "the user lacks a field of {user_id}"},
		{"an empty user id", secret, []string{"bookbag", "user_id="}, "the user lacks a field of {user_id}"},
		{"a token without a secret", "", []string{"jwt", "user_id=user-123"}, "CHAT_IDENTITY_SECRET"},
		{"a token by a secret that is no key", secret, []string{"knock", "user_id=user-123"}, "CHAT_IDENTITY_SECRET is not a private key in PEM"},
		{"a field without its name", secret, []string{"bookbag", "user-123"}, "write each field as <field>=<value>"},
		{"a token without a user id", secret, []string{"jwt", "email=ada@example.com"}, "the user lacks a user_id"},
	}
	for _, s := range signers(t) {
		for _, c := range cases {
			t.Run(s.Name+"/"+c.name, func(t *testing.T) {
				out, message, err := run(t, c.secret, slices.Concat(s.Command, c.args))
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
