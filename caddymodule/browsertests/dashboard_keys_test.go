package browsertests

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestDashboardKeys creates a widget with a public key, replaces it by another and by a key
// set, and shows what verifies.
func TestDashboardKeys(t *testing.T) {
	t.Parallel()
	b := openBoard(t, "", "chat_identity {\nwidget {header.X-Widget-Key}\nclaim token header Authorization\ntoken {\nalgorithm EdDSA\nrequire /iss shop\nrequire /aud chat\n}\n}\n"+answers)
	keys := make([]ed25519.PrivateKey, 2)
	pems := make([]string, 2)
	for i := range keys {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		keys[i], pems[i] = private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	verifies := func(i int, want string) {
		t.Helper()
		testbed.Until(t, fmt.Sprintf("key %d is %s", i, want), func() bool { return b.bearer(t, keys[i]) == want })
	}
	b.open("/")
	b.press("Create the first widget")
	b.write("shop")
	b.choose("Public keys")
	b.fill("dialog textarea", "-----BEGIN PRIVATE KEY-----")
	b.says("only your server may have it")
	b.fill("dialog textarea", pems[0])
	b.show("create-keys")
	b.press("Create")
	b.wait("location.hash === '#/widgets/shop'")
	b.says("Ed25519")
	b.says("There is no secret")
	verifies(0, "verified")
	b.says("in the last hour")
	b.show("keys")
	if look[bool](b.tab, "[...document.querySelectorAll('button')].some((button) => /Rotate|secret/.test(button.textContent))") {
		t.Error("a widget without a secret has a button to rotate or show it")
	}
	b.press("Replace the keys…")
	b.fill("dialog textarea", pems[0]+pems[1])
	b.press("Replace")
	b.wait("document.querySelectorAll('.secrets li').length === 2")
	verifies(0, "verified")
	verifies(1, "verified")
	b.press("Replace the keys…")
	b.fill("dialog textarea", pems[1])
	b.press("Replace")
	b.wait("document.querySelectorAll('.secrets li').length === 1")
	verifies(0, "invalid invalid")
	verifies(1, "verified")
	b.press("Replace the keys…")
	b.choose("Key set")
	b.fill("dialog input[type=url]", "http://127.0.0.1:1/jwks")
	b.says("by https alone")
	b.fill("dialog input[type=url]", "https://127.0.0.1:1/jwks")
	b.press("Replace")
	b.says("The key set https://127.0.0.1:1/jwks, read every 5 minutes.")
	b.says("the key set cannot be read")
	verifies(1, "unavailable unavailable")
	b.show("keyset-away")
}

// bearer sends a token for the widget shop, and returns the outcome and reason.
func (g *gateway) bearer(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"EdDSA"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":"ada","iss":"shop","aud":"chat","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	signature, err := key.Sign(rand.Reader, []byte(text), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, g.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + text + "." + encode(signature)}, "X-Widget-Key": {"shop"}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var said bytes.Buffer
	if _, err := said.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimSuffix(said.String(), " ada"))
}
