package signing_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSignersThroughGateway sends what each sample signs through a real
// gateway, which answers with the user it verified.
func TestSignersThroughGateway(t *testing.T) {
	url := fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t))
	testbed.Run(t, caddyfile, t.TempDir(), url, "URL="+url, "CHAT_IDENTITY_SECRET="+secret)
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

const caddyfile = `{
	admin off
	persist_config off
	auto_https off
}
{$URL} {
	chat_identity required {
		secret {env.CHAT_IDENTITY_SECRET}
	}
	respond "{http.chat_identity.user}"
}
`
