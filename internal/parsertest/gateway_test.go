package parsertest

import (
	"fmt"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// secret is that of every site's widget.
const secret = "test-secret-of-more-than-16-bytes"

const globals = "\nadmin off\npersist_config off\nauto_https off\ngrace_period 1s\n"

// run runs a gateway with sites, of which one has the address, until the test ends. What it
// logged is printed when the test has failed.
func run(t testing.TB, caddyfile, address string) {
	t.Helper()
	gateway := testbed.Run(t, caddyfile, t.TempDir(), "http://"+address, "TEST_SECRET="+secret)
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Print(gateway.Log.String())
		}
	})
}

// sign returns the hex HMAC-SHA256 of a user id.
func sign(user string) string { return testbed.Sign(secret, user) }
