package signing_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSignersThroughGateway sends what each sample signs through a real
// gateway, which answers with the user it verified.
func TestSignersThroughGateway(t *testing.T) {
	url := startGateway(t)
	for _, s := range signers(t) {
		t.Run(s.Name, func(t *testing.T) {
			for _, id := range userIDs {
				out, _, err := run(t, secret, append(s.Command[:len(s.Command):len(s.Command)], id))
				if err != nil {
					t.Fatalf("%q: %v", id, err)
				}
				text, _ := json.Marshal(id)
				hash := strings.TrimSpace(out)
				expect(t, url, string(text), hash, 200, id)
				expect(t, url, `"somebody else"`, hash, 401, "")
				if id == "42" {
					expect(t, url, "42", hash, 200, id) // the same id as a JSON integer
				}
			}
		})
	}
}

func expect(t *testing.T, url, user, hash string, status int, verified string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"user_id":%s,"user_hash":%q}`, user, hash)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != status || status == 200 && string(body) != verified {
		t.Errorf("%s: %d %s, want %d %s", user, response.StatusCode, body, status, verified)
	}
}

// startGateway runs the gateway and returns its URL.
func startGateway(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	url := fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))

	gateway := exec.Command(testbed.Gateway(t), "run", "--config", "-", "--adapter", "caddyfile")
	gateway.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "CHAT_IDENTITY_SECRET="+secret)
	gateway.Stdin = strings.NewReader(`{
	admin off
	persist_config off
	auto_https off
}
` + url + ` {
	chat_identity required {
		secret {env.CHAT_IDENTITY_SECRET}
	}
	respond "{http.chat_identity.user}"
}
`)
	var log strings.Builder
	gateway.Stderr = &log
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gateway.Process.Signal(os.Interrupt)
		if err := gateway.Wait(); err != nil {
			t.Errorf("the gateway ended with %v:\n%s", err, log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway does not answer: %v", err)
		}
	}
}
