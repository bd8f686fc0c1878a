package redisstore

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := redistest.Certificate(t, time.Now().Add(time.Hour), "127.0.0.1", "redis.example")
	server := redistest.Start(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	port := redistest.FreePort(t)
	server.Do("CONFIG", "SET", "tls-port", port)
	address := "rediss://127.0.0.1:" + port
	ca, pair := "?ca="+url.PathEscape(cert), "&cert="+url.PathEscape(cert)+"&key="+url.PathEscape(key)
	s := ready(t, address+ca+pair, Options{})
	change(t, s, to("1"), "w")
	wants(t, s, "w", "1")
	named := ready(t, address+ca+pair+"&server_name=redis.example", Options{})
	wants(t, named, "w", "1")
}

func TestUnix(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "redis") // a test's own may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	server := redistest.Start(t, "--unixsocket", socket)
	s := ready(t, "redis+unix://"+socket+"?db=3", Options{})
	change(t, s, to("1"), "w")
	wants(t, s, "w", "1")
	if got := server.Do("KEYS", "*"); got != "[]" {
		t.Errorf("database 0 has %s", got)
	}
}

// TestApart: stores of two prefixes know nothing of each other.
func TestApart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := ready(t, "redis://"+server.Addr, Options{}), ready(t, "redis://"+server.Addr+"/?prefix=b:", Options{})
	change(t, a, to("1"), "w")
	wants(t, b, "w", "unknown")
	if records, err := b.List(context.Background(), "", 10); len(records) != 0 || err != nil {
		t.Errorf("a list: %v, %v", records, err)
	}
}
