package backends_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestMisconfigured: a sample without one of its variables says which, and does not run. PHP
// has no start, so its sample says it of each request.
func TestMisconfigured(t *testing.T) {
	program := filepath.Join(t.TempDir(), "backend")
	testbed.Build(t, program, "./examples/backends/go")
	for name, command := range commands {
		for _, missing := range []string{"KEYS_URL", "AUDIENCE", "PORT"} {
			if missing == "PORT" && strings.Contains(command, "{port}") {
				continue
			}
			port := fmt.Sprint(testbed.FreePort(t))
			words := strings.Fields(strings.NewReplacer("{port}", port, "{go}", program).Replace(command))
			cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
			var log testbed.Buffer
			cmd.Stdout, cmd.Stderr = &log, &log
			cmd.Env = append(os.Environ(), "PORT="+port, "AUDIENCE=backend", "KEYS_URL=http://127.0.0.1:1/keys")
			cmd.Env = append(slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, missing+"=") }), missing+"=")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if name == "php" {
				testbed.Until(t, "an answer without "+missing, func() bool {
					response, err := http.Get("http://127.0.0.1:" + port)
					if err == nil {
						response.Body.Close()
					}
					return err == nil && response.StatusCode == http.StatusInternalServerError
				}, &log)
				_ = cmd.Process.Kill()
			}
			if err := cmd.Wait(); err == nil || !strings.Contains(log.String(), missing+" is not set: ") {
				t.Errorf("%s without %s: %v %s", name, missing, err, log.String())
			}
		}
	}
}

// TestClocks: a clock that is half a minute off the gateway's makes no difference, though some
// libraries refuse what was issued in the future.
func TestClocks(t *testing.T) {
	s := newStand(t)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := string(marshal(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: own.Public(), KeyID: "own", Algorithm: "ES256", Use: "sig"}}}))
	s.noKeys.Store(&set)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: own, KeyID: "own"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what           string
		issued, expire time.Duration
		want           int
	}{
		{"a clock that is behind", 20 * time.Second, 80 * time.Second, http.StatusOK},
		{"a clock that is ahead", -80 * time.Second, -10 * time.Second, http.StatusOK},
		{"an assertion that has expired", -100 * time.Second, -40 * time.Second, http.StatusUnauthorized},
	} {
		for _, b := range s.backends {
			now := time.Now()
			assertion, err := jwt.Signed(signer).Claims(map[string]any{"iss": "chat-identity", "aud": "backend", "iat": now.Add(c.issued).Unix(),
				"exp": now.Add(c.expire).Unix(), "outcome": "verified", "widget": "shop", "sub": userID, "dialect": "bookbag"}).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			b.wants(t, b.name+": "+c.what, assertion, c.want, "")
		}
	}
}
