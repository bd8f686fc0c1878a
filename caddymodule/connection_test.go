package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// TestOnlyWebSocketUpgrades keeps a client from opening a tunnel in which it
// could send requests of its own making to the upstream. That WebSockets pass
// is in protocols_test.go.
func TestOnlyWebSocketUpgrades(t *testing.T) {
	g := chat(t, "chat_identity /chat required {\nsecret {env.TEST_SECRET}\n}")
	for _, tc := range []struct{ name, upgrade string }{
		{"h2c", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"},
		{"h2c in capitals", "Upgrade: H2C\r\nHTTP2-Settings: AAMAAABk\r\n"},
		{"h2c beside websocket", "Upgrade: h2c, websocket\r\n"},
		{"websocket beside h2c", "Upgrade: websocket, h2c\r\n"},
		{"two lines", "Upgrade: websocket\r\nUpgrade: h2c\r\n"},
		{"TLS", "Upgrade: TLS/1.0\r\n"},
		{"with a version", "Upgrade: websocket/13\r\n"},
		{"empty", "Upgrade: \r\n"},
	} {
		for _, path := range []string{"/chat", "/other"} {
			for _, connection := range []string{"Upgrade, HTTP2-Settings", "upgrade", "keep-alive, UPGRADE"} {
				t.Run(tc.name+path+"/"+connection, func(t *testing.T) {
					g.raw(t, fmt.Sprintf("GET %s?user_id=alice&user_hash=%s HTTP/1.1\r\nHost: %s\r\n%sConnection: %s\r\nConnection: close\r\n\r\n",
						path, sign("alice"), strings.TrimPrefix(g.url, "http://"), tc.upgrade, connection))
					seen := g.upstream.take()
					if seen == nil {
						t.Fatal("nothing came through")
					}
					passed := seen.Header.Get("Upgrade") != "" || seen.Header.Get("Http2-Settings") != "" ||
						strings.Contains(strings.ToLower(seen.Header.Get("Connection")), "upgrade")
					if passed {
						t.Errorf("passed: %v", seen.Header)
					}
					if path == "/chat" && seen.user() != "alice" {
						t.Errorf("user %q", seen.user())
					}
				})
			}
		}
	}
}
