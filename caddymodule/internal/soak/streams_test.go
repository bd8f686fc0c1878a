//go:build soak

package soak_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"fmt"
	"io"
	random "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listen serves a backend.
func listen(t *testing.T, serve http.HandlerFunc) (address string) {
	server := httptest.NewServer(serve)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// echo answers a WebSocket's bytes.
func echo(w http.ResponseWriter) {
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, in)
}

// tick sends events.
func tick(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := fmt.Fprint(w, "data: x\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// streamer opens a WebSocket or an event stream, and when it has ended, another one.
func (f *fleet) streamer(ctx context.Context, draw *random.Rand) {
	for ctx.Err() == nil {
		gateway, began := f.gateway(draw), time.Now()
		err := f.stream(ctx, gateway, widgetID(draw.IntN(known)), draw.IntN(2) == 0, time.Duration(5+draw.IntN(40))*time.Second)
		switch {
		case err == nil:
			f.count("streams kept", nil)
		case gateway == 1 && f.cutting.since(began):
			f.count("streams cut", nil)
		default:
			f.count("refused", fmt.Errorf("a stream at gateway %d, after %v: %w", gateway, time.Since(began), err))
		}
		pause(ctx, draw)
	}
}

// stream opens a stream, and uses it for a time.
func (f *fleet) stream(ctx context.Context, gateway int, widget string, websocket bool, keep time.Duration) error {
	address := f.gateways[gateway].site
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	user, path, upgrade := newUser(), "/events", ""
	if websocket {
		path, upgrade = "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	}
	if _, err := fmt.Fprintf(conn, "GET %s?user_id=%s&user_hash=%s HTTP/1.1\r\nHost: %s\r\nX-Widget-Key: %s\r\n%s\r\n",
		path, user, sign(secretOf(widget), user), address, widget, upgrade); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if websocket != (response.StatusCode == 101) || !websocket && response.StatusCode != 200 {
		return fmt.Errorf("answered %s", response.Status)
	}
	body := io.Reader(in)
	if !websocket {
		body = response.Body
	}
	for until := time.Now().Add(keep); ctx.Err() == nil && time.Now().Before(until); {
		const event = "data: x\n\n"
		if websocket {
			if _, err := io.WriteString(conn, event); err != nil {
				return err
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		back := make([]byte, len(event))
		if _, err := io.ReadFull(body, back); err != nil || string(back) != event {
			return fmt.Errorf("read %q: %w", strings.TrimSpace(string(back)), err)
		}
		if websocket {
			time.Sleep(300 * time.Millisecond)
		}
	}
	return nil
}

// es256 signs a digest as RFC 7518 has it.
func (f *fleet) es256(digest []byte) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, f.member, digest)
	if err != nil {
		panic(err) // a bug: the key has just been generated
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature
}
