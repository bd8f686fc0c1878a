// Command quickstart runs a verified chat on one machine: a sample chat backend with
// its page, and the gateway in front of it.
package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

//go:embed Caddyfile
var caddyfile string

func main() { demo.Main("demo", start) }

func start(d *demo.Demo) error {
	secrets := secrets{chat: secretFrom("CHAT_IDENTITY_SECRET"), calls: secretFrom("CALLS_SECRET")}
	backend, err := d.Serve(newBackend(secrets, d.URL()))
	if err != nil {
		return err
	}
	gateway := &demo.Process{Name: "gateway", Config: caddyfile, Vital: true, Env: []string{
		fmt.Sprintf("PORT=%d", d.Port), "BACKEND=" + backend, "CHAT_IDENTITY_SECRET=" + secrets.chat, "CALLS_SECRET=" + secrets.calls, "CHAT_IDENTITY_KEY=" + base64.StdEncoding.EncodeToString(random()),
	}}
	if err := d.StartGateway(gateway); err != nil {
		return err
	}
	if err := d.UntilAnswers(gateway, d.URL()); err != nil {
		return err
	}
	fmt.Printf("The demo is running: open %s in your browser, and press Ctrl-C here to stop it.\n", d.URL())
	return nil
}

// secrets are those that the website shares with the gateway, one for each kind of
// signature. With a single secret, the concatenated fields that are signed for a call
// would also be the signature of a chat user with that text as the id.
type secrets struct{ chat, calls string }

// secretFrom returns the secret in the environment, or else a new one in the form
// that chat products use: 32 random bytes as 64 hex digits, whose text is the key.
func secretFrom(variable string) string {
	if secret := os.Getenv(variable); secret != "" {
		return secret
	}
	return hex.EncodeToString(random())
}

func random() []byte {
	b := make([]byte, 32)
	rand.Read(b)
	return b
}
