package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStreamsThroughReloads holds what docs/operations.md says: a reload closes WebSockets
// unless reverse_proxy has stream_close_delay, event streams go on, and a rotation ends
// neither.
func TestStreamsThroughReloads(t *testing.T) {
	for _, delay := range []string{"", "{\nstream_close_delay 1h\n}"} {
		u := websocketBackend(t)
		g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://")+" "+delay)
		load(t, g.config)
		secret := g.create(t, `{"id":"shop"}`)
		c, response := g.upgrade(t, "/ws?user_id=alice&user_hash="+signWith(secret, "alice"), "websocket", "X-Widget-Key: shop")
		equal(t, response.StatusCode, http.StatusSwitchingProtocols, "upgrade")
		g.rotate(t, "shop", "")
		c.echoes(t, "after a rotation")

		load(t, strings.Replace(g.config, "chat_identity required {", "header X-Reloaded yes\nchat_identity required {", 1))
		if delay != "" {
			c.echoes(t, "after a reload, "+delay)
		} else if rest, err := io.ReadAll(c.in); err != nil || len(rest) == 0 || rest[0] != 0x88 {
			t.Errorf("after a reload there is no frame that closes the WebSocket: %x, %v", rest, err)
		}
		_ = c.Close()
	}
}

// TestEventStreamThroughReload is about the other kind of stream.
func TestEventStreamThroughReload(t *testing.T) {
	next := make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(u.Close)
	g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	load(t, g.config)
	secret := g.create(t, `{"id":"shop"}`)
	r := g.request(t, "GET", "/events?user_id=alice&user_hash="+signWith(secret, "alice"), "", false, "X-Widget-Key: shop")
	response, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	events := bufio.NewReader(response.Body)
	for i := range 4 {
		switch i {
		case 1:
			g.rotate(t, "shop", "")
		case 2:
			load(t, strings.Replace(g.config, "chat_identity required {", "header X-Reloaded yes\nchat_identity required {", 1))
		}
		line, err := events.ReadString('\n')
		equal(t, line, fmt.Sprintf("data: %d\n", i), "event, %v", err)
		_, _ = events.ReadString('\n')
		next <- struct{}{}
	}
	_ = response.Body.Close()
}
