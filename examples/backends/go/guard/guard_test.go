package guard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
)

// TestHangingUp: clients that make up a key and hang up have the key set read once, as others
// have.
func TestHangingUp(t *testing.T) {
	// {"alg":"ES256","kid":"made up"}, {}, and no signature of anybody's
	const forged = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im1hZGUgdXAifQ.e30.AAAA"
	var reads atomic.Int32
	var hangUp context.CancelFunc
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads.Add(1)
		hangUp()
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}))
	defer keys.Close()
	g := &guard.Guard{KeysURL: keys.URL, Issuer: "chat-identity", Audience: "backend"}
	for range 3 {
		var ctx context.Context
		ctx, hangUp = context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		r.Header.Set("X-Verified-Assertion", forged)
		if _, err := g.Read(r); !errors.Is(err, guard.ErrRefused) {
			t.Errorf("%v, want %v", err, guard.ErrRefused)
		}
		hangUp()
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("the key set was read %d times", n)
	}
}
