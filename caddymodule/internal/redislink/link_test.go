package redislink_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

func open(t *testing.T, url string) *redislink.Link {
	t.Helper()
	options, err := redislink.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	link, err := redislink.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return link
}

func ping(link *redislink.Link) error {
	client, err := link.Client(context.Background())
	if err != nil {
		return err
	}
	return client.Do(context.Background(), client.B().Ping().Build()).Error()
}

// TestLazy: opening connects to nobody, and the client is made when the server is
// there.
func TestLazy(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	link := open(t, "redis://"+server.Addr)
	err := ping(link)
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a server: %v", err)
	}
	if again := ping(link); again == nil {
		t.Error("without a server a second time")
	}
	server.Restart()
	testbed.Until(t, "an answer", func() bool { return ping(link) == nil })
	server.Kill()
	server.Restart()
	testbed.Until(t, "an answer after a restart", func() bool { return ping(link) == nil })
}

// TestAtOnce: many who ask for the client get the same one.
func TestAtOnce(t *testing.T) {
	server := redistest.Start(t)
	link := open(t, "redis://"+server.Addr)
	clients := make([]rueidis.Client, 50)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { clients[i], _ = link.Client(context.Background()) })
	}
	wg.Wait()
	for _, client := range clients {
		if client == nil || client != clients[0] {
			t.Fatal("there are several")
		}
	}
}

// TestSilent: a server that does not answer holds nobody up without an end.
func TestSilent(t *testing.T) {
	server := redistest.Start(t)
	connected, fresh := open(t, "redis://"+server.Addr), open(t, "redis://"+server.Addr)
	if err := ping(connected); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Resume()
	failed := make(chan error, 2)
	for _, link := range []*redislink.Link{connected, fresh} {
		go func() { failed <- ping(link) }()
	}
	for range 2 {
		select {
		case err := <-failed:
			if err == nil {
				t.Error("there was an answer")
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it waits for ever")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, "redis://"+server.Addr).Client(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ctx has ended: %v", err)
	}
}

func TestClose(t *testing.T) {
	server := redistest.Start(t)
	before := runtime.NumGoroutine()
	for range 5 {
		link := open(t, "redis://"+server.Addr)
		if err := ping(link); err != nil {
			t.Fatal(err)
		}
		_ = link.Close()
		_ = link.Close()
		if err := ping(link); err == nil {
			t.Error("a closed link answers")
		}
	}
	never := open(t, "redis://"+server.Addr)
	never.Close()
	if err := ping(never); !errors.Is(err, redislink.ErrClosed) {
		t.Errorf("a link that was closed at once: %v", err)
	}
	early := open(t, "redis://"+server.Addr)
	go func() { _ = ping(early) }()
	early.Close()
	testbed.Until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestOpenRefuses: files that cannot be used are told at once.
func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, text := range map[string]string{
		"rediss://h?ca=/none":                         "no such file",
		"rediss://h?ca=" + empty:                      "no certificate in",
		"rediss://h?cert=/none&key=/none":             "no such file",
		"rediss://h?cert=" + empty + "&key=" + empty:  "failed to find any PEM data",
		"rediss://:hunter2@h?cert=/none&key=/hunterr": "no such file",
	} {
		options, err := redislink.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := redislink.Open(options); !errors.Is(err, redislink.ErrURL) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := redislink.Open(redislink.Options{}); !errors.Is(err, redislink.ErrURL) {
		t.Errorf("no options: %v", err)
	}
}
